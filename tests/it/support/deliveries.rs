//! Deliveries in the vendors' shapes, with people of our own invention.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use df_middleware::sandbox::Sandbox;
use df_middleware::sandbox::ghl::ProviderKind;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sha2::Sha256;

pub const ALOWARE_USER: &str = "aloware";
pub const ALOWARE_PASS: &str = "pass:with:colons";
pub const GHL_SECRET: &str = "ghl-path-secret-0001";
pub const TEXTING_SECRET: &str = "texting-secret-0001";
pub const JOBS_SECRET: &str = "jobs-secret-0001";
pub const ADMIN_SECRET: &str = "admin-secret-0001";
pub const OUR_NUMBER: &str = "+18585550100";

/// Posts a delivery from Aloware.
pub async fn post_aloware(client: &Client, base: &str, body: &Value) -> Response {
    client
        .post(format!("{base}/api/webhooks/aloware"))
        .basic_auth(ALOWARE_USER, Some(ALOWARE_PASS))
        .json(body)
        .send()
        .await
        .unwrap()
}

/// Posts a delivery from the texting vendor.
pub async fn post_texting(client: &Client, base: &str, body: &Value) -> Response {
    client
        .post(format!("{base}/api/webhooks/texting"))
        .header("X-Texting-Secret", TEXTING_SECRET)
        .json(body)
        .send()
        .await
        .unwrap()
}

/// A key of Standard Webhooks, which proves a delivery whoever the vendor is.
pub const STANDARD_KEY: &str = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";

/// Posts a delivery of any form, proved by [`STANDARD_KEY`].
pub async fn post_standard(client: &Client, base: &str, content_type: &str, body: Vec<u8>) -> Response {
    let now = chrono::Utc::now().timestamp();
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"123456789012345678901234").unwrap();
    mac.update(format!("msg-1.{now}.").as_bytes());
    mac.update(&body);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    client
        .post(format!("{base}/api/webhooks/texting"))
        .header("webhook-id", "msg-1")
        .header("webhook-timestamp", now.to_string())
        .header("webhook-signature", signature)
        .header("content-type", content_type)
        .body(body)
        .send()
        .await
        .unwrap()
}

/// Posts a signed delivery of a text that an agent typed in GHL.
pub async fn post_provider(client: &Client, base: &str, sandbox: &Sandbox, body: &Value) -> Response {
    let body = body.to_string();
    client
        .post(format!("{base}/api/webhooks/ghl/provider-delivery"))
        .header("X-GHL-Signature", sandbox.ghl.sign(body.as_bytes()))
        .body(body)
        .send()
        .await
        .unwrap()
}

/// The settings with which agents' texts have a provider.
pub const PROVIDER: (&str, &str) = ("GHL_CONVERSATION_PROVIDER_ID", "provider1");

/// What GHL delivers when an agent types a text to this number.
pub fn typed(sandbox: &Sandbox, phone: &str, words: &str) -> Value {
    sandbox.ghl.set_provider(PROVIDER.1, ProviderKind::Custom);
    let contact = match sandbox.ghl.contact_by_phone(phone) {
        Some(contact) => contact["id"].as_str().unwrap().to_owned(),
        None => sandbox.ghl.add_contact(json!({"phone": phone})),
    };
    sandbox.ghl.agent_text(&contact, words).unwrap()
}

/// A call delivery: `event` is the wire name.
pub fn call(event: &str, call_id: i64, phone: &str, changes: Value) -> Value {
    let mut body = json!({
        "id": call_id,
        "contact_id": 700_000_000 + call_id,
        "type": 1,
        "direction": 2,
        "lead_number": phone,
        "incoming_number": OUR_NUMBER,
        "destination_number": "client:agent4001",
        "duration": 125,
        "disposition_status": "completed",
        "call_disposition": "Interested",
        "created_at": "2026-11-02 17:03:20",
        "updated_at": "2026-11-02 17:05:31",
        "contact": {
            "id": 700_000_000 + call_id,
            "first_name": "Wanda",
            "last_name": "Tester",
            "phone_number": phone,
            "is_dnc": false,
            "is_opted_out": false,
            "text_authorized": 0
        }
    });
    merge(&mut body, changes);
    json!({"event": event, "body": body})
}

/// A finished outbound call.
pub fn finished_call(call_id: i64, phone: &str) -> Value {
    call("OutboundPhoneCall-DispositionCompleted", call_id, phone, json!({}))
}

/// A GHL contact event as the marketplace app sends it.
pub fn contact_event(kind: &str, id: &str, delivery: &str, fields: Value) -> Value {
    let mut body = json!({
        "type": kind,
        "locationId": df_middleware::sandbox::ghl::LOCATION,
        "id": id,
        "timestamp": "2026-11-02T17:10:00.000Z",
        "webhookId": delivery
    });
    merge(&mut body, fields);
    body
}

/// An inbound or outbound text in the generic dialect.
pub fn text(kind: &str, id: &str, consumer: &str, body: &str) -> Value {
    let (from, to) = if kind == "message.received" {
        (consumer, OUR_NUMBER)
    } else {
        (OUR_NUMBER, consumer)
    };
    json!({"type": kind, "message": {"id": id, "conversationId": "conv-1", "from": from, "to": to, "body": body,
        "timestamp": "2026-11-02T17:20:00Z"}})
}

fn merge(into: &mut Value, changes: Value) {
    if let (Value::Object(into), Value::Object(changes)) = (into, changes) {
        into.extend(changes);
    }
}
