//! Sending a text: the guard and the send record in one transaction, then the
//! vendor. The only way a text leaves the house.

use std::time::Duration;

use chrono::Utc;
use uuid::Uuid;

use super::{Desk, Ledger};
use crate::compliance::Cleared;
use crate::compliance::guard::{self, Answer, Author, Refusal, Wanted};
use crate::domain::{Cause, ConsentChange, Move, Phone, RetryClass, segments};
use crate::store::message_mappings::{self, Message};
use crate::store::outbound_messages::{self, Opened};
use crate::store::{StoreError, opt_outs};
use crate::vendors::{OutboundText, VendorError};

/// Why a text was not sent, or not surely.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SendFailure {
    /// The guard is against it, or the vendor says that the number opted out.
    #[error("{0}")]
    Held(Refusal),
    /// No texting vendor is configured for sending.
    #[error("no texting vendor is configured")]
    NotConfigured,
    /// Not now: the database, the vendor or its budget.
    #[error("try again later")]
    Unavailable {
        /// What is waited for.
        class: RetryClass,
        /// How long, when known.
        retry_after: Option<Duration>,
    },
    /// The vendor refuses this text for good.
    #[error("refused: {code}")]
    Refused {
        /// Classified code.
        code: String,
    },
    /// The vendor may have taken it: it is not sent again.
    #[error("outcome unknown")]
    Unknown,
    /// An earlier run sent this very text, or may have.
    #[error("already handed over")]
    Taken {
        /// The vendor's id, when the earlier run learnt it.
        vendor_id: Option<String>,
    },
}

impl From<StoreError> for SendFailure {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a text was not sent: the registry cannot be read");
        Self::later()
    }
}

impl SendFailure {
    /// Something of our own must come first.
    fn later() -> Self {
        Self::Unavailable {
            class: RetryClass::Transient,
            retry_after: None,
        }
    }

    /// Deliveries wait to be stored, here or with another daemon, and a STOP may
    /// be among them: nothing went wrong with this text.
    fn behind_a_spool() -> Self {
        Self::Unavailable {
            class: RetryClass::RateLimited,
            retry_after: Some(Duration::from_secs(1)),
        }
    }
}

/// Sends a program's text if the guard allows it; answers the vendor's message id.
///
/// # Errors
/// [`SendFailure`]. After [`SendFailure::Unknown`] the text may have gone out.
pub async fn send(desk: &Desk, to: &Phone, text: &OutboundText) -> Result<String, SendFailure> {
    let mut ledger = Ledger::of_person(desk);
    hand_over(desk, &mut ledger, to, text, Author::Program).await
}

/// Sends a person's text once per `correlation_id`, as a step of an event's run.
///
/// # Errors
/// As [`send`]; [`SendFailure::Taken`] when an earlier run sent it, or may have.
pub async fn send_once(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    to: &Phone,
    text: &OutboundText,
) -> Result<String, SendFailure> {
    hand_over(desk, ledger, to, text, Author::Person).await
}

/// The turn at the vendor comes first and the guard last, so that nothing is
/// waited for between the registry's answer and the call.
async fn hand_over(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    to: &Phone,
    text: &OutboundText,
    author: Author,
) -> Result<String, SendFailure> {
    let Some(client) = &desk.vendors.texting else {
        return Err(SendFailure::NotConfigured);
    };
    if !desk.spool.is_empty() {
        return Err(SendFailure::behind_a_spool());
    }
    let id = Uuid::now_v7();
    let turn = client.turn().await.map_err(|error| failure(&error))?;
    let (_, intent) = ledger.announce(&format!("send:{id}"), &[]).await.map_err(|failure| {
        tracing::warn!(
            reason = failure.reason(),
            "a text was not sent: the ledger cannot be written"
        );
        SendFailure::later()
    })?;
    let cleared = clear_and_record(desk, id, to, text, author).await?;
    let outcome = client.send(turn, &intent, cleared, text).await;
    record_outcome(desk, id, to, text, &outcome).await;
    outcome.map_err(|error| failure(&error))
}

