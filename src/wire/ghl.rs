//! GHL's webhooks: marketplace-app events (flat camelCase with `type`),
//! workflow bodies (flat snake_case without `type`), and the seed's dotted names.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{contact::ghl_contact, json};
use crate::domain::{Entity, GhlContact, GhlContactId, Phone, PhoneHint, TextDirection};

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A contact was created.
    ContactCreated,
    /// A contact was changed.
    ContactUpdated,
    /// A contact was deleted.
    ContactDeleted,
    /// A contact's tags changed.
    TagsChanged,
    /// A contact lost the tag that the delivery names, unless it shows the full set.
    TagRemoved,
    /// A contact's do-not-disturb changed.
    DndChanged,
    /// A consumer wrote through GHL.
    InboundMessage,
    /// Somebody wrote to a consumer through GHL.
    OutboundMessage,
    /// An agent wrote in GHL and the text is ours to send (provider delivery).
    ProviderOutbound,
    /// An appointment.
    Appointment,
    /// Anything else GHL sends.
    Other,
}

impl Kind {
    /// The `entity_type` of the kind.
    pub const fn entity(self) -> Entity {
        match self {
            Self::ContactCreated | Self::ContactUpdated | Self::ContactDeleted | Self::DndChanged => Entity::Contact,
            Self::TagsChanged | Self::TagRemoved => Entity::Tag,
            Self::InboundMessage | Self::OutboundMessage | Self::ProviderOutbound => Entity::Message,
            Self::Appointment => Entity::Appointment,
            Self::Other => Entity::Unknown,
        }
    }
}

/// The one tag that a legacy tag event names, where it carries no full set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedTag {
    /// The contact got it.
    Added(String),
    /// The contact lost it.
    Removed(String),
}

impl NamedTag {
    /// The full set, `before` being the one last known.
    pub fn applied_to(self, before: &[String]) -> Vec<String> {
        let same = |one: &str, other: &str| one.trim().to_lowercase() == other.trim().to_lowercase();
        match self {
            Self::Added(tag) => before.iter().cloned().chain([tag]).collect(),
            Self::Removed(tag) => before.iter().filter(|kept| !same(kept, &tag)).cloned().collect(),
        }
    }
}

/// The name under which a provider delivery is stored. GHL itself sends none:
/// the listener inserts it at the provider's own door and nowhere else.
pub const PROVIDER_OUTBOUND: &str = "ProviderOutboundMessage";

/// The event name: `event`, `type` or `eventType`; for bodies without one it is
/// inferred from their fields. `None` is a test ping.
pub fn event_name(payload: &Value) -> Option<String> {
    if let Some(name) = json::name(payload, &["event", "type", "eventType"]) {
        return Some(name);
    }
    let has = |key: &str| payload.get(key).is_some_and(|value| !value.is_null());
    let times = [
        "startTime",
        "start_time",
        "endTime",
        "end_time",
        "calendarId",
        "calendar_id",
    ];
    if times.iter().any(|key| has(key)) {
        return Some("appointment.created".to_owned());
    }
    let person = has("contactId")
        || has("contact_id")
        || (has("id") && ["firstName", "first_name", "email"].iter().any(|key| has(key)));
    person.then(|| "contact.updated".to_owned())
}

/// One delivery.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// What it is about.
    pub kind: Kind,
    payload: &'a Value,
}

impl<'a> Delivery<'a> {
    /// Reads a delivery whose event name is known.
    pub fn read(name: &str, payload: &'a Value) -> Self {
        Self {
            kind: classify(name),
            payload,
        }
    }

    /// GHL's id of this delivery; the same on every redelivery.
    pub fn delivery_id(&self) -> Option<String> {
        json::text(self.payload, &["webhookId"])
    }

    /// GHL's id of the message, on events that carry one.
    pub fn message_id(&self) -> Option<String> {
        json::text(self.payload, &["messageId"])
    }

    /// The sub-account it belongs to. GHL signs the deliveries of every app and
    /// account with the same key, so a true signature says nothing about whose it is.
    pub fn is_foreign(&self, location: &str) -> bool {
        json::text(self.payload, &["locationId", "location.id"]).is_some_and(|id| id != location)
    }

    /// Whether it comes from a workflow's "Webhook" action: no `type`, no
    /// `webhookId`, and `tags` as one comma-separated text.
    pub fn is_workflow(&self) -> bool {
        self.payload.get("workflow").is_some_and(Value::is_object)
    }

