//! What each vendor's door answers. The database is away in all of them:
//! what is stored is found in the spool.

use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::TestRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use super::{answer as answer_for, store_patiently};
use crate::domain::Source;
use crate::http::auth::TEXTING_HEADER;
use crate::http::testkit::{Away, answer, app};
use crate::ingest::{Ack, IngestError, Intake, Reading};

const RECEIVED: &str = r#"{"message":"Webhook received","success":true}"#;
const PING: &str = r#"{"message":"Test ping received","success":true}"#;
const IGNORED: &str = r#"{"ignored":true,"success":true}"#;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn ghl_env() -> [(&'static str, String); 2] {
    [
        (
            "GHL_WEBHOOK_PUBLIC_KEYS",
            STANDARD.encode(key().verifying_key().as_bytes()),
        ),
        ("GHL_WEBHOOK_SECRET", "hook-secret".to_owned()),
    ]
}

fn ghl_away(extra: &[(&'static str, &'static str)]) -> Away {
    let env = ghl_env();
    let mut all: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.extend_from_slice(extra);
    Away::new(&all)
}

fn aloware(body: impl Into<String>) -> TestRequest {
    TestRequest::post()
        .uri("/api/webhooks/aloware")
        .insert_header((AUTHORIZATION, format!("basic {}", STANDARD.encode("hook:a:b:c"))))
        .set_payload(body.into())
}

fn texting(body: impl Into<String>) -> TestRequest {
    TestRequest::post()
        .uri("/api/webhooks/texting")
        .insert_header((TEXTING_HEADER, "t-1"))
        .set_payload(body.into())
}

fn signed(uri: &str, body: &Value) -> TestRequest {
    let body = body.to_string();
    let signature = STANDARD.encode(key().sign(body.as_bytes()).to_bytes());
    TestRequest::post()
        .uri(uri)
        .insert_header(("x-ghl-signature", signature))
        .set_payload(body)
}

