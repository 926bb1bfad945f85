//! What single schemes have of their own: the claims of tokens, the spellings of
//! a URL, lists of signatures, repeated names.

use serde_json::{Value, json};

use super::Refusal;
use super::testkit::*;

#[test]
fn a_messagebird_token_ends_when_it_says_so() {
    for delivery in [messagebird(SECRET), messagebird_get(SECRET)] {
        let at = |now| delivery.judged(&texting("messagebird", SECRET), NOW + now).err();
        assert_eq!([at(65), at(66)], [None, Some(Refusal::Stale)]);
        assert_eq!([at(-300), at(-301)], [None, Some(Refusal::Stale)]);
    }
}

#[test]
fn a_token_must_say_what_it_is_good_for() {
    let judged = |vendor, header: &'static str, head: &str, token: Value, claims: &Value| {
        let token = format!("{head}{}", jwt(SECRET, &token, claims));
        Delivery::post(JSON)
            .with(header, token)
            .judged(&texting(vendor, SECRET), NOW)
            .err()
    };
    let vonage = |token, claims: &Value| judged("vonage", "authorization", "bearer ", token, claims);
    let good = json!({"iat": NOW, "payload_hash": hash(JSON.as_bytes())});
    assert_eq!(vonage(hs256(), &good), None);
    assert_eq!(vonage(json!({"alg": "none"}), &good), Some(Refusal::Malformed));
    assert_eq!(vonage(json!({"alg": "RS256"}), &good), Some(Refusal::Malformed));
    assert_eq!(vonage(hs256(), &json!({"iat": NOW})), Some(Refusal::Malformed));
    assert_eq!(
        vonage(hs256(), &json!({"payload_hash": hash(JSON.as_bytes())})),
        Some(Refusal::Malformed)
    );
    let bird = |claims: &Value| judged("messagebird", "messagebird-signature-jwt", "", hs256(), claims);
    let claims = |change: fn(&mut Value)| {
        let mut claims = messagebird_claims(URL, Some(JSON.as_bytes()));
        change(&mut claims);
        bird(&claims)
    };
    assert_eq!(claims(|_| ()), None);
    assert_eq!(claims(|claims| claims["iss"] = "Mallory".into()), Some(Refusal::Wrong));
    assert_eq!(claims(|claims| claims["exp"] = Value::Null), Some(Refusal::Malformed));
    assert_eq!(
        claims(|claims| claims["url_hash"] = hash(b"https://elsewhere").into()),
        Some(Refusal::Wrong)
    );
    assert_eq!(
        claims(|claims| claims["payload_hash"] = Value::Null),
        Some(Refusal::Wrong)
    );
    // Parameters are no part of what the token covers.
    let claims = json!({"iat": NOW, "payload_hash": hash(b"")});
    let get = Delivery::get("text=START").with("authorization", format!("Bearer {}", jwt(SECRET, &hs256(), &claims)));
    assert!(get.judged(&texting("vonage", SECRET), NOW).is_err());
}

#[test]
fn the_port_and_the_query_may_stand_in_the_url_or_not() {
    let with_port = "https://hooks.example.com:443/api/webhooks/texting";
    let odd = "https://hooks.example.com:8443/api/webhooks/texting";
    for (configured, signed) in [(URL, with_port), (with_port, URL), (odd, odd), (odd, URL)] {
        let outcome = twilio(SECRET, signed).judged(&texting_at("twilio", SECRET, configured), NOW);
        assert!(outcome.is_ok(), "{configured} {signed}");
    }
    let tenant = format!("{URL}?tenant=a1");
    let called = twilio(SECRET, &tenant).at("tenant=a1");
    assert!(called.judged(&texting_at("twilio", SECRET, &tenant), NOW).is_ok());
    assert!(called.judged(&texting("twilio", SECRET), NOW).is_ok());
    let eaten = twilio(SECRET, &tenant);
    assert!(eaten.judged(&texting_at("twilio", SECRET, &tenant), NOW).is_ok());
    assert!(eaten.judged(&texting("twilio", SECRET), NOW).is_err());
    // Who asks for it decides nothing: neither Host nor what a proxy adds.
    let lured = twilio(SECRET, "https://evil.example/api/webhooks/texting")
        .with("host", "evil.example")
        .with("x-forwarded-host", "evil.example");
    assert_eq!(
        lured.judged(&texting("twilio", SECRET), NOW).err(),
        Some(Refusal::Wrong)
    );
}

#[test]
fn twilio_signs_a_repeated_name_by_its_different_values_in_order() {
    let signature = sha1(SECRET, &format!("{URL}A1A2Body"));
    let delivery = Delivery::post("A=2&Body=&A=1&A=2").with("x-twilio-signature", signature);
    assert!(delivery.judged(&texting("twilio", SECRET), NOW).is_ok());
}

#[test]
fn plivo_lists_signatures_and_a_wrong_v3_is_not_saved_by_a_v2() {
    let settings = texting("plivo", SECRET);
    let mut listed = plivo_v3("old-token", "x-plivo-signature-v3", "");
    let right = plivo_v3(SECRET, "x-plivo-signature-v3", "").headers[0].1.clone();
    listed.headers[0].1 = format!("{}, {right}", listed.headers[0].1);
    assert!(listed.judged(&settings, NOW).is_ok());
    let mut both = plivo_v2(SECRET);
    both.headers
        .extend(plivo_v3("forged", "x-plivo-signature-ma-v3", "").headers);
    assert_eq!(both.judged(&settings, NOW).err(), Some(Refusal::Wrong));
}

#[test]
fn standard_webhooks_lists_may_hold_old_new_and_unknown_signatures() {
    let new = standard_secret(1);
    let settings = texting("telnyx", &new);
    let overlap = standard(&[Ok(&[9; 32]), Ok(&[1; 32])]);
    assert!(overlap.judged(&settings, NOW).is_ok());
    let mut later = standard(&[Ok(&[1; 32])]);
    later.headers[2].1 = format!("v9,AAAA v1 v1, {}", later.headers[2].1);
    assert!(later.judged(&settings, NOW).is_ok());
    // Beside the vendor's own proof, and not in its way.
    let settings = texting("generic", &format!("{new},{SECRET}"));
    let plain = Delivery::post(JSON).with("x-texting-secret", SECRET);
    assert!(plain.judged(&settings, NOW).is_ok());
    assert!(standard(&[Ok(&[1; 32])]).judged(&settings, NOW).is_ok());
    assert!(
        plain
            .with("webhook-signature", "v1,AAAA")
            .judged(&settings, NOW)
            .is_err()
    );
}

#[test]
fn a_secret_for_the_path_opens_no_other_door() {
    let telnyx = texting("telnyx", &public(1));
    assert!(by_path(&public(1)).judged(&telnyx, NOW).is_err(), "that key is public");
    for vendor in ["generic", "twilio", "plivo", "sinch", "vonage", "messagebird"] {
        assert!(
            by_path(SECRET).judged(&texting(vendor, SECRET), NOW).is_err(),
            "{vendor}"
        );
    }
    let in_header = Delivery::post(JSON).with("x-texting-secret", SECRET);
    assert!(in_header.judged(&texting("simpletexting", SECRET), NOW).is_err());
}
