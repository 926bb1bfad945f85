//! The webhooks of the story, in the vendors' shapes, about invented people.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::setup::OUR_NUMBER;
use super::stage::{Delivery, Stage};
use super::timeline::masked;
use crate::sandbox::{Sandbox, Vendor};

/// The lead of the story: her GHL id.
pub(super) const WANDA: &str = "devWandaTester000001";
/// Her phone.
pub(super) const WANDA_PHONE: &str = "+16195550122";
/// Somebody nobody knows until he calls.
pub(super) const SAM_PHONE: &str = "+16195550133";

/// A call delivery of Aloware; `event` is the wire name.
pub(super) fn call(stage: &Stage, event: &str, call_id: i64, phone: &str, changes: Value) -> Delivery {
    let contact = stage
        .sandbox
        .aloware
        .webhook_contact(phone)
        .unwrap_or_else(|| json!({"phone_number": phone}));
    let mut body = object(json!({
        "id": call_id,
        "contact_id": contact.get("id"),
        "type": 1,
        "direction": 2,
        "lead_number": phone,
        "incoming_number": OUR_NUMBER,
        "destination_number": "client:agent4001",
        "duration": 125,
        "disposition_status": "completed",
        "created_at": naive(stage.called_at),
        "updated_at": naive(stage.called_at + TimeDelta::seconds(131)),
        "contact": contact,
    }));
    body.extend(object(changes));
    Delivery {
        from: Vendor::Aloware,
        what: format!("{event} (call {call_id}, {})", masked(phone)),
        body: json!({"event": event, "body": body}),
    }
}

/// The written summary of a call.
pub(super) fn summary(stage: &Stage, call_id: i64, phone: &str, text: &str) -> Delivery {
    let event = "transcription.call.summarized";
    Delivery {
        from: Vendor::Aloware,
        what: format!("{event} (call {call_id}, {})", masked(phone)),
        body: json!({"event": event, "body": {
            "summary": text,
            "communication": {"id": call_id, "type": 1, "lead_number": phone},
            "contact": stage.sandbox.aloware.webhook_contact(phone),
        }}),
    }
}

/// An Aloware event about the person, or about nothing known.
pub(super) fn aloware(event: &str, about: &str, body: Value) -> Delivery {
    Delivery {
        from: Vendor::Aloware,
        what: format!("{event} ({about})"),
        body: json!({"event": event, "body": body}),
    }
}

/// A GHL contact event, as the marketplace app sends it.
pub(super) fn contact(sandbox: &Sandbox, kind: &str, id: &str, phone: &str) -> Delivery {
    let resource = sandbox.ghl.contact(id).unwrap_or(Value::Null);
    Delivery {
        from: Vendor::Ghl,
        what: format!("{kind} (contact {id}, {})", masked(phone)),
        body: sandbox.ghl.event(kind, resource),
    }
}

/// A text of the consumer.
pub(super) fn received(id: &str, consumer: &str, body: &str) -> Delivery {
    text("message.received", id, (consumer, OUR_NUMBER), body)
}

/// A text of ours.
pub(super) fn sent(id: &str, consumer: &str, body: &str) -> Delivery {
    text("message.sent", id, (OUR_NUMBER, consumer), body)
}

fn text(kind: &str, id: &str, (from, to): (&str, &str), body: &str) -> Delivery {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    Delivery {
        from: Vendor::Texting,
        what: format!("{kind} ({id}, {} → {}): “{body}”", masked(from), masked(to)),
        body: json!({"type": kind, "message": {"id": id, "conversationId": "dev-conversation", "from": from, "to": to,
            "body": body, "timestamp": now}}),
    }
}

/// Times as Aloware writes them.
fn naive(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