    /// The person. In a workflow body `id` can be an opportunity, so
    /// `contact_id` is looked at first.
    pub fn contact_id(&self) -> Option<GhlContactId> {
        let own: &[&str] = match self.kind.entity() {
            Entity::Contact | Entity::Tag => &["contact_id", "contactId", "id", "contact.id", "body.id", "data.id"],
            Entity::Appointment => &["appointment.contactId", "contact_id", "contactId"],
            _ => &["contact_id", "contactId", "contact.id"],
        };
        json::text(self.payload, own).and_then(|id| GhlContactId::new(&id))
    }

    /// The id of the thing the event is about, for the event's row.
    pub fn entity_id(&self) -> Option<String> {
        match self.kind.entity() {
            Entity::Contact | Entity::Tag => self.contact_id().map(|id| id.to_string()),
            Entity::Message => json::text(self.payload, &["messageId", "id", "contactId"]),
            Entity::Appointment => json::text(self.payload, &["appointment.id", "id", "contactId", "contact_id"]),
            _ => json::text(self.payload, &["id", "contactId", "contact_id"]),
        }
    }

    /// The contact as the delivery shows it.
    pub fn contact(&self, hint: &PhoneHint) -> GhlContact {
        let mut contact = ghl_contact(self.payload, hint);
        contact.id = self.contact_id();
        contact
    }

    /// The consumer's number on a message: the other side than ours.
    pub fn consumer(&self, hint: &PhoneHint) -> Option<Phone> {
        let key = match self.direction() {
            Some(TextDirection::Inbound) => "from",
            Some(TextDirection::Outbound) => "to",
            None => "phone",
        };
        json::text(self.payload, &[key, "phone"]).and_then(|raw| Phone::parse(&raw, hint))
    }

    /// Which way a message went; the event's name decides, for the official
    /// samples contradict it in `direction`.
    pub fn direction(&self) -> Option<TextDirection> {
        match self.kind {
            Kind::InboundMessage => Some(TextDirection::Inbound),
            Kind::OutboundMessage | Kind::ProviderOutbound => Some(TextDirection::Outbound),
            _ => json::text(self.payload, &["message.direction", "direction"])
                .and_then(|text| TextDirection::parse(&text.to_ascii_lowercase())),
        }
    }

    /// The text of an SMS, when this is one (also inside a workflow body, where
    /// `message.type` 2 means SMS).
    pub fn message_text(&self) -> Option<String> {
        if self.is_workflow() {
            let sms = json::integer(self.payload, &["message.type"]) == Some(2);
            return json::text(self.payload, &["message.body"]).filter(|_| sms);
        }
        let kind = json::text(self.payload, &["messageType"])?;
        let sms = kind.eq_ignore_ascii_case("sms") || kind.eq_ignore_ascii_case("custom");
        json::text(self.payload, &["body"]).filter(|_| sms)
    }

    /// When GHL sent it.
    pub fn sent_at(&self) -> Option<DateTime<Utc>> {
        json::time(self.payload, &["timestamp"])
    }

    /// The tag a legacy tag event names, where it carries no full set.
    pub fn named_tag(&self) -> Option<NamedTag> {
        let names = ["tag", "tagName", "body.tag", "body.tagName", "data.tag", "data.tagName"];
        let tag = json::text(self.payload, &names)?;
        Some(match self.kind {
            Kind::TagRemoved => NamedTag::Removed(tag),
            _ => NamedTag::Added(tag),
        })
    }
}

