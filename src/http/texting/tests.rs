//! Every scheme, right and spoilt in every way: one bit, truncated, empty,
//! absent, twice, garbage, another key, another time.

use std::cell::OnceCell;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::testkit::*;
use super::{Refusal, Verified};
use crate::config::Texting;

/// What a scheme covers beside its headers.
#[derive(Clone, Copy, PartialEq)]
struct Covers {
    body: bool,
    query: bool,
    time: bool,
}

const NOTHING: Covers = Covers {
    body: false,
    query: false,
    time: false,
};
const BODY: Covers = Covers { body: true, ..NOTHING };
const BODY_AND_TIME: Covers = Covers { time: true, ..BODY };
const QUERY: Covers = Covers { query: true, ..NOTHING };

struct Scheme {
    vendor: &'static str,
    /// The setting that proves it, and one that does not.
    secrets: [String; 2],
    delivery: Delivery,
    covers: Covers,
    settings: OnceCell<Texting>,
}

fn scheme(vendor: &'static str, delivery: Delivery, covers: Covers) -> Scheme {
    let other = "another-secret".to_owned();
    Scheme {
        vendor,
        secrets: [SECRET.to_owned(), other],
        delivery,
        covers,
        settings: OnceCell::new(),
    }
}

fn standard_secret(seed: u8) -> String {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode([seed; 32]);
    format!("whsec_{key}")
}

fn schemes() -> Vec<Scheme> {
    let pairs = || [SECRET, "another"].map(|password| format!("ann:{password}"));
    let both = Covers { query: true, ..BODY };
    let sig = |method| vonage_query(&vonage_sig(method, SECRET));
    let mut schemes = vec![
        scheme(
            "generic",
            Delivery::post(JSON).with("x-texting-secret", SECRET),
            NOTHING,
        ),
        Scheme {
            secrets: [public(1), public(2)],
            ..scheme("telnyx", telnyx(1), BODY_AND_TIME)
        },
        scheme("twilio", twilio(SECRET, URL), both),
        scheme("twilio", twilio_json(SECRET), both),
        scheme("twilio", twilio_get(SECRET), QUERY),
        scheme("plivo", plivo_v2(SECRET), NOTHING),
        scheme("plivo", plivo_v3(SECRET, "x-plivo-signature-v3", ""), both),
        scheme("plivo", plivo_v3(SECRET, "x-plivo-signature-ma-v3", "b=2&a=1"), both),
        scheme("plivo", plivo_v3_get(SECRET), QUERY),
        scheme("sinch", sinch(SECRET), BODY_AND_TIME),
        scheme("vonage", vonage_jwt(SECRET), BODY_AND_TIME),
        scheme("vonage", Delivery::post(sig("sha1")), BODY_AND_TIME),
        scheme("vonage", vonage_json(&vonage_sig("sha256", SECRET)), BODY_AND_TIME),
        scheme("messagebird", messagebird(SECRET), both),
        scheme("messagebird", messagebird_get(SECRET), QUERY),
        scheme(
            "messagebird",
            bird(SECRET),
            Covers {
                query: true,
                ..BODY_AND_TIME
            },
        ),
    ];
    for method in ["md5hash", "md5", "sha1", "sha256", "sha512"] {
        schemes.push(scheme(
            "vonage",
            Delivery::get(&sig(method)),
            Covers { time: true, ..QUERY },
        ));
    }
    for vendor in ["bandwidth", "infobip", "sinch"] {
        let delivery = basic(&format!("ann:{SECRET}"));
        schemes.push(Scheme {
            secrets: pairs(),
            ..scheme(vendor, delivery, NOTHING)
        });
    }
    for vendor in ["bandwidth", "infobip", "simpletexting"] {
        schemes.push(scheme(vendor, by_path(SECRET), NOTHING));
    }
    for vendor in ["generic", "telnyx", "simpletexting"] {
        let secrets = [1, 2].map(standard_secret);
        let delivery = standard(&[Ok(&[1; 32])]);
        schemes.push(Scheme {
            secrets,
            ..scheme(vendor, delivery, BODY_AND_TIME)
        });
        let secrets = [1, 2].map(|seed| format!("whpk_{}", public(seed)));
        schemes.push(Scheme {
            secrets,
            ..scheme(vendor, standard(&[Err(1)]), BODY_AND_TIME)
        });
    }
    schemes
}

impl Scheme {
    fn settings(&self) -> &Texting {
        self.settings.get_or_init(|| texting(self.vendor, &self.secrets[0]))
    }

    fn judged(&self, delivery: &Delivery) -> Result<Verified, Refusal> {
        delivery.judged(self.settings(), NOW)
    }

    #[track_caller]
    fn refuses(&self, delivery: &Delivery) {
        let outcome = self.judged(delivery);
        assert!(outcome.is_err(), "{} takes {delivery:?}", self.vendor);
    }
}

/// A bit of each place of a text turned over.
fn flips(text: &str) -> Vec<String> {
    let flip = |at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).unwrap()
    };
    (0..text.len()).map(flip).collect()
}

#[test]
fn what_the_vendor_sends_passes_and_what_was_proved_is_what_is_read() {
    for scheme in schemes() {
        let verified = scheme.judged(&scheme.delivery);
        let content = verified.unwrap_or_else(|why| panic!("{}: {why:?} {:?}", scheme.vendor, scheme.delivery));
        let sent = scheme.delivery.body.clone();
        assert_eq!(
            content.content,
            sent.unwrap_or_else(|| scheme.delivery.query.clone().into())
        );
    }
}

