//! The routing table, row by row.

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Step, route};
use crate::conflicts::Mode;
use crate::domain::{Event, EventTable, Phone, PhoneHint};
use crate::sync::Rules;

fn rules() -> Rules {
    Rules {
        zone: chrono_tz::UTC,
        communications: false,
        mode: Mode::Merge,
        recording_links: true,
        hint: PhoneHint::region("US"),
        own: Phone::from_e164("+18585550100").into_iter().collect(),
        location: "loc1".to_owned(),
        tag_lists: std::collections::BTreeMap::new(),
        custom_fields: std::collections::BTreeMap::new(),
        texting_to_aloware: false,
        opt_out_to_aloware: crate::sync::OptOutToAloware::Off,
        stop_reply: None,
        longest_call: std::time::Duration::from_secs(1),
    }
}

fn steps(source: &str, event_type: &str, payload: Value) -> Vec<String> {
    let event = Event {
        id: Uuid::nil(),
        seq: 1,
        table: EventTable::Webhook,
        source: source.to_owned(),
        event_type: event_type.to_owned(),
        entity_type: "unknown".to_owned(),
        entity_id: "e1".to_owned(),
        payload,
        received_at: DateTime::UNIX_EPOCH,
        attempts: 0,
    };
    route(&event, &rules()).into_iter().map(name).collect()
}

fn name(step: Step) -> String {
    match step {
        Step::Call => "call".to_owned(),
        Step::Dnc => "dnc".to_owned(),
        Step::Disposed => "disposed".to_owned(),
        Step::Communication => "communication".to_owned(),
        Step::AlowareContact => "aloware contact".to_owned(),
        Step::GhlContact(id) => format!("contact {id}"),
        Step::GhlDeleted(id) => format!("deleted {id}"),
        Step::GhlTags(id) => format!("tags {id}"),
        Step::Message(text) => format!("message {} {}", text.direction, text.consumer.as_str()),
        Step::StopReply(reply) => format!("confirm {} from {}", reply.to.as_str(), reply.from.as_str()),
        Step::AgentText(text) => format!("send {} {}", text.message_id, text.to.as_str()),
        Step::Piece(text) => format!("piece {} {}", text.direction, text.consumer.as_str()),
        Step::MessageStatus(told) => format!("status {} {}", told.status, told.id.unwrap_or_default()),
        Step::Stop(flow, phone) => format!("stop {flow} {}", phone.as_str()),
        Step::StopByContact(id) => format!("stop by {id}"),
        Step::ReviewByContact(id, ..) => format!("review by {id}"),
        Step::DndByContact(id) => format!("do-not-disturb by {id}"),
        Step::Start(flow, phone) => format!("start {flow} {}", phone.as_str()),
        Step::Unhandled(entry) => format!("unhandled: {}", entry.message.unwrap_or_default()),
        Step::Skip(entry) => format!("skip: {}", entry.message.unwrap_or_default()),
        Step::Refuse(reason) => format!("refuse: {reason}"),
    }
}

#[test]
fn every_aloware_event_takes_its_flow() {
    let lead = json!({"body": {"id": 1, "contact_id": 2, "lead_number": "+16195550111"}});
    for (event, wanted) in [
        ("OutboundPhoneCall", "call"),
        ("InboundPhoneCall-DispositionMissed", "call"),
        ("Call-Disposed", "call"),
        ("Recording-Saved", "call"),
        ("Voicemail-Saved", "call"),
        ("Transcription-Saved", "call"),
        ("transcription.call.summarized", "call"),
        ("Contact DNC Updated", "dnc"),
        ("Contact-Disposed", "disposed"),
        ("Contact-Created", "aloware contact"),
        ("OutboundAppointment", "skip: appointments_sot_is_ghl"),
        ("Communication initiated", "skip: communication_events_are_not_logged"),
        ("Surprise", "unhandled: Unhandled event type: Surprise"),
    ] {
        assert_eq!(steps("aloware", event, lead.clone()), [wanted], "{event}");
    }
}

#[test]
fn every_ghl_event_takes_its_flow_in_both_spellings() {
    let contact = json!({"id": "c1", "phone": "+16195550111", "tags": ["a"]});
    for (event, wanted) in [
        ("ContactCreate", "contact c1"),
        ("contact.updated", "contact c1"),
        ("ContactDelete", "deleted c1"),
        ("contact.deleted", "deleted c1"),
        ("ContactTagUpdate", "tags c1"),
        ("contact.tag.removed", "tags c1"),
        ("ContactDndUpdate", "do-not-disturb by c1"),
        (
            "OpportunityStageUpdate",
            "unhandled: Unhandled GHL event type: OpportunityStageUpdate",
        ),
        (
            "AppointmentCreate",
            "unhandled: Unhandled GHL event type: AppointmentCreate",
        ),
    ] {
        assert_eq!(steps("ghl", event, contact.clone()), [wanted], "{event}");
    }
    let shown = json!({"id": "c1", "phone": "+16195550111", "dnd": true});
    let recorded = "skip: do-not-disturb recorded in the registry";
    assert_eq!(steps("ghl", "ContactDndUpdate", shown), [recorded]);
    let nameless = json!({"id": "c1", "dnd": true});
    assert_eq!(steps("ghl", "ContactDndUpdate", nameless), ["do-not-disturb by c1"]);
    let typed =
        json!({"contactId": "c1", "messageId": "g1", "phone": "+16195550111", "message": "hi", "channel": "SMS"});
    assert_eq!(steps("ghl", "ProviderOutboundMessage", typed), ["send g1 +16195550111"]);
    let mail = json!({"contactId": "c1", "messageId": "g2", "emailTo": ["a@probe.test"], "channel": "Email"});
    assert_eq!(
        steps("ghl", "ProviderOutboundMessage", mail),
        ["skip: Only texts are sent: the channel is Email"]
    );
    let workflow = json!({"contact_id": "c1", "id": "opportunity", "phone": "+16195550111", "workflow": {"id": "w"}});
    assert_eq!(steps("ghl", "contact.updated", workflow), ["contact c1", "tags c1"]);
}