/// Exact names, in both spellings: `OpportunityStageUpdate` contains "tag" too.
fn classify(name: &str) -> Kind {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    match plain.as_str() {
        "contactcreate" | "contactcreated" => Kind::ContactCreated,
        "contactupdate" | "contactupdated" => Kind::ContactUpdated,
        "contactdelete" | "contactdeleted" => Kind::ContactDeleted,
        "contacttagupdate" | "contacttagupdated" | "contacttagadded" | "tagadded" | "tagupdate" | "tagupdated" => {
            Kind::TagsChanged
        }
        "contacttagremoved" | "tagremoved" => Kind::TagRemoved,
        "contactdndupdate" | "contactdndupdated" => Kind::DndChanged,
        "inboundmessage" => Kind::InboundMessage,
        "outboundmessage" => Kind::OutboundMessage,
        "provideroutboundmessage" => Kind::ProviderOutbound,
        other if other.starts_with("appointment") => Kind::Appointment,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_match_exactly_in_both_spellings() {
        for (name, kind) in [
            ("ContactCreate", Kind::ContactCreated),
            ("contact.created", Kind::ContactCreated),
            ("ContactUpdate", Kind::ContactUpdated),
            ("contact.deleted", Kind::ContactDeleted),
            ("ContactTagUpdate", Kind::TagsChanged),
            ("contact.tag.added", Kind::TagsChanged),
            ("contact.tag.removed", Kind::TagRemoved),
            ("ContactDndUpdate", Kind::DndChanged),
            ("InboundMessage", Kind::InboundMessage),
            ("AppointmentCreate", Kind::Appointment),
            ("OpportunityStageUpdate", Kind::Other),
            ("NoteCreate", Kind::Other),
        ] {
            assert_eq!(classify(name), kind, "{name}");
        }
    }

    #[test]
    fn a_workflow_body_is_about_the_person_not_the_opportunity() {
        let body = json!({"id": "opportunity1", "contact_id": "person1", "first_name": "Ada", "phone": "+15551234567",
            "tags": "hot lead,call me", "workflow": {"id": "w"}, "opportunity_name": "Deal"});
        let name = event_name(&body);
        assert_eq!(name.as_deref(), Some("contact.updated"));
        let read = Delivery::read("contact.updated", &body);
        assert!(read.is_workflow());
        assert_eq!(read.entity_id().as_deref(), Some("person1"));
        let contact = read.contact(&PhoneHint::region("US"));
        assert_eq!(
            contact.tags.as_deref(),
            Some(&["hot lead".to_owned(), "call me".to_owned()][..])
        );
    }

    #[test]
    fn a_named_tag_joins_or_leaves_the_known_set() {
        let before = ["Hot Lead".to_owned(), "vip".to_owned()];
        let of = |name: &str, tag: &str| {
            let body = json!({"id": "c1", "tag": tag});
            Delivery::read(name, &body).named_tag().unwrap().applied_to(&before)
        };
        assert_eq!(of("contact.tag.added", "call me"), ["Hot Lead", "vip", "call me"]);
        assert_eq!(of("contact.tag.removed", "hot lead"), ["vip"]);
    }

    #[test]
    fn a_body_that_names_nothing_is_a_ping() {
        for body in [
            json!({}),
            json!([]),
            json!("x"),
            json!({"test": true}),
            json!({"type": "  "}),
        ] {
            assert_eq!(event_name(&body), None, "{body}");
        }
    }

    #[test]
    fn a_nameless_body_is_an_appointment_or_a_person_by_its_fields() {
        for (body, name) in [
            (json!({"startTime": 1, "contactId": "c1"}), Some("appointment.created")),
            (json!({"start_time": 1}), Some("appointment.created")),
            (json!({"endTime": 1}), Some("appointment.created")),
            (json!({"end_time": 1}), Some("appointment.created")),
            (json!({"calendarId": "k1"}), Some("appointment.created")),
            (json!({"calendar_id": "k1"}), Some("appointment.created")),
            (json!({"contactId": "c1", "calendarId": null}), Some("contact.updated")),
            (json!({"contact_id": "c1"}), Some("contact.updated")),
            (json!({"id": "c1", "firstName": "Ada"}), Some("contact.updated")),
            (json!({"id": "c1", "first_name": "Ada"}), Some("contact.updated")),
            (json!({"id": "c1", "email": "ada@example.com"}), Some("contact.updated")),
            (json!({"id": "c1"}), None),
            (json!({"firstName": "Ada"}), None),
            (
                json!({"event": " ", "type": "NoteCreate", "contactId": "c1"}),
                Some("NoteCreate"),
            ),
        ] {
            assert_eq!(event_name(&body).as_deref(), name, "{body}");
        }
    }

    #[test]
    fn an_appointment_is_found_in_its_envelope() {
        let body = json!({"type": "AppointmentCreate", "locationId": "l1",
            "appointment": {"id": "a1", "contactId": "c1", "calendarId": "k1"}});
        let read = Delivery::read("AppointmentCreate", &body);
        assert_eq!(read.kind.entity(), Entity::Appointment);
        assert_eq!(read.entity_id().as_deref(), Some("a1"));
        assert_eq!(
            read.contact_id().as_ref().map(GhlContactId::as_str),
            Some("c1"),
            "its lane"
        );
    }
}