/// The guard's answer and the record of it, in one transaction.
async fn clear_and_record(
    desk: &Desk,
    id: Uuid,
    to: &Phone,
    text: &OutboundText,
    author: Author,
) -> Result<Cleared, SendFailure> {
    let segments = segments(&text.body);
    let wanted = Wanted {
        to,
        author,
        segments,
        daemon: desk.daemon,
    };
    let mut client = desk.db.client().await?;
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    // Holds the number's lock from here on: two runs of one text take turns too.
    let answer = guard::clear(&transaction, &desk.policy, wanted).await?;
    // Asked again, now that the registry was: PostgreSQL may have been away since
    // the send began, and a STOP answered meanwhile.
    if !desk.spool.is_empty() {
        return Err(SendFailure::behind_a_spool());
    }
    if let (Author::Person, Some(reference)) = (author, text.correlation_id.as_deref())
        && let Some((state, vendor_id)) = outbound_messages::latest(&transaction, reference).await?
        && matches!(state.as_str(), "sending" | "sent" | "unknown")
    {
        return Err(SendFailure::Taken { vendor_id });
    }
    let (cleared, refusal) = match answer {
        Answer::Cleared(cleared) => (Ok(cleared), None),
        Answer::Refused(refusal) => (Err(refusal.clone()), Some(refusal)),
        Answer::Unsure => return Err(SendFailure::behind_a_spool()),
    };
    let opened = opened(id, to, text, segments);
    let reason = refusal.as_ref().map(Refusal::record);
    outbound_messages::open(&transaction, &opened, reason.as_deref()).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    if cleared.is_ok() && !desk.spool.is_empty() {
        // PostgreSQL went away during the commit, and a STOP was answered meanwhile.
        outbound_messages::close(&client, id, "failed", Some("a STOP may wait in the spool"), None).await?;
        return Err(SendFailure::behind_a_spool());
    }
    cleared.map_err(held)
}

/// A text as the send record has it.
pub(super) fn opened<'a>(id: Uuid, to: &'a Phone, text: &'a OutboundText, segments: u32) -> Opened<'a> {
    Opened {
        id,
        to,
        from: text.from.as_deref(),
        correlation_id: text.correlation_id.as_deref(),
        segments,
    }
}

/// A refusal of ours, counted.
fn held(refusal: Refusal) -> SendFailure {
    metrics::counter!("texts_refused_total", "reason" => refusal.code()).increment(1);
    SendFailure::Held(refusal)
}

fn failure(error: &VendorError) -> SendFailure {
    match error {
        VendorError::OptedOut { .. } => held(Refusal::OptedOut { causes: Vec::new() }),
        VendorError::RateLimited { retry_after } => SendFailure::Unavailable {
            class: RetryClass::RateLimited,
            retry_after: *retry_after,
        },
        VendorError::Down { retry_after } => SendFailure::Unavailable {
            class: RetryClass::VendorDown,
            retry_after: Some(*retry_after),
        },
        other if other.maybe_applied() => SendFailure::Unknown,
        VendorError::StillDown { retry_after, .. } => SendFailure::Unavailable {
            class: RetryClass::VendorDown,
            retry_after: Some(*retry_after),
        },
        VendorError::Transient { .. } | VendorError::Unauthorized => SendFailure::later(),
        other => SendFailure::Refused {
            code: other.to_string(),
        },
    }
}

/// Closes the send record. When the database is away the record stays at
/// `sending`, which says the same as `unknown`: it is not sent again.
pub(super) async fn record_outcome(
    desk: &Desk,
    id: Uuid,
    to: &Phone,
    text: &OutboundText,
    outcome: &Result<String, VendorError>,
) {
    let stored = async {
        let mut client = desk.db.client().await?;
        match outcome {
            Ok(vendor_id) => {
                outbound_messages::close(&client, id, "sent", None, Some(vendor_id)).await?;
                let message = Message {
                    texting_id: Some(vendor_id),
                    conversation_id: text.conversation_id.as_deref(),
                    from: text.from.as_deref(),
                    to: Some(to.as_str()),
                    direction: Some("outbound"),
                    ..Message::default()
                };
                message_mappings::upsert(&client, &message).await
            }
            Err(error) => {
                if matches!(error, VendorError::OptedOut { .. }) {
                    opt_outs::record(&mut client, &vendor_block(to)).await?;
                }
                let state = if error.maybe_applied() { "unknown" } else { "failed" };
                outbound_messages::close(&client, id, state, Some(&error.to_string()), None).await
            }
        }
    };
    if let Err(error) = stored.await {
        tracing::warn!(%error, message.id = %id, "the outcome of a text was not recorded");
    }
}

/// What the vendor says about a number counts like a STOP it forwarded.
fn vendor_block(to: &Phone) -> ConsentChange {
    ConsentChange {
        phone: to.clone(),
        cause: Cause::VendorBlock,
        action: Move::Block,
        source: "texting",
        reason: "blocked by STOP at the vendor".to_owned(),
        evidence: None,
        occurred_at: Utc::now(),
        unless_echo: None,
        decided_by: None,
    }
}
