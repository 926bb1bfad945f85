//! The texting vendor's webhooks, generic dialect: `{"type", "message": {…}}`.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::json;
use crate::domain::{Entity, Phone, PhoneHint, TextDirection};

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A consumer wrote.
    Received,
    /// We wrote.
    Sent,
    /// A sent message moved on: `queued`, `delivered` or `failed`.
    Status(&'static str),
    /// The vendor itself recognised a STOP.
    OptOutStop,
    /// The vendor itself recognised a START.
    OptOutStart,
    /// Anything else.
    Other,
}

/// The event name; `unknown` when the body has none.
pub fn event_name(payload: &Value) -> String {
    json::name(payload, &["type", "eventType", "event"]).unwrap_or_else(|| "unknown".to_owned())
}

/// One delivery, normalised.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What it is about.
    pub kind: Kind,
    /// The vendor's message id.
    pub message_id: Option<String>,
    /// The vendor's conversation.
    pub conversation_id: Option<String>,
    /// Sender as written.
    pub from_raw: Option<String>,
    /// Recipient as written.
    pub to_raw: Option<String>,
    /// Sender, when a phone.
    pub from: Option<Phone>,
    /// Recipient, when a phone.
    pub to: Option<Phone>,
    /// Decided by event type, else by the vendor's field.
    pub direction: Option<TextDirection>,
    /// The text.
    pub body: Option<String>,
    /// When, by the vendor's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The vendor's error code.
    pub error_code: Option<String>,
}

