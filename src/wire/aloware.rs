//! Aloware's webhooks: `{"event": …, "body": {…}}`, or the fields at the root.
//!
//! Names come in three styles (`OutboundPhoneCall-DispositionCompleted`,
//! `Recording-Saved`, `transcription.call.summarized`) and the form's tick-box
//! names never appear on the wire; for communications the code in `body.type`
//! is more trustworthy than the name (vendors/aloware.md 3.5).

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{contact::aloware_contact, json};
use crate::domain::{AlowareContact, AlowareContactId, Entity, Phone, PhoneHint, TextDirection};

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call began.
    CallStarted,
    /// A call ended, or its disposition was restated.
    CallEnded,
    /// A recording is ready.
    Recording,
    /// A voicemail is ready.
    Voicemail,
    /// A transcript is ready.
    Transcription,
    /// A call was summarised.
    CallSummary,
    /// A text message.
    Text,
    /// Another communication.
    Communication {
        /// Its start, else its end.
        initiated: bool,
    },
    /// An appointment.
    Appointment,
    /// A contact was created or updated.
    ContactChanged,
    /// A contact's own disposition was set.
    ContactDisposed,
    /// A contact's do-not-call flag changed.
    ContactDnc,
    /// A name that is on no record.
    Unknown,
}

impl Kind {
    /// The `entity_type` of the kind.
    pub const fn entity(self) -> Entity {
        match self {
            Self::CallStarted | Self::CallEnded => Entity::Call,
            Self::Recording => Entity::Recording,
            Self::Voicemail => Entity::Voicemail,
            Self::Transcription => Entity::Transcription,
            Self::CallSummary => Entity::CallSummary,
            Self::Text => Entity::Message,
            Self::Communication { .. } => Entity::Communication,
            Self::Appointment => Entity::Appointment,
            Self::ContactChanged | Self::ContactDisposed | Self::ContactDnc => Entity::Contact,
            Self::Unknown => Entity::Unknown,
        }
    }
}

/// The event name: `event`, `type`, `eventType` at the top, else `data.event`.
/// `None` is Aloware's "Save and Test" ping.
pub fn event_name(payload: &Value) -> Option<String> {
    ["event", "type", "eventType"]
        .iter()
        .find_map(|key| payload.get(key)?.as_str())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .or_else(|| json::text(payload, &["data.event"]))
}

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
            kind: classify(name, json::integer(communication, &["type"])),
            body,
            communication,
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

/// `type` codes of a communication (vendors/aloware.md 3.6).
const CALL: i64 = 1;
const TEXT: i64 = 2;
const APPOINTMENT: i64 = 12;

fn classify(name: &str, code: Option<i64>) -> Kind {
    let name = name.to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    if has("dnc") || has("do not call") {
        return Kind::ContactDnc;
    }
    if name.starts_with("contact") {
        return if has("disposed") {
            Kind::ContactDisposed
        } else {
            Kind::ContactChanged
        };
    }
    if has("summar") {
        return Kind::CallSummary;
    }
    for (part, kind) in [
        ("transcription", Kind::Transcription),
        ("recording", Kind::Recording),
        ("voicemail", Kind::Voicemail),
    ] {
        if has(part) && !has("disposition") {
            return kind;
        }
    }
    let call = if has("dispos") {
        Kind::CallEnded
    } else {
        Kind::CallStarted
    };
    match code {
        Some(CALL) => call,
        Some(TEXT) => Kind::Text,
        Some(APPOINTMENT) => Kind::Appointment,
        _ if has("appointment") => Kind::Appointment,
        _ if has("sms") => Kind::Text,
        _ if has("phonecall") || has("call") => call,
        _ if has("communication") => Kind::Communication {
            initiated: has("initiated"),
        },
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_on_record_finds_its_kind() {
        for (name, kind) in [
            ("OutboundPhoneCall", Kind::CallStarted),
            ("InboundPhoneCall-DispositionMissed", Kind::CallEnded),
            ("OutboundPhoneCall-DispositionVoicemail", Kind::CallEnded),
            ("Call-Disposed", Kind::CallEnded),
            ("Recording-Saved", Kind::Recording),
            ("Voicemail-Saved", Kind::Voicemail),
            ("transcription.call.summarized", Kind::CallSummary),
            ("Call summarized", Kind::CallSummary),
            ("transcription.open_search.saved", Kind::Transcription),
            ("Transcription-Saved", Kind::Transcription),
            ("InboundSMS-DispositionCompleted", Kind::Text),
            ("OutboundAppointment", Kind::Appointment),
            ("Contact DNC Updated", Kind::ContactDnc),
            ("Contact-Disposed", Kind::ContactDisposed),
            ("contact.created", Kind::ContactChanged),
            ("Communication initiated", Kind::Communication { initiated: true }),
            ("Gizmo-Polished", Kind::Unknown),
        ] {
            assert_eq!(classify(name, None), kind, "{name}");
        }
    }

    #[test]
    fn the_type_code_outranks_the_name() {
        assert_eq!(classify("OutboundSMS-DispositionCompleted", Some(1)), Kind::CallEnded);
        assert_eq!(classify("Communication disposed", Some(2)), Kind::Text);
    }

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
}
