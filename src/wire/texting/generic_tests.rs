//! The seed's own dialect, and who the consumer is.

use serde_json::{Value, json};

use super::Delivery;
use crate::domain::{Phone, PhoneHint, TextDirection};

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
