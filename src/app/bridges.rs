//! What the listener asks of the flows, in the listener's own words.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::domain::{Failure, Phone};
use crate::http::messages::{SendError, SendRequest, Sender};
use crate::http::sync_routes::{self, DeskError, Who};
use crate::sync::Desk;
use crate::sync::request::{self, Listed, Pair, RequestError};
use crate::sync::send::{SendFailure, send};
use crate::vendors::OutboundText;

/// The only door through which a text leaves.
pub(super) struct Outgoing {
    pub(super) desk: Desk,
}

impl Sender for Outgoing {
    fn send<'a>(&'a self, request: SendRequest) -> BoxFuture<'a, Result<String, SendError>> {
        async move {
            let text = OutboundText {
                body: request.body,
                from: request.from,
                conversation_id: request.conversation_id,
                correlation_id: request.correlation_id,
            };
            send(&self.desk, &request.to, &text)
                .await
                .map_err(|failure| match failure {
                    SendFailure::Held(refusal) => SendError::Held(refusal),
                    SendFailure::NotConfigured => SendError::NotConfigured,
                    SendFailure::Unavailable { retry_after, .. } => SendError::Unavailable { retry_after },
                    SendFailure::Refused { code } => SendError::Refused { code },
                    SendFailure::Unknown | SendFailure::Taken { .. } => SendError::Unknown,
                })
        }
        .boxed()
    }
}

/// Synchronisation on request.
pub(super) struct Requests {
    pub(super) desk: Desk,
}

impl sync_routes::Desk for Requests {
    fn sync_contact<'a>(&'a self, who: Who) -> BoxFuture<'a, Result<sync_routes::Pair, DeskError>> {
        async move {
            let outcome = match &who {
                Who::Ghl(id) => request::sync_ghl_contact(&self.desk, id).await,
                Who::Aloware(id) => request::sync_aloware_contact(&self.desk, Some(id), None).await,
                Who::Phone(phone) => request::sync_aloware_contact(&self.desk, None, Some(phone)).await,
            };
            outcome.map(pair).map_err(refusal)
        }
        .boxed()
    }

    fn sync_list<'a>(&'a self, tag: String) -> BoxFuture<'a, Result<sync_routes::Listed, DeskError>> {
        async move {
            let Listed { id, added } = request::sync_list(&self.desk, &tag).await.map_err(refusal)?;
            Ok(sync_routes::Listed { id, added })
        }
        .boxed()
    }

    fn repair_mapping<'a>(
        &'a self,
        phone: Option<Phone>,
        email: Option<String>,
    ) -> BoxFuture<'a, Result<sync_routes::Pair, DeskError>> {
        async move {
            let outcome = request::repair_mapping(&self.desk, phone.as_ref(), email.as_deref()).await;
            outcome.map(pair).map_err(refusal)
        }
        .boxed()
    }
}

fn pair(pair: Pair) -> sync_routes::Pair {
    sync_routes::Pair {
        aloware: pair.aloware,
        ghl: pair.ghl,
    }
}

fn refusal(error: RequestError) -> DeskError {
    match error {
        RequestError::NotFound => DeskError::NotFound,
        RequestError::Skipped(reason) => DeskError::Skipped { reason },
        RequestError::Failed(Failure::Retry { after, reason, .. }) => DeskError::Unavailable {
            code: reason,
            retry_after: after,
        },
        RequestError::Failed(Failure::Permanent { reason }) => DeskError::Refused { code: reason },
    }
}
