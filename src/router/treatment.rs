//! How the queue is to treat an event: alone or together with others like it,
//! given up in the end or not. Pure.

use super::route::{Step, route};
use crate::compliance::{Kind as Word, decide};
use crate::conflicts::Mode;
use crate::domain::{Event, Source};
use crate::sync::Rules;
use crate::wire::{aloware, ghl};

/// What an event only asks to bring up to date, if the newest of several such
/// events does all that the others would. Not so for creations, deletions, tags,
/// do-not-disturb and do-not-call: there the difference between two deliveries
/// is the message. Consent in the deliveries themselves was recorded at ingest.
pub fn coalesces(event: &Event, rules: &Rules) -> Option<String> {
    match Source::parse(&event.source)? {
        Source::Ghl => ghl_refresh(event, rules),
        Source::Aloware => aloware_refresh(event, rules),
        Source::Texting => None,
    }
}

/// The contact is fetched, whatever the delivery shows.
fn ghl_refresh(event: &Event, rules: &Rules) -> Option<String> {
    let delivery = ghl::Delivery::read(&event.event_type, &event.payload);
    if delivery.kind != ghl::Kind::ContactUpdated {
        return None;
    }
    match route(event, rules).as_slice() {
        [Step::GhlContact(id)] => Some(format!("ghl contact {id}")),
        _ => None,
    }
}

/// The delivery's own values are written: the last one has the last word on every
/// field it names, so only deliveries that name the same fields are alike. Where
/// GHL is the source of truth nothing is written and there is nothing to spare.
fn aloware_refresh(event: &Event, rules: &Rules) -> Option<String> {
    let delivery = aloware::Delivery::read(&event.event_type, &event.payload);
    let update = delivery.kind == aloware::Kind::ContactChanged && event.event_type.to_lowercase().contains("updat");
    if !update || rules.mode != Mode::Aloware {
        return None;
    }
    let contact = delivery.contact(&rules.hint);
    let (id, phone) = (contact.id?, contact.phone?);
    let fields = serde_json::to_value(&contact.fields).ok()?;
    let named = fields.as_object()?.iter().filter(|(_, value)| !value.is_null());
    let names: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
    Some(format!("aloware contact {id} {} {}", phone.as_str(), names.join(" ")))
}

/// Whether the event carries somebody's opt-out to another system. Our own texts
/// stop at ingest; an agent's texts and calls stop only when the other systems know.
pub fn must_arrive(event: &Event, rules: &Rules) -> bool {
    route(event, rules).iter().any(|step| opts_out(step, event, rules))
}