#[actix_web::test]
async fn aloware_is_answered_from_the_spool_while_the_database_is_away() {
    let mut away = Away::new(&[("ALOWARE_WEBHOOK_ALLOWED_EVENTS", "Call-Disposed")]);
    away.run_outbox();
    let app = app!(away);
    for (body, status, text) in [
        (r#"{"event":"Call-Disposed","body":{"id":1}}"#, 200, RECEIVED),
        (r#"{"event":"Other","body":{"id":1}}"#, 200, IGNORED),
        ("{}", 200, PING),
        ("null", 200, PING),
        ("[]", 200, PING),
        ("{", 400, "Invalid JSON"),
        ("", 400, "Invalid JSON"),
    ] {
        let (got, said, _) = answer!(app, aloware(body));
        assert_eq!((got, said.as_str()), (status, text), "{body}");
    }
    let alias = aloware(r#"{"event":"Call-Disposed","body":{"id":2}}"#).uri("/api/integrations/aloware/webhook");
    assert_eq!(answer!(app, alias).0, 200);
    assert_eq!(away.spooled().await.len(), 2);
}

#[actix_web::test]
async fn aloware_without_its_secret_is_challenged_and_not_read() {
    let away = Away::new(&[]);
    let app = app!(away);
    let (status, text, headers) = answer!(app, TestRequest::post().uri("/api/webhooks/aloware").set_payload("{"));
    assert_eq!((status, text.as_str()), (401, "Unauthorized"));
    assert!(
        headers
            .get("www-authenticate")
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
}

#[actix_web::test]
async fn a_body_above_the_limit_is_413() {
    let away = Away::new(&[]);
    let app = app!(away);
    let (status, text, _) = answer!(app, aloware(" ".repeat(5000)));
    assert_eq!((status, text.as_str()), (413, "Payload too large"));
}

#[actix_web::test]
async fn texting_needs_its_secret_and_has_no_get() {
    let mut away = Away::new(&[("TEXTING_WEBHOOK_SECRET", "t-1")]);
    away.run_outbox();
    let app = app!(away);
    let message = r#"{"type":"message.received","message":{"id":"m1","from":"+16195550111","body":"STOP"}}"#;
    assert_eq!(answer!(app, texting(message)).1, RECEIVED);
    let wrong = TestRequest::post()
        .uri("/api/webhooks/texting")
        .insert_header((TEXTING_HEADER, "t-2"))
        .set_payload(message);
    let (status, text, headers) = answer!(app, wrong);
    assert_eq!((status, text.as_str()), (401, "Unauthorized"));
    assert!(headers.get("www-authenticate").is_none());
    let (status, text, headers) = answer!(app, TestRequest::get().uri("/api/webhooks/texting"));
    assert_eq!((status, text.as_str()), (405, "Method not allowed"));
    assert_eq!(headers.get("allow").unwrap(), "HEAD, POST");
}

#[actix_web::test]
async fn texting_refuses_everyone_without_a_configured_secret() {
    let away = Away::new(&[]);
    let app = app!(away);
    for given in ["", "t-1"] {
        let request = TestRequest::post()
            .uri("/api/webhooks/texting")
            .insert_header((TEXTING_HEADER, given))
            .set_payload("{}");
        assert_eq!(answer!(app, request).0, 401, "{given}");
    }
}

#[actix_web::test]
async fn ghl_passes_by_signature_or_by_path_secret() {
    let mut away = ghl_away(&[]);
    away.run_outbox();
    let app = app!(away);
    let body = json!({"type": "ContactUpdate", "webhookId": "w1", "id": "c1"});
    assert_eq!(answer!(app, signed("/api/webhooks/ghl", &body)).1, RECEIVED);
    let unsigned = |uri: &str| TestRequest::post().uri(uri).set_payload(body.to_string());
    assert_eq!(answer!(app, unsigned("/api/webhooks/ghl")).0, 401);
    assert_eq!(answer!(app, unsigned("/api/webhooks/ghl/hook-secret")).1, RECEIVED);
    assert_eq!(answer!(app, unsigned("/api/webhooks/ghl/hook-secre")).0, 401);
    assert_eq!(answer!(app, unsigned("/api/webhooks/ghl/")).0, 404);
    assert_eq!(answer!(app, signed("/api/webhooks/ghl", &json!({"hello": 1}))).1, PING);
}

#[actix_web::test]
async fn the_provider_door_is_no_path_secret_and_always_wants_a_signature() {
    let mut away = ghl_away(&[("GHL_WEBHOOK_REQUIRE_SIGNATURE", "false")]);
    away.run_outbox();
    let app = app!(away);
    let uri = "/api/webhooks/ghl/provider-delivery";
    let body = json!({"contactId": "c1", "locationId": "loc-1", "messageId": "m9", "type": "SMS", "phone": "+16195550111", "message": "hi"});
    assert_eq!(
        answer!(app, TestRequest::post().uri(uri).set_payload(body.to_string())).0,
        401
    );
    assert_eq!(answer!(app, signed(uri, &body)).1, RECEIVED);
    let stored = away.spooled().await;
    assert_eq!(
        (stored[0]["type"].as_str(), stored[0]["channel"].as_str()),
        (Some("ProviderOutboundMessage"), Some("SMS"))
    );
    let foreign = json!({"contactId": "c1", "locationId": "loc-2", "messageId": "m8", "type": "SMS", "phone": "+16195550111", "message": "hi"});
    assert_eq!(answer!(app, signed(uri, &foreign)).1, IGNORED);
    assert_eq!(away.spooled().await.len(), 1);
}

#[actix_web::test]
async fn a_send_cannot_be_smuggled_in_through_another_ghl_door() {
    let away = ghl_away(&[]);
    let app = app!(away);
    for name in [
        "ProviderOutboundMessage",
        "provider.outbound.message",
        "PROVIDEROUTBOUNDMESSAGE",
    ] {
        let body = json!({"type": name, "messageId": "m9", "phone": "+16195550111", "message": "hi"});
        let by_secret = TestRequest::post()
            .uri("/api/webhooks/ghl/hook-secret")
            .set_payload(body.to_string());
        assert_eq!(answer!(app, by_secret).1, IGNORED, "{name}");
        assert_eq!(answer!(app, signed("/api/webhooks/ghl", &body)).1, IGNORED, "{name}");
    }
}

#[test]
fn one_provider_message_is_one_event_however_often_it_comes() {
    let away_rules = crate::ingest::Rules {
        hint: crate::domain::PhoneHint::region("US"),
        own: Vec::new(),
        allowed: Vec::new(),
        location: "loc-1".to_owned(),
        vendor: crate::domain::TextingVendor::Generic,
    };
    let read = |body: Value| {
        let body = body.to_string();
        let reading = Reading {
            source: Source::Ghl,
            body: body.as_bytes(),
            received_at: chrono::Utc::now(),
        };
        match reading.intake(&away_rules).unwrap() {
            Intake::Events(mut events) => events.remove(0),
            other => panic!("{other:?}"),
        }
    };
    let first = read(
        json!({"type": "ProviderOutboundMessage", "messageId": "m9", "contactId": "c1", "phone": "(619) 555-0111"}),
    );
    let again = read(json!({"type": "ProviderOutboundMessage", "messageId": "m9", "contactId": "c1", "extra": 1}));
    let other = read(json!({"type": "ProviderOutboundMessage", "messageId": "m10", "contactId": "c1"}));
    assert_eq!(first.row.dedupe_key, again.row.dedupe_key);
    assert_ne!(first.row.dedupe_key, other.row.dedupe_key);
    assert_eq!((first.row.entity_type, first.row.entity_id.as_str()), ("message", "m9"));
    assert_eq!(
        first.person.phone.map(|phone| phone.as_str().to_owned()).as_deref(),
        Some("+16195550111")
    );
}

#[test]
fn a_delivery_that_cannot_be_stored_is_refused_in_each_vendors_way() {
    for (source, status, retry) in [
        (Source::Aloware, 503, None),
        (Source::Ghl, 429, Some("30")),
        (Source::Texting, 503, None),
    ] {
        for error in [IngestError::Busy, IngestError::Unavailable] {
            let answer = answer_for(source, Err(error));
            assert_eq!(answer.status().as_u16(), status, "{source}");
            assert_eq!(
                answer.headers().get("retry-after").map(|value| value.to_str().unwrap()),
                retry,
                "{source}"
            );
        }
        assert_eq!(answer_for(source, Ok(Ack::Duplicate)).status().as_u16(), 200);
    }
}

#[actix_web::test]
async fn a_busy_intake_is_waited_for_before_aloware_is_refused() {
    let mut away = Away::new(&[]);
    let ingest = away.state.ingest.clone();
    drop(away.outbox.take());
    let started = std::time::Instant::now();
    let patience = Duration::from_millis(200);
    let event = {
        let reading = Reading {
            source: Source::Aloware,
            body: br#"{"event":"x"}"#,
            received_at: chrono::Utc::now(),
        };
        match reading.intake(&away.state.rules).unwrap() {
            Intake::Events(events) => events,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        store_patiently(&ingest, event, Source::Aloware, patience)
            .await
            .is_err()
    );
    assert!(
        started.elapsed() >= Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );
}
