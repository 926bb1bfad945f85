//! Every scheme, right and spoilt in every way: one bit, truncated, empty,
//! absent, twice, garbage, another key, another time.

use std::cell::OnceCell;

use proptest::prelude::*;

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
        scheme("generic", generic_code(SECRET, "x-texting-signature"), BODY),
        scheme("generic", generic_code(SECRET, "x-signature"), BODY),
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
    for vendor in ["bandwidth", "infobip", "simpletexting", "textmagic", "clicksend"] {
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
