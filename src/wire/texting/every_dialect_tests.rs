//! What holds for every dialect: nothing is lost, nothing is guessed, and a row is
//! read the same for ever.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{own, told};
use super::{Delivery, Request, request};
use crate::domain::{PhoneHint, TextDirection, TextingVendor};

#[test]
fn what_no_dialect_explains_is_kept_as_unreadable_and_a_test_is_nothing() {
    for vendor in TextingVendor::ALL
        .iter()
        .filter(|vendor| **vendor != TextingVendor::Generic)
    {
        for odd in [
            json!({"unreadable": "<xml/>"}),
            json!("text"),
            json!(7),
            json!([[1]]),
            json!({"a": {"b": []}}),
        ] {
            assert_eq!(told(*vendor, odd.clone()), ["unreadable - ->-"], "{vendor} {odd}");
        }
        for nothing in [json!(null), json!({}), json!([])] {
            assert!(told(*vendor, nothing).is_empty(), "{vendor}");
        }
        let seed = json!({"type": "optout.stop", "message": {"from": "+16195550111"}});
        assert_eq!(
            told(*vendor, seed.clone()),
            ["optout.stop - +16195550111>- stop"],
            "{vendor}"
        );
        assert_eq!(request(*vendor, seed.clone(), &[]), Request::AsSent(seed), "{vendor}");
    }
}

#[test]
fn a_stored_event_is_read_the_same_whoever_is_the_vendor_by_then() {
    let payload = json!({"MessageUUID": "p1", "From": "442071838750", "To": "22395", "Text": "hi"});
    let Request::Events(events) = request(TextingVendor::Plivo, payload, &[]) else {
        panic!("not read")
    };
    for vendor in TextingVendor::ALL {
        assert_eq!(
            request(*vendor, events[0].clone(), &[]),
            Request::AsSent(events[0].clone())
        );
    }
    let delivery = Delivery::read(&events[0], &PhoneHint::region("US"));
    assert_eq!(
        (delivery.to_raw.as_deref(), delivery.to),
        (Some("22395"), None),
        "a short code is no phone"
    );
    assert_eq!(events[0]["raw"]["Text"], "hi");
}

#[test]
fn the_word_of_a_vendor_that_signs_nothing_is_known_as_such() {
    let number = json!({"type": "INCOMING_MESSAGE", "status": "received", "values": {"contactPhone": "6195550111"},
        "MessageUUID": "p", "from": "16195550111", "text": "START", "body": "START"});
    for vendor in TextingVendor::ALL {
        let Request::Events(events) = request(*vendor, number.clone(), &[]) else {
            continue;
        };
        let delivery = Delivery::read(&events[0], &PhoneHint::International);
        let nothing = ["simpletexting", "textmagic", "clicksend"].contains(&vendor.as_str());
        assert_eq!(delivery.unsigned, nothing, "{vendor}");
    }
}

#[test]
fn a_deep_request_can_still_be_read_back_from_its_row() {
    let mut deep = json!(1);
    for _ in 0..126 {
        deep = json!([deep]);
    }
    let payload =
        json!({"type": "mo_text", "id": "s1", "from": "16195550111", "to": "18585550123", "body": "STOP", "odd": deep});
    let Request::Events(events) = request(TextingVendor::Sinch, payload, &[]) else {
        panic!("not read")
    };
    let back: Value = serde_json::from_str(&events[0].to_string()).unwrap();
    assert_eq!(
        Delivery::read(&back, &PhoneHint::International).body.as_deref(),
        Some("STOP")
    );
}

#[test]
fn who_wrote_is_never_guessed() {
    let read = |from: &str, to: &str| {
        let payload = json!({"type": "thing", "message": {"id": "m", "from": from, "to": to, "body": "STOP"}});
        Delivery::read(&payload, &PhoneHint::region("US"))
    };
    let toward = read("+16195550111", "+18585550123");
    assert_eq!(toward.heading(&own()), Some(TextDirection::Inbound));
    assert_eq!(
        read("+18585550123", "+16195550111").heading(&own()),
        Some(TextDirection::Outbound)
    );
    for (delivery, own) in [(toward, Vec::new()), (read("+16195550111", "+16195550112"), own())] {
        assert_eq!(delivery.heading(&own), None);
        assert!(delivery.is_undecided(&own));
        assert_eq!(delivery.consumer(&own), None);
    }
}

/// The names the dialects look for, with values of every kind.
fn odd_request() -> impl Strategy<Value = Value> {
    let names = [
        "data",
        "payload",
        "type",
        "event_type",
        "message",
        "results",
        "values",
        "statuses",
        "to",
        "from",
        "body",
        "text",
        "status",
        "concat",
        "concat-part",
        "concat-total",
        "concat-ref",
        "MessageSid",
        "MessageUUID",
        "msisdn",
        "id",
        "batch_id",
        "recipients",
        "joined",
        "part",
        "media",
        "errors",
        "timestamp",
    ];
    let words = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "\\+?[0-9]{0,17}".prop_map(Value::from),
        prop::sample::select(vec![
            "message.finalized",
            "message-failed",
            "delivery_report_sms",
            "true",
            "mo_text"
        ])
        .prop_map(Value::from),
    ];
    words.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(names.to_vec()), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn no_request_is_lost_or_brings_a_reader_down(payload in odd_request()) {
        for vendor in TextingVendor::ALL.iter().filter(|vendor| **vendor != TextingVendor::Generic) {
            let empty = payload.is_null()
                || payload.as_array().is_some_and(Vec::is_empty)
                || payload.as_object().is_some_and(serde_json::Map::is_empty)
                || payload["results"].as_array().is_some_and(Vec::is_empty);
            match request(*vendor, payload.clone(), &own()) {
                Request::Nothing => prop_assert!(empty, "{vendor}"),
                Request::AsSent(event) => { Delivery::read(&event, &PhoneHint::region("US")); }
                Request::Events(events) => for event in events {
                    let delivery = Delivery::read(&event, &PhoneHint::region("US"));
                    prop_assert!(!delivery.consumer(&own()).is_some_and(|phone| own().contains(phone)));
                }
            }
        }
    }
}
