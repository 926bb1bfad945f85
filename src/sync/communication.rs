//! Aloware communications that are neither calls nor texts (e-mail, fax,
//! WhatsApp) → a note for each start and each end, where that is wanted.

use super::person::{Someone, find};
use super::{Desk, Flowed, Ledger, notes};
use crate::domain::{Entity, Event, Flow, LogEntry};
use crate::wire::aloware::{Delivery, Kind};

/// The channel by its code (vendors/aloware.md 3.6).
const CHANNELS: [(i64, &str); 6] = [
    (4, "ringless voicemail"),
    (5, "email"),
    (6, "facebook"),
    (7, "whatsapp"),
    (8, "fax"),
    (13, "reminder"),
];

/// Notes the communication on the person's GHL contact; nobody is created for one.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, event: &Event) -> Flowed {
    let (entity, id) = (Entity::Communication, &event.entity_id);
    let someone = Someone {
        aloware: delivery.contact(&desk.rules.hint),
    };
    let Some(contact) = find(desk, &someone, "aloware_to_ghl").await? else {
        let entry = LogEntry::skipped(Flow::AlowareToGhl, entity, id, "No contact mapping found");
        return Ok(vec![entry]);
    };
    let phase = match delivery.kind {
        Kind::Communication { initiated: true } => "initiated",
        _ => "disposed",
    };
    // Without an id of its own it is this delivery's, not the person's last one.
    let name = delivery.communication_id().unwrap_or_else(|| event.id.to_string());
    let marker = notes::marker(&format!("communication-{phase}"), &name);
    let note = notes::Note {
        step: &format!("aloware:communication:{name}:{phase}"),
        marker: &marker,
        body: &text(desk, delivery, phase, event, &marker),
    };
    notes::put(desk, ledger, &contact, note).await?;
    let entry = LogEntry::success(Flow::AlowareToGhl, entity, id, contact.as_str());
    Ok(vec![entry.with_message(format!("Communication {phase}"))])
}

fn text(desk: &Desk, delivery: &Delivery<'_>, phase: &str, event: &Event, marker: &str) -> String {
    let at = notes::stamp(delivery.created_at().unwrap_or(event.received_at), desk.rules.zone);
    let code = delivery.told_integer(&["type"]);
    let named = CHANNELS.iter().find(|(known, _)| Some(*known) == code);
    let channel = delivery
        .text(&["channel"])
        .or_else(|| named.map(|(_, name)| (*name).to_owned()))
        .or_else(|| delivery.text(&["type"]))
        .unwrap_or_else(|| "unknown".to_owned());
    let outcome = match phase {
        "initiated" => phase.to_owned(),
        _ => delivery
            .text(&["outcome", "disposition_status", "status"])
            .unwrap_or_else(|| "completed".to_owned()),
    };
    let title = phase.to_uppercase();
    format!("[COMMUNICATION {title}] {at}\nChannel: {channel}\nOutcome: {outcome}\n\n{marker}")
}