#[test]
fn every_texting_event_takes_its_flow() {
    let text = |kind: &str, body: &str| {
        let (from, to) = if kind == "message.sent" {
            ("+18585550100", "+16195550111")
        } else {
            ("+16195550111", "+18585550100")
        };
        json!({"type": kind, "message": {"id": "m1", "from": from, "to": to, "body": body}})
    };
    for (kind, body, wanted) in [
        ("message.received", "hello", "message inbound +16195550111"),
        ("message.sent", "STOP", "message outbound +16195550111"),
        ("message.received", "STOP", "stop texting_to_ghl +16195550111"),
        ("message.received", "Unstop", "start texting_to_ghl +16195550111"),
        (
            "message.received",
            "have a nice weekend",
            "message inbound +16195550111",
        ),
        ("message.delivered", "", "status delivered m1"),
        ("optout.stop", "", "stop texting_to_ghl +16195550111"),
        (
            "optout.start",
            "",
            "skip: vendor reports START without the word; the block stays",
        ),
        (
            "optout.help",
            "",
            "unhandled: Unhandled texting event type: optout.help",
        ),
    ] {
        assert_eq!(steps("texting", kind, text(kind, body)), [wanted], "{kind} {body}");
    }
    assert_eq!(
        steps("texting", "message.received", json!({"type": "message.received"})),
        ["refuse: No phone number in payload"]
    );
}

#[test]
fn a_stop_is_a_stop_through_every_vendor() {
    let aloware = json!({"body": {"id": 1, "type": 2, "direction": 1, "body": "stop", "lead_number": "+16195550111"}});
    assert_eq!(
        steps("aloware", "InboundSMS-DispositionCompleted", aloware),
        ["stop aloware_to_ghl +16195550111"]
    );
    let ghl = json!({"contactId": "c1", "messageType": "SMS", "body": "Stop!", "from": "+16195550111"});
    assert_eq!(
        steps("ghl", "InboundMessage", ghl),
        ["stop ghl_to_aloware +16195550111"]
    );
    let nameless = json!({"contactId": "c1", "messageType": "SMS", "body": "STOP", "from": {}});
    assert_eq!(steps("ghl", "InboundMessage", nameless), ["stop by c1"]);
    let workflow = json!({"contact_id": "c1", "phone": "+16195550111", "workflow": {"id": "w"},
        "message": {"type": 2, "body": "STOP", "direction": "inbound"}});
    assert_eq!(
        steps("ghl", "contact.updated", workflow),
        ["stop ghl_to_aloware +16195550111"]
    );
}

#[test]
fn another_location_s_event_is_not_ours_whatever_it_says() {
    let start =
        json!({"locationId": "loc2", "contactId": "c1", "messageType": "SMS", "body": "START", "from": "+16195550111"});
    assert_eq!(
        steps("ghl", "InboundMessage", start),
        ["skip: another location's event"]
    );
    let workflow = json!({"location": {"id": "loc1"}, "contact_id": "c1", "workflow": {"id": "w"}});
    assert_eq!(steps("ghl", "contact.updated", workflow), ["contact c1", "tags c1"]);
}

#[test]
fn an_unknown_source_is_told_so() {
    assert_eq!(steps("fax", "x", json!({})), ["skip: Unknown source: fax"]);
}

#[test]
fn only_a_stop_that_was_texted_to_us_may_be_confirmed() {
    let mut rules = rules();
    rules.stop_reply = Some("You are opted out.".to_owned());
    let steps = |kind: &str, body: &str| -> Vec<String> {
        let event = Event {
            id: Uuid::nil(),
            seq: 1,
            table: EventTable::Texting,
            source: "texting".to_owned(),
            event_type: kind.to_owned(),
            entity_type: "message".to_owned(),
            entity_id: "m1".to_owned(),
            payload: json!({"type": kind, "message": {"id": "m1", "from": "+16195550111", "to": "+18585550100", "body": body}}),
            received_at: DateTime::UNIX_EPOCH,
            attempts: 0,
        };
        route(&event, &rules).into_iter().map(name).collect()
    };
    let stop = "stop texting_to_ghl +16195550111";
    let confirmed = ["confirm +16195550111 from +18585550100", stop];
    assert_eq!(steps("message.received", "STOP"), confirmed);
    assert_eq!(steps("optout.stop", "STOP"), [stop], "the vendor may have answered");
    assert_eq!(
        steps("message.received", "START"),
        ["start texting_to_ghl +16195550111"]
    );
}
