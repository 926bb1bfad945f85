//! The texting client: one call, which sends a text to a number that was
//! checked just now.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::budget::{Budget, Priority};
use super::client::{bearer, http_client};
use super::error::{SetupError, VendorError};
use super::route::Route;
use super::transport::{Call, Transport, Turn, encode};
use crate::compliance::Cleared;
use crate::config;
use crate::domain::Source;
use crate::loops::Intent;
use crate::wire::json::text;

/// A client of the texting vendor. Cheap to clone; clones share the budget and
/// the breaker.
#[derive(Clone)]
pub struct TextingClient {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    token: HeaderValue,
    default_from: Option<String>,
    location_id: Option<String>,
}

/// The vendor's one operation, as the meters name it.
const OPERATION: &str = "send_message";
/// The vendor's one path.
const SEND: &str = "/api/integrations/df-middleware/send-message";

/// A text to be sent. To whom is said by [`Cleared`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundText {
    /// The words.
    pub body: String,
    /// Our number; unset: the first of `texting.from_number`.
    pub from: Option<String>,
    /// The vendor's conversation, when it is an answer.
    pub conversation_id: Option<String>,
    /// Our own reference; also sent as `Idempotency-Key`.
    pub correlation_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SendBody<'c> {
    to: &'c str,
    body: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location_id: Option<&'c str>,
}

impl TextingClient {
    /// Makes a client; `None` when base address or key is unset, so that
    /// nothing can be sent.
    ///
    /// # Errors
    /// [`SetupError`] when the key or base address cannot be used.
    pub fn new(texting: &config::Texting, http: &config::Http) -> Result<Option<Self>, SetupError> {
        let bases: Vec<_> = texting.base_url.iter().collect();
        Self::over(http_client(&bases)?, texting, http)
    }

    pub(super) fn over(
        client: reqwest::Client,
        texting: &config::Texting,
        http: &config::Http,
    ) -> Result<Option<Self>, SetupError> {
        let (Some(base), Some(key)) = (&texting.base_url, &texting.api_key) else {
            return Ok(None);
        };
        let budget = Budget::new(texting.rate_limit, None);
        Ok(Some(Self {
            shared: Arc::new(Shared {
                transport: Transport::new(client, Source::Texting, base, http.timeout, budget)?,
                token: bearer(key.expose_secret(), Source::Texting)?,
                default_from: texting.from_numbers.first().cloned(),
                location_id: texting.location_id.clone(),
            }),
        }))
    }

    pub(super) fn budget(&self) -> Budget {
        self.shared.transport.budget()
    }

    pub(super) fn down_for(&self) -> Option<Duration> {
        self.shared.transport.down_for()
    }

    /// Whether the breaker lets calls through as usual.
    pub fn is_up(&self) -> bool {
        self.shared.transport.is_up()
    }

    /// Whether the vendor answers, for a person who asks. It documents nothing
    /// that could be read, so its one path is asked with GET, which sends no
    /// text. Whether it takes the key, only a text would tell.
    ///
    /// # Errors
    /// [`VendorError::Unauthorized`] and [`VendorError::Forbidden`] where the
    /// vendor looks at the key first; otherwise it gave no answer.
    pub async fn probe(&self) -> Result<(), VendorError> {
        let call = Call {
            operation: "probe",
            method: Method::GET,
            route: &Route::new(SEND),
            query: &[],
            headers: &[(AUTHORIZATION, self.shared.token.clone())],
            body: None,
            priority: Priority::Background,
        };
        match self.shared.transport.send(call).await {
            // Any answer is one: no such page, wrong method, nothing to say.
            Ok(_)
            | Err(
                VendorError::NotFound
                | VendorError::Rejected { .. }
                | VendorError::Unprocessable { .. }
                | VendorError::NotJson { .. },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until a text may be handed over. The registry is asked after this
    /// wait, not before it.
    ///
    /// # Errors
    /// [`VendorError::Down`] and [`VendorError::RateLimited`].
    pub async fn turn(&self) -> Result<Turn, VendorError> {
        self.shared.transport.turn(OPERATION, Priority::Message).await
    }

    /// Sends a text and returns the vendor's message id. The clearance is used
    /// up: another attempt asks the registry again.
    ///
    /// # Errors
    /// [`VendorError::OptedOut`] when vendor or carrier refuses the number.
    /// When [`VendorError::maybe_applied`], the text may have gone out: look it
    /// up before sending again (vendors/texting.md 5.4).
    pub async fn send(
        &self,
        turn: Turn,
        _proof: &Intent,
        cleared: Cleared,
        outbound: &OutboundText,
    ) -> Result<String, VendorError> {
        let shared = &*self.shared;
        let body = encode(&SendBody {
            to: cleared.to().as_str(),
            body: &outbound.body,
            from: outbound.from.as_deref().or(shared.default_from.as_deref()),
            conversation_id: outbound.conversation_id.as_deref(),
            correlation_id: outbound.correlation_id.as_deref(),
            location_id: shared.location_id.as_deref(),
        })?;
        let mut headers = vec![(AUTHORIZATION, shared.token.clone())];
        let reference = outbound.correlation_id.as_deref();
        if let Some(Ok(key)) = reference.map(HeaderValue::from_str) {
            headers.push((HeaderName::from_static("idempotency-key"), key));
        }
        let call = Call {
            operation: OPERATION,
            method: Method::POST,
            route: &Route::new(SEND),
            query: &[],
            headers: &headers,
            body: Some(&body),
            priority: Priority::Message,
        };
        let answer = shared.transport.perform(turn, call).await?.json;
        text(&answer, &["messageId", "id"]).ok_or(VendorError::Incomplete { missing: "messageId" })
    }
}

impl fmt::Debug for TextingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextingClient")
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}
