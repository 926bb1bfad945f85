//! Aloware's webhooks: `{"event": …, "body": {…}}`, or the fields at the root.

mod names;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::names::{Kind, event_name};
use super::{contact::aloware_contact, json};
use crate::domain::{AlowareContact, AlowareContactId, Entity, Phone, PhoneHint, TextDirection};

/// One delivery, unwrapped.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// What it is about.
    pub kind: Kind,
    body: &'a Value,
    /// The communication inside: the body itself, except for summaries.
    communication: &'a Value,
}

impl<'a> Delivery<'a> {
    /// Unwraps a delivery whose event name is known.
    pub fn read(name: &str, payload: &'a Value) -> Self {
        let body = [payload.get("body"), payload.get("data")]
            .into_iter()
            .flatten()
            .find(|inner| inner.is_object())
            .unwrap_or(payload);
        let communication = body
            .get("communication")
            .filter(|inner| inner.is_object())
            .unwrap_or(body);
        Self {
            kind: names::classify(name, json::integer(communication, &["type"])),
            body,
            communication,
        }
    }

    /// A call by itself, as an account answers that serves calls by id: bare, or
    /// under `call` or `data`. It is over unless it says that it still runs.
    pub fn of_record(answer: &'a Value) -> Self {
        let wrapped = ["call", "data"].iter().filter_map(|key| answer.get(key));
        let record = wrapped.into_iter().find(|inner| inner.is_object()).unwrap_or(answer);
        let name = if names::still_runs(record) {
            "call.initiated"
        } else {
            "call.disposed"
        };
        Self {
            kind: names::classify(name, json::integer(record, &["type"])),
            body: record,
            communication: record,
        }
    }

    /// The communication's id, as text.
    pub fn communication_id(&self) -> Option<String> {
        json::text(self.body, &["communication.id", "transcription.communication_id"])
            .or_else(|| json::text(self.body, &["call_id", "callId", "communication_id"]))
            .or_else(|| match self.kind.entity() {
                Entity::Contact => None,
                _ => json::text(self.body, &["id"]),
            })
    }

    /// The contact's id, as text.
    pub fn contact_id(&self) -> Option<AlowareContactId> {
        let own = match self.kind.entity() {
            Entity::Contact => json::text(self.body, &["contact.id", "id"]),
            _ => None,
        };
        own.or_else(|| json::text(self.body, &["contact_id", "contactId", "contact.id"]))
            .or_else(|| json::text(self.communication, &["contact_id"]))
            .and_then(|id| AlowareContactId::new(&id))
    }

    /// The contact as the delivery shows it.
    pub fn contact(&self, hint: &PhoneHint) -> AlowareContact {
        let shown = match self.body.get("contact").filter(|inner| inner.is_object()) {
            Some(inner) => inner,
            None if self.kind.entity() == Entity::Contact => self.body,
            None => &Value::Null,
        };
        let mut contact = aloware_contact(shown, hint);
        contact.id = self.contact_id();
        if contact.phone.is_none() {
            contact.phone = self.lead_number(hint);
        }
        contact
    }

    /// The consumer's number: `lead_number`, never `destination_number`
    /// (`client:agent…` on outbound calls).
    pub fn lead_number(&self, hint: &PhoneHint) -> Option<Phone> {
        json::text(self.communication, &["lead_number", "contact.phone_number"])
            .or_else(|| json::text(self.body, &["contact.phone_number", "phone_number", "phone"]))
            .and_then(|raw| Phone::parse(&raw, hint))
    }

    /// Our own line.
    pub fn our_number(&self, hint: &PhoneHint) -> Option<Phone> {
        json::text(self.communication, &["incoming_number"]).and_then(|raw| Phone::parse(&raw, hint))
    }

    /// 1 inbound, 2 outbound, also in words.
    pub fn direction(&self) -> Option<TextDirection> {
        match json::text(self.communication, &["direction"])?
            .to_ascii_lowercase()
            .as_str()
        {
            "1" | "inbound" => Some(TextDirection::Inbound),
            "2" | "outbound" => Some(TextDirection::Outbound),
            _ => None,
        }
    }

