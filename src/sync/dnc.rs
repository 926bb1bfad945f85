//! Aloware's do-not-call flag → tags on the GHL contact. The registry was
//! already changed when the delivery was stored, if that named the number.

use super::opt_out::{record, take_tags};
use super::person::{asked_for, find_or_create, mapped};
use super::{Desk, Flowed, Ledger, tags};
use crate::domain::{Cause, ConsentChange, Entity, Event, Flow, LogEntry, Move, Phone};
use crate::store::opt_outs;
use crate::wire::aloware::Delivery;

const TAGS: [&str; 2] = ["DNC", "Do Not Call"];

/// Sets or removes the tags, as the delivery's flag says (where Aloware had to be
/// asked whose it is, also as the contact's flag says), unless a later delivery
/// that arrived before it says otherwise.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, event: &Event) -> Flowed {
    let id = &event.entity_id;
    let skipped = |reason: &str| Ok(vec![LogEntry::skipped(Flow::AlowareToGhl, Entity::Contact, id, reason)]);
    let shown = delivery.contact(&desk.rules.hint);
    let nameless = shown.phone.is_none();
    let mut someone = asked_for(desk, shown).await?;
    if someone.phone().is_none() {
        let known = mapped(desk, &someone).await?.and_then(|mapping| mapping.phone);
        someone.aloware.phone = known.and_then(|phone| Phone::from_e164(&phone));
    }
    let Some(phone) = someone.phone() else {
        return skipped("No phone number for DNC sync");
    };
    let flags = [delivery.dnc(&event.payload), someone.aloware.is_dnc];
    let Some(on) = flags.into_iter().flatten().reduce(|told, asked| told || asked) else {
        return skipped("DNC event says neither on nor off");
    };
    if nameless && !desk.rules.own.contains(phone) {
        record(desk, &consent(phone, on, delivery, event)).await?;
    }
    let held = opt_outs::latest(&desk.db.client().await?, phone, Cause::VoiceDnc).await?;
    if held.is_some_and(|held| held != on) {
        let held = if on { "off" } else { "on" };
        return skipped(&format!("a later DNC {held} holds"));
    }
    let tags: Vec<String> = TAGS.iter().map(|tag| (*tag).to_owned()).collect();
    let step = format!("dnc:{}", event.id);
    let (contact, state) = if on {
        let Some(contact) = find_or_create(desk, ledger, &someone, "bidirectional").await? else {
            return skipped("No phone number for DNC sync");
        };
        tags::put(desk, ledger, &contact, &step, &tags).await?;
        (contact, "opted_out")
    } else {
        let Some(mapping) = mapped(desk, &someone).await? else {
            return skipped("No contact mapping found");
        };
        take_tags(desk, ledger, &mapping.ghl, &step, &tags).await?;
        (mapping.ghl, "opted_in")
    };
    let entry = LogEntry::success(Flow::AlowareToGhl, Entity::Contact, id, contact.as_str());
    Ok(vec![entry.with_message(format!("DNC status: {state}"))])
}

fn consent(phone: &Phone, on: bool, delivery: &Delivery<'_>, event: &Event) -> ConsentChange {
    let told_at = delivery.updated_at().or_else(|| delivery.created_at());
    ConsentChange {
        phone: phone.clone(),
        cause: Cause::VoiceDnc,
        action: if on { Move::Block } else { Move::Lift },
        source: "aloware",
        reason: if on { "DNC Updated" } else { "DNC Removed" }.to_owned(),
        evidence: None,
        occurred_at: told_at.map_or(event.received_at, |at| at.min(event.received_at)),
        unless_echo: None,
    }
}
