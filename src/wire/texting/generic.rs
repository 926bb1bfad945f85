//! The seed's own dialect, `{"type", "message": {…}}`, which is also the shape in
//! which every other vendor's events are stored.

use serde_json::Value;

use super::notice::DIALECT;
use super::{Delivery, Kind, Part, UNREADABLE, status};
use crate::domain::{Entity, Phone, PhoneHint, TextDirection, TextStatus, TextingVendor, VendorSignal};
use crate::wire::json;

/// The event name; `unknown` when the body has none.
pub fn event_name(payload: &Value) -> String {
    json::name(payload, &["type", "eventType", "event"]).unwrap_or_else(|| "unknown".to_owned())
}

/// Whether the payload is an event of this dialect, and one that means something.
pub(super) fn is_understood(payload: &Value) -> bool {
    let named = classify(&event_name(payload).to_ascii_lowercase());
    payload.get("message").is_some_and(Value::is_object) && named != Kind::Other
}

impl Delivery {
    /// Reads a stored event. `hint` says how numbers without `+` are meant where
    /// the vendor's own way of writing them was not applied before.
    pub fn read(payload: &Value, hint: &PhoneHint) -> Self {
        let message = ["message", "data"]
            .iter()
            .find_map(|key| payload.get(key).filter(|inner| inner.is_object()))
            .unwrap_or(payload);
        let made_here = payload.get(DIALECT).is_some_and(Value::is_string);
        let pick = |keys: &[&str]| json::text(message, keys).or_else(|| json::text(payload, keys));
        let name = event_name(payload).to_ascii_lowercase();
        let from_raw = pick(&["from", "from.phone_number", "from.phone"]);
        let to_raw = pick(&["to", "to.phone_number", "to.phone"]);
        let parse = |raw: &Option<String>| match raw.as_deref() {
            Some(raw) if made_here => Phone::from_e164(raw),
            raw => raw.and_then(|raw| Phone::parse(raw, hint)),
        };
        let root_body = || {
            let keys = if std::ptr::eq(message, payload) {
                ["message", "text"]
            } else {
                ["body", "text"]
            };
            json::text(payload, &keys)
        };
        let joined = json::text(payload, &["joined.body"]);
        let own_body = || json::text(message, &["body", "text"]).or_else(root_body);
        let body = joined.or_else(own_body);
        let media = super::notice::texts(json::array(message, &["media"]), "url");
        let error_code = pick(&["errorCode"]);
        let mut kind = classify(&name);
        if kind == Kind::Unreadable && !made_here {
            kind = Kind::Other;
        }
        if made_here && kind == Kind::Sent && body.is_none() && media.is_empty() {
            // Told without the text: only that it left.
            kind = Kind::Status(TextStatus::Sent);
        }
        Self {
            kind,
            message_id: json::text(message, &["id", "messageId"]).or_else(|| json::text(payload, &["messageId"])),
            key: made_here.then(|| json::text(payload, &["key"])).flatten(),
            conversation_id: pick(&["conversationId"]),
            from: parse(&from_raw),
            to: parse(&to_raw),
            from_raw,
            to_raw,
            direction: direction(&name, pick(&["direction"])),
            body,
            media,
            occurred_at: json::time(message, &["timestamp", "createdAt", "date"])
                .or_else(|| json::time(payload, &["timestamp"])),
            signal: if made_here {
                json::text(message, &["signal"]).and_then(|word| VendorSignal::parse(&word))
            } else {
                signal(kind, error_code.as_deref())
            },
            error_code,
            part: if made_here { part(message) } else { None },
            joined: super::notice::texts(json::array(payload, &["joined.events"]), "id"),
            unsigned: json::text(payload, &[DIALECT])
                .and_then(|dialect| TextingVendor::parse(&dialect))
                .is_some_and(TextingVendor::signs_nothing),
        }
    }

    /// The `entity_type` column.
    pub fn entity(name: &str) -> Entity {
        let name = name.to_ascii_lowercase();
        if name.contains("message") {
            Entity::Message
        } else if name.contains("conversation") {
            Entity::Conversation
        } else if name.contains("optout") {
            Entity::OptOut
        } else {
            Entity::Message
        }
    }
}

fn classify(name: &str) -> Kind {
    match name {
        "message.received" => Kind::Received,
        "message.sent" => Kind::Sent,
        "optout.stop" => Kind::OptOutStop,
        "optout.start" => Kind::OptOutStart,
        UNREADABLE => Kind::Unreadable,
        other => status::of_event_type(other).map_or(Kind::Other, Kind::Status),
    }
}

/// What the event's type says of consent, or the code of a failed text: the three
/// vendors a gateway of the seed's kind passes codes of on (vendors/texting.md 3.6).
fn signal(kind: Kind, error_code: Option<&str>) -> Option<VendorSignal> {
    match kind {
        Kind::OptOutStop => Some(VendorSignal::Stop),
        Kind::OptOutStart => Some(VendorSignal::Start),
        Kind::Status(TextStatus::Failed) if matches!(error_code, Some("40300" | "21610" | "4775")) => {
            Some(VendorSignal::Stop)
        }
        _ => None,
    }
}

/// The event type decides; the payload's own field comes second, and says of an
/// opt-out's report who is named as whom.
fn direction(name: &str, field: Option<String>) -> Option<TextDirection> {
    let told = || {
        let field = field?.to_ascii_lowercase();
        if field.contains("inbound") || field.contains("incoming") {
            Some(TextDirection::Inbound)
        } else if field.contains("outbound") || field.contains("outgoing") {
            Some(TextDirection::Outbound)
        } else {
            None
        }
    };
    match classify(name) {
        Kind::Received => Some(TextDirection::Inbound),
        Kind::OptOutStop | Kind::OptOutStart => told().or(Some(TextDirection::Inbound)),
        Kind::Sent | Kind::Status(_) => Some(TextDirection::Outbound),
        Kind::Unreadable | Kind::Other => told(),
    }
}

/// Where a stored piece belongs, and its words with their blanks: a text can be cut
/// between two words.
pub fn piece_of(payload: &Value) -> Option<(Part, &str)> {
    let message = payload.get("message")?;
    Some((
        part(message)?,
        json::at(message, "body").and_then(Value::as_str).unwrap_or_default(),
    ))
}

fn part(message: &Value) -> Option<Part> {
    let count = |key: &str| json::integer(message, &[key]).and_then(|count| u64::try_from(count).ok());
    let part = Part {
        reference: json::text(message, &["part.ref"])?,
        number: count("part.number")?,
        total: count("part.total")?,
    };
    (part.total > 1 && (1..=part.total).contains(&part.number)).then_some(part)
}
