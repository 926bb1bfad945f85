//! What became of a sent text: kept on its mapping, and told to GHL when it is
//! final and GHL shows the text.

use super::provider::{ghl_message, tell};
use super::{Desk, Flowed, Ledger};
use crate::domain::{Entity, Event, Failure, Flow, LogEntry};
use crate::store::message_mappings::{self, Fate};
use crate::vendors::ghl::MessageStatus;

/// A sent text moved on (`queued`, `delivered`, `failed`).
pub async fn status(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    id: Option<&str>,
    status: &'static str,
    error: Option<&str>,
    event: &Event,
) -> Flowed {
    let entry = |reason: &str| LogEntry::skipped(Flow::TextingToGhl, Entity::Message, &event.entity_id, reason);
    if status == "failed" {
        metrics::counter!("texts_failed_total").increment(1);
    }
    let Some(id) = id else {
        return Ok(vec![entry(&format!("delivery status: {status}; of no message"))]);
    };
    let client = desk.db.client().await?;
    let changed = message_mappings::set_status(&client, id, status, error).await?
        || message_mappings::reported_first(&client, id, status, error).await?;
    drop(client);
    // Not only when something changed: the run before may have ended in between.
    if let Some(shown) = tell_ghl(desk, ledger, id).await? {
        let told = LogEntry::success(Flow::TextingToGhl, Entity::Message, &event.entity_id, &shown);
        return Ok(vec![told.with_message(format!("delivery status: {status}"))]);
    }
    Ok(vec![entry(&if changed {
        format!("delivery status: {status}")
    } else {
        format!("delivery status: {status}; a later status is known")
    })])
}

/// Tells GHL a text's final status, once for each: `delivered` may follow
/// `failed`. Answers GHL's id of the message, if it has one and was told.
pub(super) async fn tell_ghl(desk: &Desk, ledger: &mut Ledger<'_>, id: &str) -> Result<Option<String>, Failure> {
    let Some(fate) = message_mappings::fate(&desk.db.client().await?, id).await? else {
        return Ok(None);
    };
    let (status, error) = match fate.status.as_deref() {
        Some("delivered") => (MessageStatus::Delivered, None),
        Some("failed") => (MessageStatus::Failed, Some(why(&fate))),
        _ => return Ok(None),
    };
    let Some(shown) = shown_as(desk, fate) else {
        return Ok(None);
    };
    let told = tell(desk, ledger, &shown, status, error.as_deref()).await?;
    Ok(told.then_some(shown))
}

/// The GHL message that shows the text: the one that an agent typed, or our
/// entry in the conversation. Without a provider the mapping names a note.
fn shown_as(desk: &Desk, fate: Fate) -> Option<String> {
    let typed = fate.reference.as_deref().and_then(ghl_message).map(str::to_owned);
    typed.or_else(|| fate.ghl_id.filter(|_| desk.vendors.ghl.has_conversations()))
}

fn why(fate: &Fate) -> String {
    match &fate.error {
        Some(code) => format!("the texting vendor reports that it was not delivered ({code})"),
        None => "the texting vendor reports that it was not delivered".to_owned(),
    }
}