impl Delivery {
    /// Normalises a delivery.
    pub fn read(payload: &Value, hint: &PhoneHint) -> Self {
        let message = ["message", "data"]
            .iter()
            .find_map(|key| payload.get(key).filter(|inner| inner.is_object()))
            .unwrap_or(payload);
        let pick = |keys: &[&str]| json::text(message, keys).or_else(|| json::text(payload, keys));
        let name = event_name(payload).to_ascii_lowercase();
        let from_raw = pick(&["from", "from.phone_number", "from.phone"]);
        let to_raw = pick(&["to", "to.phone_number", "to.phone"]);
        let parse = |raw: &Option<String>| raw.as_deref().and_then(|raw| Phone::parse(raw, hint));
        Self {
            kind: classify(&name),
            message_id: json::text(message, &["id", "messageId"]).or_else(|| json::text(payload, &["messageId"])),
            conversation_id: pick(&["conversationId"]),
            from: parse(&from_raw),
            to: parse(&to_raw),
            from_raw,
            to_raw,
            direction: direction(&name, pick(&["direction"])),
            body: json::text(message, &["body", "text"]).or_else(|| {
                let root = if std::ptr::eq(message, payload) {
                    "message"
                } else {
                    "body"
                };
                json::text(payload, &[root, "text"])
            }),
            occurred_at: json::time(message, &["timestamp", "createdAt", "date"])
                .or_else(|| json::time(payload, &["timestamp"])),
            error_code: pick(&["errorCode"]),
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

    /// The consumer: the sender of an inbound text, the recipient of an
    /// outbound one, else whichever side is not ours. Never one of `own`.
    pub fn consumer(&self, own: &[Phone]) -> Option<&Phone> {
        let not_ours = |phone: &&Phone| !own.contains(phone);
        let (first, second) = match (self.kind, self.direction) {
            // Vendors report these about the number: some name it as the recipient,
            // and those that say so are believed where our own numbers are not known.
            (Kind::OptOutStop | Kind::OptOutStart, Some(TextDirection::Outbound)) => {
                (self.to.as_ref(), self.from.as_ref())
            }
            (Kind::OptOutStop | Kind::OptOutStart, _) => (self.from.as_ref(), self.to.as_ref()),
            (_, Some(TextDirection::Outbound)) => (self.to.as_ref(), None),
            (_, Some(TextDirection::Inbound)) => (self.from.as_ref(), None),
            (_, None) => (
                self.from.as_ref().filter(|_| !own.is_empty()),
                self.to.as_ref().filter(|_| !own.is_empty()),
            ),
        };
        first.filter(not_ours).or_else(|| second.filter(not_ours))
    }
}

fn classify(name: &str) -> Kind {
    match name {
        "message.received" => Kind::Received,
        "message.sent" => Kind::Sent,
        "message.queued" => Kind::Status("queued"),
        "message.delivered" => Kind::Status("delivered"),
        "message.failed" => Kind::Status("failed"),
        "optout.stop" => Kind::OptOutStop,
        "optout.start" => Kind::OptOutStart,
        _ => Kind::Other,
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
        Kind::Other => told(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: Value) -> Delivery {
        Delivery::read(&payload, &PhoneHint::region("US"))
    }

    #[test]
    fn the_event_type_decides_the_direction_even_without_the_field() {
        let stop = read(
            json!({"type": "message.received", "message": {"id": "m1", "from": "+16195550111",
            "to": "+18585550123", "body": "STOP"}}),
        );
        let own: Vec<Phone> = Phone::from_e164("+18585550123").into_iter().collect();
        assert_eq!(stop.direction, Some(TextDirection::Inbound));
        assert_eq!(stop.consumer(&own).map(Phone::as_str), Some("+16195550111"));
    }

    #[test]
    fn our_own_number_is_never_the_consumer() {
        let own: Vec<Phone> = Phone::from_e164("+18585550123").into_iter().collect();
        let odd = read(json!({"type": "message.received", "from": "+18585550123", "to": "+16195550111"}));
        assert_eq!(odd.consumer(&own), None);
        let undirected = read(json!({"type": "thing", "from": "+18585550123", "to": "+16195550111"}));
        assert_eq!(undirected.consumer(&own).map(Phone::as_str), Some("+16195550111"));
        assert_eq!(undirected.consumer(&[]), None, "without own numbers nothing is guessed");
    }

    #[test]
    fn an_opt_out_report_is_about_whichever_side_is_not_ours() {
        let own: Vec<Phone> = Phone::from_e164("+18585550123").into_iter().collect();
        for (sides, consumer) in [
            (
                json!({"from": "+16195550111", "to": "+18585550123"}),
                Some("+16195550111"),
            ),
            (
                json!({"from": "+18585550123", "to": "+16195550111"}),
                Some("+16195550111"),
            ),
            (json!({"to": "+16195550111"}), Some("+16195550111")),
            (json!({"from": "ACME", "to": "+16195550111"}), Some("+16195550111")),
            (json!({"from": "+18585550123"}), None),
            (json!({"from": "+18585550123", "to": "+18585550123"}), None),
        ] {
            for kind in ["optout.stop", "optout.start"] {
                let report = read(json!({"type": kind, "message": sides}));
                assert_eq!(report.consumer(&own).map(Phone::as_str), consumer, "{kind} {sides}");
            }
        }
    }

    #[test]
    fn an_outbound_opt_out_report_is_about_its_recipient_even_where_no_number_is_known_as_ours() {
        let sides = |direction: &str| {
            read(json!({"type": "optout.stop", "message":
                {"from": "+18585550123", "to": "+16195550111", "direction": direction}}))
        };
        let consumer = |direction| sides(direction).consumer(&[]).map(|phone| phone.as_str().to_owned());
        assert_eq!(consumer("outbound").as_deref(), Some("+16195550111"));
        assert_eq!(consumer("inbound").as_deref(), Some("+18585550123"));
    }

    #[test]
    fn numeric_ids_and_flat_bodies_are_read() {
        let flat =
            read(json!({"eventType": "message.sent", "messageId": 77, "to": 16_195_550_111_u64, "message": "hello"}));
        assert_eq!(flat.message_id.as_deref(), Some("77"));
        assert_eq!(flat.body.as_deref(), Some("hello"));
        assert_eq!(flat.to.map(|p| p.as_str().to_owned()).as_deref(), Some("+16195550111"));
    }
}