    /// When it happened, UTC.
    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        json::time(self.communication, &["created_at", "timestamp"])
            .or_else(|| json::time(self.body, &["created_at", "timestamp"]))
    }

    /// When it last changed, UTC.
    pub fn updated_at(&self) -> Option<DateTime<Utc>> {
        json::time(self.body, &["updated_at"]).or_else(|| json::time(self.communication, &["updated_at"]))
    }

    /// Of when its picture of the communication is, UTC.
    pub fn as_of(&self) -> Option<DateTime<Utc>> {
        json::time(self.communication, &["updated_at", "created_at"])
    }

    /// Whether Aloware says that the communication failed: codes 5 failed, 6 dead end, 7 invalid.
    pub fn has_failed(&self) -> bool {
        matches!(json::integer(self.communication, &["disposition_status2"]), Some(5..=7))
    }

    /// The message text of an SMS.
    pub fn message_text(&self) -> Option<String> {
        json::text(self.communication, &["body", "message"])
    }

    /// The first of these fields that holds text, in the body, then in its communication.
    pub fn text(&self, keys: &[&str]) -> Option<String> {
        json::text(self.body, keys).or_else(|| json::text(self.communication, keys))
    }

    /// The first of these fields that holds a whole number.
    pub fn integer(&self, keys: &[&str]) -> Option<i64> {
        json::integer(self.body, keys).or_else(|| json::integer(self.communication, keys))
    }

    /// The first of these fields of the communication that holds text.
    pub fn told_text(&self, keys: &[&str]) -> Option<String> {
        json::text(self.communication, keys)
    }

    /// The first of these fields of the communication that holds a whole number.
    pub fn told_integer(&self, keys: &[&str]) -> Option<i64> {
        json::integer(self.communication, keys)
    }

    /// A list of words under one of these keys: an array of texts, or one text.
    pub fn words(&self, keys: &[&str]) -> Vec<String> {
        match json::array(self.body, keys) {
            Some(list) => list.iter().filter_map(json::scalar).collect(),
            None => json::text(self.body, keys).into_iter().collect(),
        }
    }

    /// Whether the event says do-not-call. `Some(false)` only when a flag says
    /// so, never because one is missing. `payload` is the whole delivery: flags
    /// have been seen outside the body too.
    pub fn dnc(&self, payload: &Value) -> Option<bool> {
        let flags = [
            json::flag(self.body, &["contact.is_dnc"]),
            json::flag(self.body, &["is_dnc", "dnc"]),
            json::flag(payload, &["is_dnc", "dnc"]),
        ];
        let status = self
            .text(&["status"])
            .is_some_and(|text| text.to_lowercase().contains("dnc"));
        if status || flags.contains(&Some(true)) {
            return Some(true);
        }
        flags.contains(&Some(false)).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_read_as_numbers_or_text_from_where_each_event_keeps_them() {
        let hint = PhoneHint::region("US");
        let call = json!({"event": "Call-Disposed", "body": {"id": 940_000_001, "contact_id": "155", "type": 1, "direction": "2",
            "lead_number": "+12025550177", "destination_number": "client:agent1", "created_at": "2026-08-05 20:58:44"}});
        let read = Delivery::read("Call-Disposed", &call);
        assert_eq!(read.communication_id().as_deref(), Some("940000001"));
        assert_eq!(read.contact_id().map(|id| id.to_string()).as_deref(), Some("155"));
        assert_eq!(read.direction(), Some(TextDirection::Outbound));
        assert_eq!(
            read.lead_number(&hint).map(|p| p.as_str().to_owned()).as_deref(),
            Some("+12025550177")
        );

        let summary = json!({"body": {"summary": "s", "transcription": {"communication_id": 7}, "contact": {"id": 9}}});
        let read = Delivery::read("transcription.call.summarized", &summary);
        assert_eq!(read.communication_id().as_deref(), Some("7"));
        assert_eq!(read.contact_id().map(|id| id.to_string()).as_deref(), Some("9"));

        let contact = json!({"body": {"id": 12, "phone_number": "2025550177"}});
        let read = Delivery::read("Contact-Updated", &contact);
        assert_eq!(read.communication_id(), None);
        assert_eq!(read.contact(&hint).id.map(|id| id.to_string()).as_deref(), Some("12"));
        assert!(read.contact(&hint).phone.is_some());
    }

    #[test]
    fn a_record_of_a_call_is_over_unless_it_says_that_it_runs() {
        for (record, kind) in [
            (json!({"id": "c1"}), Kind::CallEnded),
            (
                json!({"id": "c1", "status": "completed", "current_status": "ringing"}),
                Kind::CallEnded,
            ),
            (json!({"id": "c1", "status": "In Progress"}), Kind::CallStarted),
            (
                json!({"id": "c1", "disposition_status": "in-progress"}),
                Kind::CallStarted,
            ),
            (json!({"id": "c1", "disposition_status2": "1"}), Kind::CallStarted),
            (json!({"id": "c1", "type": 2}), Kind::Text),
        ] {
            for answer in [record.clone(), json!({"call": record}), json!({"data": record})] {
                let read = Delivery::of_record(&answer);
                assert_eq!(
                    (read.kind, read.communication_id().as_deref()),
                    (kind, Some("c1")),
                    "{answer}"
                );
            }
        }
    }

    #[test]
    fn do_not_call_is_read_wherever_aloware_may_put_it() {
        for (payload, wanted) in [
            (
                json!({"body": {"id": 1, "contact": {"is_dnc": true}, "is_dnc": false}}),
                Some(true),
            ),
            (json!({"body": {"id": 1, "dnc": "1"}}), Some(true)),
            (json!({"is_dnc": true, "body": {"id": 1, "is_dnc": false}}), Some(true)),
            (
                json!({"body": {"id": 1, "status": "On DNC list", "is_dnc": false}}),
                Some(true),
            ),
            (
                json!({"dnc": 0, "body": {"id": 1, "is_dnc": false, "contact": {"is_dnc": "false"}}}),
                Some(false),
            ),
            (json!({"body": {"id": 1, "is_dnc": "maybe", "status": "active"}}), None),
            (json!({"body": {"id": 1}}), None),
        ] {
            let read = Delivery::read("Contact-DncUpdated", &payload);
            assert_eq!(read.dnc(&payload), wanted, "{payload}");
        }
    }
}
