//! Aloware's do-not-call flag → tags on the GHL contact. The registry was
//! already changed when the delivery was stored.

use super::opt_out::take_tags;
use super::person::{Someone, find_or_create, mapped};
use super::{Desk, Flowed, Ledger, tags};
use crate::domain::{Cause, Entity, Event, Flow, LogEntry};
use crate::store::opt_outs;
use crate::wire::aloware::Delivery;

const TAGS: [&str; 2] = ["DNC", "Do Not Call"];

/// Sets or removes the tags, as the delivery's flag says, unless a later one
/// that arrived before it says otherwise.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, event: &Event) -> Flowed {
    let id = &event.entity_id;
    let skipped = |reason: &str| Ok(vec![LogEntry::skipped(Flow::AlowareToGhl, Entity::Contact, id, reason)]);
    let someone = Someone {
        aloware: delivery.contact(&desk.rules.hint),
    };
    let Some(phone) = someone.phone() else {
        return skipped("No phone number for DNC sync");
    };
    let told = delivery.dnc(&event.payload);
    let latest = opt_outs::latest(&desk.db.client().await?, phone, Cause::VoiceDnc).await?;
    match (told, latest) {
        (Some(true), Some(false)) => return skipped("a later DNC off holds"),
        (Some(false), Some(true)) => return skipped("a later DNC on holds"),
        _ => {}
    }
    let tags: Vec<String> = TAGS.iter().map(|tag| (*tag).to_owned()).collect();
    let step = format!("dnc:{}", event.id);
    let (contact, state) = match told {
        None => return skipped("DNC event says neither on nor off"),
        Some(true) => {
            let Some(contact) = find_or_create(desk, ledger, &someone, "bidirectional").await? else {
                return skipped("No phone number for DNC sync");
            };
            tags::put(desk, ledger, &contact, &step, &tags).await?;
            (contact, "opted_out")
        }
        Some(false) => {
            let Some(mapping) = mapped(desk, &someone).await? else {
                return skipped("No contact mapping found");
            };
            take_tags(desk, ledger, &mapping.ghl, &step, &tags).await?;
            (mapping.ghl, "opted_in")
        }
    };
    let entry = LogEntry::success(Flow::AlowareToGhl, Entity::Contact, id, contact.as_str());
    Ok(vec![entry.with_message(format!("DNC status: {state}"))])
}
