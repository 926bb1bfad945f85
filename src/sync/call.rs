//! Calls: one note per call, and its tags, whatever number of deliveries tell it.

use chrono::{DateTime, Utc};

use super::person::{Someone, find_or_create};
use super::{Desk, Flowed, Ledger, notes};
use crate::domain::{Entity, Flow, LogEntry, TextDirection};
use crate::wire::aloware::{Delivery, Kind};

/// Brings a call's note and tags onto the person's GHL contact. The start of a
/// call leaves no note: its end knows more.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, entity_id: &str) -> Flowed {
    let skipped = |reason: &str| {
        Ok(vec![LogEntry::skipped(
            Flow::AlowareToGhl,
            Entity::Call,
            entity_id,
            reason,
        )])
    };
    let Some(call_id) = delivery.communication_id() else {
        return skipped("No call_id found in call payload");
    };
    if delivery.kind == Kind::CallStarted {
        return skipped("call_not_ended_yet");
    }
    let someone = Someone {
        aloware: delivery.contact(&desk.rules.hint),
    };
    let Some(contact) = find_or_create(desk, ledger, &someone, "aloware_to_ghl").await? else {
        return skipped("No phone number or email to find the contact by");
    };
    let marker = notes::marker("call", &call_id);
    let body = format!("{}\n{marker}", note_text(delivery));
    let note = notes::Note {
        step: &format!("aloware:call:{call_id}:note"),
        marker: &marker,
        body: &body,
    };
    let tags_step = format!("aloware:call:{call_id}:tags");
    notes::put_with_tags(desk, ledger, &contact, note, (&tags_step, &tags(delivery))).await?;
    Ok(vec![LogEntry::success(
        Flow::AlowareToGhl,
        Entity::Call,
        entity_id,
        contact.as_str(),
    )])
}

fn disposition(delivery: &Delivery<'_>) -> Option<String> {
    delivery.text(&["call_disposition", "disposition"])
}

fn tags(delivery: &Delivery<'_>) -> Vec<String> {
    let direction = match delivery.direction() {
        Some(TextDirection::Inbound) => Some("Inbound Call".to_owned()),
        Some(TextDirection::Outbound) => Some("Outbound Call".to_owned()),
        None => None,
    };
    disposition(delivery)
        .map(|label| format!("Call: {label}"))
        .into_iter()
        .chain(direction)
        .collect()
}

/// `Call Received on 2026-08-05 20:58 UTC (1m 6s)`, then a line per known fact.
/// Neutral wording when the direction is unknown.
fn note_text(delivery: &Delivery<'_>) -> String {
    let mut head = match delivery.direction() {
        Some(TextDirection::Inbound) => "Call Received",
        Some(TextDirection::Outbound) => "Call Made",
        None => "Call",
    }
    .to_owned();
    if let Some(at) = delivery.created_at() {
        head.push_str(" on ");
        head.push_str(&stamp(at));
    }
    if let Some(seconds) = delivery.integer(&["duration"]).filter(|seconds| *seconds > 0) {
        head.push_str(&format!(" ({}m {}s)", seconds / 60, seconds % 60));
    }
    let facts = [
        ("Disposition", disposition(delivery)),
        ("Status", delivery.text(&["disposition_status", "status"])),
        ("Resolution", delivery.text(&["resolution"])),
        (
            "CSAT Score",
            delivery
                .integer(&["csat_score"])
                .filter(|score| *score > 0)
                .map(|score| score.to_string()),
        ),
    ];
    let lines = facts
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label}: {}", value?)));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// One format and one zone for all notes.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_note_tells_what_is_known_and_nothing_else() {
        let body = json!({"body": {"id": 1, "type": 1, "direction": 2, "duration": 66, "created_at": "2026-08-05 20:58:44",
            "call_disposition": "No Answer", "disposition_status": "completed", "csat_score": 0}});
        let delivery = Delivery::read("OutboundPhoneCall-DispositionCompleted", &body);
        assert_eq!(
            note_text(&delivery),
            "Call Made on 2026-08-05 20:58 UTC (1m 6s)\nDisposition: No Answer\nStatus: completed"
        );
        assert_eq!(tags(&delivery), ["Call: No Answer", "Outbound Call"]);
    }

    #[test]
    fn an_unknown_direction_is_not_called_made() {
        let body = json!({"body": {"id": 1, "type": 1}});
        let delivery = Delivery::read("Call-Disposed", &body);
        assert_eq!(note_text(&delivery), "Call");
        assert!(tags(&delivery).is_empty());
    }
}
