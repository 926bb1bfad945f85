//! What became of a sent text: kept on its mapping, and told to GHL when it is
//! final and GHL shows the text.

use super::provider::{ghl_message, tell};
use super::{Desk, Flowed, Ledger};
use crate::domain::{Entity, Event, Failure, Flow, LogEntry, TextStatus};
use crate::store::message_mappings::{self, Fate};
use crate::vendors::ghl::MessageStatus;

/// What a vendor reports of a text that was sent.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The vendor's message id.
    pub id: Option<String>,
    /// How far it got.
    pub status: TextStatus,
    /// The vendor's error code.
    pub error: Option<String>,
    /// The vendor says that the recipient opted out.
    pub opted_out: bool,
}

/// A sent text moved on.
pub async fn status(desk: &Desk, ledger: &mut Ledger<'_>, told: &Progress, event: &Event) -> Flowed {
    let entry = |reason: &str| LogEntry::skipped(Flow::TextingToGhl, Entity::Message, &event.entity_id, reason);
    let status = told.status;
    let changed = match &told.id {
        Some(id) => message_mappings::set_status(&desk.db.client().await?, id, status, told.error.as_deref()).await?,
        None => false,
    };
    if status.is_failure() && (changed || told.id.is_none()) {
        let class = if told.opted_out { "opted_out" } else { status.as_str() };
        metrics::counter!("texts_failed_total", "class" => class).increment(1);
    }
    let Some(id) = &told.id else {
        return Ok(vec![entry(&format!("delivery status: {status}; of no message"))]);
    };
    // Not only when something changed: the run before may have ended in between.
    if let Some(shown) = tell_ghl(desk, ledger, id).await? {
        let told = LogEntry::success(Flow::TextingToGhl, Entity::Message, &event.entity_id, &shown);
        return Ok(vec![told.with_message(format!("delivery status: {status}"))]);
    }
    Ok(vec![entry(&if changed {
        format!("delivery status: {status}")
    } else {
        format!("delivery status: {status}; a later one is known")
    })])
}

/// Tells GHL a text's final status, once. Answers GHL's id of the message, if it has one and was told.
pub(super) async fn tell_ghl(desk: &Desk, ledger: &mut Ledger<'_>, id: &str) -> Result<Option<String>, Failure> {
    let Some(fate) = message_mappings::fate(&desk.db.client().await?, id).await? else {
        return Ok(None);
    };
    let (status, error) = match fate.status {
        Some(TextStatus::Delivered | TextStatus::Read) => (MessageStatus::Delivered, None),
        Some(status) if status.is_failure() => (MessageStatus::Failed, Some(why(&fate))),
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
