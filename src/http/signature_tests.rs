//! Which GHL deliveries pass: every kind of proof, and every way to spoil it.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Door, Unproved, may_pass, verify};
use crate::config::Ghl;
use crate::http::testkit::settings;

const BODY: &[u8] = br#"{"type":"ContactUpdate","id":"c1"}"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn ghl(env: &[(&str, &str)]) -> Ghl {
    let keys = [key(1), key(2)]
        .map(|key| STANDARD.encode(key.verifying_key().as_bytes()))
        .join(",");
    let mut all = vec![
        ("GHL_WEBHOOK_PUBLIC_KEYS", keys.as_str()),
        ("GHL_WEBHOOK_SECRET", "hook-secret"),
    ];
    all.extend_from_slice(env);
    settings(&all).ghl
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn passes(pairs: &[(&'static str, &str)], body: &'static [u8], door: Door<'_>, settings: &Ghl) -> bool {
    let headers = headers(pairs);
    let outcome = verify(&headers, Bytes::from_static(body), door, settings);
    if outcome.is_ok() {
        assert!(
            may_pass(&headers, door, settings),
            "a body that passes is worth reading"
        );
    }
    outcome.is_ok()
}

fn signed(seed: u8, body: &[u8]) -> String {
    STANDARD.encode(key(seed).sign(body).to_bytes())
}

fn mac(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn a_body_signed_with_either_configured_key_passes() {
    for seed in [1, 2] {
        assert!(passes(
            &[("x-ghl-signature", &signed(seed, BODY))],
            BODY,
            Door::Plain,
            &ghl(&[])
        ));
    }
    let verified = verify(
        &headers(&[("x-ghl-signature", &signed(1, BODY))]),
        Bytes::from_static(BODY),
        Door::Signed,
        &ghl(&[]),
    );
    assert_eq!(verified.unwrap().body(), BODY);
}

#[test]
fn tampered_truncated_and_foreign_signatures_are_refused_everywhere() {
    let good = signed(1, BODY);
    let truncated = &good[..good.len() - 4];
    let foreign = signed(9, BODY);
    let other_body = signed(1, b"{}");
    let lax = ghl(&[("GHL_WEBHOOK_REQUIRE_SIGNATURE", "false")]);
    for bad in [
        truncated,
        foreign.as_str(),
        other_body.as_str(),
        "garbage",
        "AAAA",
        "sha256=",
        "\u{7f}",
    ] {
        let pairs = match HeaderValue::from_str(bad) {
            Ok(_) => vec![("x-ghl-signature", bad)],
            Err(_) => continue,
        };
        for door in [Door::Plain, Door::Secret("hook-secret"), Door::Signed] {
            assert!(!passes(&pairs, BODY, door, &ghl(&[])), "{bad} {door:?}");
            assert!(!passes(&pairs, BODY, door, &lax), "{bad} {door:?}");
        }
    }
    assert!(!passes(
        &[("x-ghl-signature", &good)],
        br#"{"type":"ContactUpdate","id":"c2"}"#,
        Door::Plain,
        &ghl(&[])
    ));
}

#[test]
fn an_hmac_is_known_by_its_shape_and_read_from_both_headers() {
    let good = mac(b"hook-secret", BODY);
    for value in [
        good.clone(),
        good.to_uppercase(),
        format!("sha256={good}"),
        format!("SHA256={good}"),
    ] {
        for name in ["x-ghl-signature", "signature"] {
            assert!(
                passes(&[(name, &value)], BODY, Door::Signed, &ghl(&[])),
                "{name}: {value}"
            );
        }
    }
    assert!(!passes(
        &[("signature", &mac(b"other", BODY))],
        BODY,
        Door::Plain,
        &ghl(&[])
    ));
    assert!(!passes(&[("signature", &good[..62])], BODY, Door::Plain, &ghl(&[])));
}

#[test]
fn without_a_shared_secret_no_hmac_passes() {
    let keys = STANDARD.encode(key(1).verifying_key().as_bytes());
    let none = settings(&[("GHL_WEBHOOK_PUBLIC_KEYS", &keys)]).ghl;
    assert!(none.webhook_secret.is_none());
    assert!(!passes(
        &[("x-ghl-signature", &mac(b"", BODY))],
        BODY,
        Door::Plain,
        &none
    ));
    assert!(!passes(&[], BODY, Door::Secret(""), &none));
}

#[test]
fn not_applicable_counts_as_missing() {
    for value in ["N/A", "n/a", " N/A ", ""] {
        assert!(
            !passes(&[("x-ghl-signature", value)], BODY, Door::Plain, &ghl(&[])),
            "{value}"
        );
        assert!(
            passes(
                &[("x-ghl-signature", value)],
                BODY,
                Door::Secret("hook-secret"),
                &ghl(&[])
            ),
            "{value}"
        );
    }
}

#[test]
fn the_path_secret_opens_its_own_door_only() {
    assert!(passes(&[], BODY, Door::Secret("hook-secret"), &ghl(&[])));
    for wrong in ["hook-secre", "hook-secret2", "HOOK-SECRET", ""] {
        assert!(!passes(&[], BODY, Door::Secret(wrong), &ghl(&[])), "{wrong}");
        let lax = ghl(&[("GHL_WEBHOOK_REQUIRE_SIGNATURE", "false")]);
        assert!(
            !passes(&[], BODY, Door::Secret(wrong), &lax),
            "a wrong secret is wrong: {wrong}"
        );
    }
}

#[test]
fn unsigned_deliveries_pass_only_when_waived_and_never_at_the_provider_door() {
    let lax = ghl(&[("GHL_WEBHOOK_REQUIRE_SIGNATURE", "false")]);
    assert!(!passes(&[], BODY, Door::Plain, &ghl(&[])));
    assert!(passes(&[], BODY, Door::Plain, &lax));
    assert!(!passes(&[], BODY, Door::Signed, &lax));
    assert!(!may_pass(&headers(&[]), Door::Signed, &lax));
    assert_eq!(Unproved.to_string(), "Unauthorized");
}