#[test]
fn a_bit_of_any_header_of_the_proof_spoils_it() {
    for scheme in schemes() {
        for (at, (_, value)) in scheme.delivery.headers.iter().enumerate() {
            for flipped in flips(value) {
                let mut forged = scheme.delivery.clone();
                forged.headers[at].1 = flipped;
                scheme.refuses(&forged);
            }
        }
        if let Some(secret) = &scheme.delivery.path_secret {
            for flipped in flips(secret) {
                let path_secret = Some(flipped);
                scheme.refuses(&Delivery {
                    path_secret,
                    ..scheme.delivery.clone()
                });
            }
        }
    }
}

#[test]
fn a_bit_of_what_is_signed_spoils_it() {
    for scheme in schemes() {
        if scheme.covers.body {
            let body = String::from_utf8(scheme.delivery.body.clone().unwrap()).unwrap();
            for flipped in flips(&body) {
                let forged = Delivery {
                    body: Some(flipped.into()),
                    ..scheme.delivery.clone()
                };
                scheme.refuses(&forged);
            }
            for body in ["", "{}", "a=b", &format!("{body}&x=y"), &body[..body.len() / 2]] {
                scheme.refuses(&Delivery {
                    body: Some(body.into()),
                    ..scheme.delivery.clone()
                });
            }
        }
        if scheme.covers.query {
            for query in flips(&scheme.delivery.query) {
                scheme.refuses(&Delivery {
                    query,
                    ..scheme.delivery.clone()
                });
            }
            let query = format!("{}&x=y", scheme.delivery.query);
            scheme.refuses(&Delivery {
                query,
                ..scheme.delivery.clone()
            });
        }
    }
}

#[test]
fn a_proof_that_is_truncated_empty_absent_garbage_or_there_twice_is_none() {
    for scheme in schemes() {
        for (at, (name, value)) in scheme.delivery.headers.iter().enumerate() {
            let half = &value[..value.len() / 2];
            let shorter = &value[..value.len() - 1];
            let doubled = format!("{value}{value}");
            for spoilt in [
                half,
                shorter,
                "",
                " ",
                "garbage",
                "?",
                "\u{e9}",
                "-1",
                "..",
                doubled.as_str(),
            ] {
                let mut forged = scheme.delivery.clone();
                spoilt.clone_into(&mut forged.headers[at].1);
                scheme.refuses(&forged);
            }
            let mut absent = scheme.delivery.clone();
            absent.headers.remove(at);
            scheme.refuses(&absent);
            for second in [value.as_str(), "other", ""] {
                let twice = scheme.delivery.clone().with(name, second);
                assert_eq!(
                    scheme.judged(&twice).err(),
                    Some(Refusal::Malformed),
                    "{name}: {second}"
                );
            }
        }
        let bare = Delivery {
            headers: Vec::new(),
            path_secret: None,
            ..scheme.delivery.clone()
        };
        if scheme.delivery.headers.len() + usize::from(scheme.delivery.path_secret.is_some()) > 0 {
            assert_eq!(scheme.judged(&bare).err(), Some(Refusal::Missing), "{}", scheme.vendor);
        }
    }
}

#[test]
fn another_key_does_not_pass_and_either_of_two_does_during_a_rotation() {
    for scheme in schemes() {
        let [right, other] = &scheme.secrets;
        let with = |secret: &str| scheme.delivery.judged(&texting(scheme.vendor, secret), NOW);
        assert_eq!(with(other).err(), Some(Refusal::Wrong), "{}", scheme.vendor);
        for both in [format!("{right},{other}"), format!("{other},{right}")] {
            assert!(with(&both).is_ok(), "{}", scheme.vendor);
        }
        assert_eq!(with("").err(), Some(Refusal::Unset), "{}", scheme.vendor);
    }
}

#[test]
fn a_signed_time_is_good_for_five_minutes_either_way() {
    for scheme in schemes().iter().filter(|scheme| scheme.covers.time) {
        let at = |now| scheme.delivery.judged(scheme.settings(), now).err();
        for (now, wanted) in [
            (-301, Some(Refusal::Stale)),
            (-300, None),
            (300, None),
            (301, Some(Refusal::Stale)),
        ] {
            assert_eq!(at(NOW + now), wanted, "{} {now}", scheme.vendor);
        }
        assert_eq!(at(0), Some(Refusal::Stale));
    }
}

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

proptest! {
    #[test]
    fn nothing_made_up_passes_or_brings_a_verifier_down(
        at in 0usize..64,
        values in prop::collection::vec("[ -~]{0,80}|[A-Za-z0-9+/]{86}==|[0-9]{10}|Bearer [A-Za-z0-9_-]{4}\\.[A-Za-z0-9_-]{4}\\.[A-Za-z0-9_-]{4}", 4),
        query in "[a-zA-Z0-9=&%+.\\[\\]-]{0,80}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let schemes = schemes();
        let scheme = &schemes[at % schemes.len()];
        let mut forged = scheme.delivery.clone();
        for ((_, old), new) in forged.headers.iter_mut().zip(&values) {
            old.clone_from(new);
        }
        forged.path_secret = forged.path_secret.map(|_| values[0].clone());
        forged.body = forged.body.map(|_| body);
        forged.query = query;
        prop_assert!(scheme.judged(&forged).is_err());
    }
}
