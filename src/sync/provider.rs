//! A text that an agent typed in GHL, delivered to us as the provider: sent
//! through the guard, and a refusal shown to the agent as the message's fate.

use super::send::{SendFailure, send_once};
use super::{Desk, Flowed, Ledger, ghl_failed};
use crate::domain::{Entity, Event, Failure, Flow, LogEntry, Phone};
use crate::store::effects::Prior;
use crate::vendors::ghl::MessageStatus;
use crate::vendors::{OutboundText, VendorError};

/// One text to be sent for an agent.
#[derive(Clone, Debug)]
pub struct AgentText {
    /// GHL's message id: our reference, so that one message is sent once.
    pub message_id: String,
    /// To whom.
    pub to: Phone,
    /// The words; empty when the agent sent attachments only.
    pub body: String,
    /// Whether there are attachments, which the texting vendor does not take.
    pub attachments: bool,
}

/// Sends it once. A send whose outcome is unknown is not repeated.
pub async fn ghl_to_texting(desk: &Desk, ledger: &mut Ledger<'_>, text: &AgentText, event: &Event) -> Flowed {
    let entry = |reason: &str| LogEntry::skipped(Flow::TextingToGhl, Entity::Message, &event.entity_id, reason);
    let unknown = || Ok(vec![entry("outcome of the send is unknown; it is not sent again")]);
    if text.body.is_empty() {
        tell_agent(desk, ledger, text, "attachments cannot be sent").await?;
        return Ok(vec![entry("attachments cannot be sent")]);
    }
    let outbound = OutboundText {
        body: text.body.clone(),
        correlation_id: Some(reference(&text.message_id)),
        ..OutboundText::default()
    };
    match send_once(desk, ledger, &text.to, &outbound).await {
        Ok(id) => Ok(vec![sent(event, text, &id)]),
        Err(SendFailure::Held(refusal)) => {
            tell_agent(desk, ledger, text, &refusal.to_string()).await?;
            Ok(vec![entry(refusal.code())])
        }
        Err(SendFailure::Refused { code }) => {
            tell_agent(desk, ledger, text, "the message was refused").await?;
            Err(Failure::permanent(format!("text refused: {code}")))
        }
        Err(SendFailure::NotConfigured) => {
            tell_agent(desk, ledger, text, "no texting vendor is configured").await?;
            Err(Failure::permanent("no texting vendor is configured"))
        }
        Err(SendFailure::Unavailable { class, retry_after }) => Err(Failure::Retry {
            class,
            after: retry_after,
            reason: "text cannot be sent now".to_owned(),
        }),
        Err(SendFailure::Taken { vendor_id: Some(id) }) => Ok(vec![sent(event, text, &id)]),
        Err(SendFailure::Unknown | SendFailure::Taken { vendor_id: None }) => unknown(),
    }
}

/// How the send of an agent's text is known in our own records.
pub(super) fn reference(ghl_message_id: &str) -> String {
    format!("ghl:{ghl_message_id}")
}

/// GHL's id of the message behind one of our references.
pub(super) fn ghl_message(reference: &str) -> Option<&str> {
    reference.strip_prefix("ghl:")
}

fn sent(event: &Event, text: &AgentText, vendor_id: &str) -> LogEntry {
    let message = if text.attachments {
        "sent without its attachments"
    } else {
        "sent"
    };
    LogEntry::success(Flow::TextingToGhl, Entity::Message, &event.entity_id, vendor_id).with_message(message)
}

async fn tell_agent(desk: &Desk, ledger: &mut Ledger<'_>, text: &AgentText, why: &str) -> Result<(), Failure> {
    tell(desk, ledger, &text.message_id, MessageStatus::Failed, Some(why)).await?;
    Ok(())
}

/// Sets a GHL message's status, once for each status; answers whether GHL took it.
pub(super) async fn tell(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    message_id: &str,
    status: MessageStatus,
    why: Option<&str>,
) -> Result<bool, Failure> {
    let step = match status {
        MessageStatus::Failed => format!("ghl:message-status:{message_id}"),
        _ => format!("ghl:message-status:{message_id}:{status:?}"),
    };
    let (prior, intent) = ledger.announce(&step, &[]).await?;
    if matches!(prior, Prior::Done { .. }) {
        return Ok(true);
    }
    let told = desk
        .vendors
        .ghl
        .update_message_status(&intent, message_id, status, why)
        .await;
    match told {
        Ok(()) => {
            ledger.confirm(&intent, Some(message_id.to_owned()), None);
            Ok(true)
        }
        // Only the app that owns the provider may tell; what happened stands either way.
        Err(
            VendorError::Unauthorized
            | VendorError::OutOfScope
            | VendorError::Forbidden
            | VendorError::NotFound
            | VendorError::Rejected { .. },
        ) => {
            tracing::warn!(message.id = ?message_id, ?status, "GHL did not take the status of a text");
            Ok(false)
        }
        Err(error) => Err(ghl_failed(error)),
    }
}