/// Whether the step is somebody's opt-out: its calls go before all others.
pub fn opts_out(step: &Step, event: &Event, rules: &Rules) -> bool {
    match step {
        Step::Stop(..) | Step::StopByContact(_) => true,
        // Should the rest never come, this much of it may be one.
        Step::Piece(text) => decide(&text.body, None).kind == Word::Stop,
        Step::DndByContact(_) => {
            let shown = ghl::Delivery::read(&event.event_type, &event.payload).contact(&rules.hint);
            shown.dnd.is_none_or(|dnd| dnd.blocks_texts())
        }
        Step::Dnc => aloware::Delivery::read(&event.event_type, &event.payload).dnc(&event.payload) == Some(true),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{coalesces, must_arrive};
    use crate::conflicts::Mode;
    use crate::domain::{Event, EventTable, PhoneHint};
    use crate::sync::Rules;

    fn rules(mode: Mode) -> Rules {
        Rules {
            mode,
            zone: chrono_tz::UTC,
            communications: false,
            recording_links: true,
            hint: PhoneHint::region("US"),
            own: Vec::new(),
            location: "loc1".to_owned(),
            tag_lists: std::collections::BTreeMap::new(),
            custom_fields: std::collections::BTreeMap::new(),
            texting_to_aloware: false,
            opt_out_to_aloware: crate::sync::OptOutToAloware::Off,
            stop_reply: None,
            longest_call: std::time::Duration::from_secs(1),
        }
    }

    fn event(source: &str, event_type: &str, payload: Value) -> Event {
        Event {
            id: Uuid::nil(),
            seq: 1,
            table: EventTable::Webhook,
            source: source.to_owned(),
            event_type: event_type.to_owned(),
            entity_type: "contact".to_owned(),
            entity_id: "c1".to_owned(),
            payload,
            received_at: DateTime::UNIX_EPOCH,
            attempts: 0,
        }
    }

    fn of_ghl(kind: &str, changes: Value) -> Option<String> {
        let mut payload = json!({"type": kind, "locationId": "loc1", "id": "c1", "phone": "+16195550111"});
        payload
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        coalesces(&event("ghl", kind, payload), &rules(Mode::Merge))
    }

    #[test]
    fn ghl_updates_of_one_contact_are_alike_whatever_they_show() {
        let name = of_ghl("ContactUpdate", json!({"firstName": "Ida"}));
        assert!(name.is_some());
        assert_eq!(
            name,
            of_ghl(
                "contact.updated",
                json!({"firstName": "Bo", "tags": ["x"], "dnd": true})
            )
        );
        assert_ne!(name, of_ghl("ContactUpdate", json!({"id": "c2"})));
    }

    #[test]
    fn what_tells_a_difference_is_never_coalesced() {
        for kind in [
            "ContactCreate",
            "ContactDelete",
            "ContactTagUpdate",
            "ContactDndUpdate",
            "InboundMessage",
            "NoteCreate",
        ] {
            assert_eq!(of_ghl(kind, json!({"tags": ["x"]})), None, "{kind}");
        }
        assert_eq!(
            of_ghl("ContactUpdate", json!({"workflow": {"id": "w"}, "tags": "a,b"})),
            None
        );
        assert_eq!(of_ghl("ContactUpdate", json!({"locationId": "another"})), None);
        let texting = event(
            "texting",
            "message.received",
            json!({"message": {"id": "m", "from": "6195550111"}}),
        );
        assert_eq!(coalesces(&texting, &rules(Mode::Merge)), None);
    }

    #[test]
    fn aloware_updates_are_alike_only_when_they_name_the_same_fields() {
        let of = |mode, kind: &str, body: Value| {
            coalesces(
                &event("aloware", kind, json!({"event": kind, "body": body})),
                &rules(mode),
            )
        };
        let full = |name: &str| json!({"id": 7, "phone_number": "+16195550111", "first_name": name});
        let name = of(Mode::Aloware, "Contact-Updated", full("Ida"));
        assert!(name.is_some());
        assert_eq!(name, of(Mode::Aloware, "Contact-Updated", full("Bo")));
        let mut more = full("Bo");
        more["city"] = json!("Reno");
        assert_ne!(
            name,
            of(Mode::Aloware, "Contact-Updated", more),
            "the city of the other would be lost"
        );
        for kind in ["Contact-Created", "Contact DNC Updated", "Contact-Disposed"] {
            assert_eq!(of(Mode::Aloware, kind, full("Ida")), None, "{kind}");
        }
        assert_eq!(
            of(Mode::Merge, "Contact-Updated", full("Ida")),
            None,
            "nothing is written there"
        );
    }

    #[test]
    fn opt_outs_must_arrive_and_their_reversal_need_not() {
        let says = |source, kind, payload| must_arrive(&event(source, kind, payload), &rules(Mode::Merge));
        let text =
            |body| json!({"type": "message.received", "message": {"id": "m", "from": "+16195550111", "body": body}});
        assert!(says("texting", "message.received", text("STOP")));
        assert!(!says("texting", "message.received", text("START")));
        assert!(!says("texting", "message.received", text("hello")));
        let dnc = |on: bool| json!({"event": "Contact DNC Updated", "body": {"id": 7, "is_dnc": on}});
        assert!(says("aloware", "Contact DNC Updated", dnc(true)));
        assert!(!says("aloware", "Contact DNC Updated", dnc(false)));
        let nameless = json!({"type": "InboundMessage", "contactId": "c1", "messageType": "SMS", "body": "STOP", "locationId": "loc1"});
        assert!(says("ghl", "InboundMessage", nameless));
        let dnd = |on: bool| json!({"type": "ContactDndUpdate", "id": "c1", "locationId": "loc1", "dnd": on});
        assert!(says("ghl", "ContactDndUpdate", dnd(true)));
        assert!(!says("ghl", "ContactDndUpdate", dnd(false)));
    }
}
