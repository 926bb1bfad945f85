//! A contact's own disposition in Aloware → tags on the GHL contact.

use super::person::{asked_for, asked_for_unless_mapped, find};
use super::{Desk, Flowed, Ledger, tags};
use crate::domain::{Entity, Event, Flow, LogEntry};
use crate::wire::aloware::Delivery;

/// Tags the contact that GHL has; nobody is created for a disposition alone.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, event: &Event) -> Flowed {
    let id = &event.entity_id;
    let shown = delivery.contact(&desk.rules.hint);
    let said = shown.disposition.clone();
    let said = said.or_else(|| delivery.text(&["disposition", "status"]));
    let someone = match &said {
        Some(_) => asked_for_unless_mapped(desk, shown).await?,
        None => asked_for(desk, shown).await?,
    };
    let Some(contact) = find(desk, &someone, "bidirectional").await? else {
        let entry = LogEntry::skipped(Flow::AlowareToGhl, Entity::Contact, id, "No contact mapping found");
        return Ok(vec![entry]);
    };
    let label = someone
        .aloware
        .disposition
        .or(said)
        .unwrap_or_else(|| "Unknown".to_owned());
    let tags = [format!("Disposition: {label}"), "Contact Disposed".to_owned()];
    tags::put(desk, ledger, &contact, &format!("disposed:{}", event.id), &tags).await?;
    let entry = LogEntry::success(Flow::AlowareToGhl, Entity::Contact, id, contact.as_str());
    Ok(vec![entry.with_message(format!("Disposition: {label}"))])
}
