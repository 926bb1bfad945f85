//! The webhooks of the simulator's own writes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::json;

use super::api;
use crate::sandbox::ghl::{LOCATION, ProviderKind};
use crate::sandbox::{Call, Sandbox};

/// The webhooks; the texting vendor's server is merely a recorder here.
async fn hooks(sandbox: &Sandbox) -> Vec<Call> {
    assert!(sandbox.ghl.echoes_settled(Duration::from_secs(5)).await);
    sandbox.texting.calls_to("POST", "/hook")
}

#[tokio::test]
async fn every_change_comes_back_as_its_event_in_order() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.ghl.echo_to(&format!("{}/hook", sandbox.texting.url()));
    let body = json!({"locationId": LOCATION, "phone": "+16195550111", "tags": ["A"]});
    let created = api(&sandbox, "POST", "/contacts/", Some(body)).await.body;
    let id = created["contact"]["id"].as_str().unwrap();
    let path = format!("/contacts/{id}");
    api(
        &sandbox,
        "PUT",
        &path,
        Some(json!({"city": "Austin", "tags": ["a", "b"]})),
    )
    .await;
    api(
        &sandbox,
        "PUT",
        &path,
        Some(json!({"city": "Austin", "tags": ["B", "A"]})),
    )
    .await;
    api(&sandbox, "POST", &format!("{path}/tags"), Some(json!({"tags": ["b"]}))).await;
    let settings = json!({"SMS": {"status": "active"}});
    api(&sandbox, "PUT", &path, Some(json!({"dndSettings": settings}))).await;
    api(
        &sandbox,
        "POST",
        &format!("{path}/notes"),
        Some(json!({"body": "n", "title": "t"})),
    )
    .await;
    sandbox.ghl.set_provider("p1", ProviderKind::Sms);
    let text = json!({"type": "SMS", "contactId": id, "message": "hi", "direction": "inbound"});
    api(&sandbox, "POST", "/conversations/messages/inbound", Some(text)).await;
    api(&sandbox, "DELETE", &path, None).await;
    let hooks = hooks(&sandbox).await;
    let kinds: Vec<_> = hooks.iter().map(|hook| hook.body["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "ContactCreate",
            "ContactUpdate",
            "ContactTagUpdate",
            "ContactTagUpdate",
            "ContactDndUpdate",
            "NoteCreate",
            "InboundMessage",
            "ContactDelete",
        ]
    );
    assert_eq!(hooks[0].body["tags"], json!(["a"]));
    assert!(hooks[0].body.get("dndSettings").is_none());
    assert_eq!(hooks[4].body["dndSettings"], settings);
    assert_eq!(hooks[5].body["contactId"], json!(id));
    assert!(hooks[5].body.get("title").is_none());
}

#[tokio::test]
async fn a_webhook_is_flat_and_signed_over_its_bytes() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.ghl.echo_to(&format!("{}/hook", sandbox.texting.url()));
    let id = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    assert!(sandbox.ghl.edit_contact(&id, json!({"city": "Austin"})));
    assert!(!sandbox.ghl.edit_contact("nobody", json!({"city": "Austin"})));
    let hooks = hooks(&sandbox).await;
    assert_eq!(hooks.len(), 1);
    let body = &hooks[0].body;
    assert_eq!(
        (&body["type"], &body["locationId"]),
        (&json!("ContactUpdate"), &json!(LOCATION))
    );
    assert_eq!((&body["id"], &body["city"]), (&json!(id), &json!("Austin")));
    assert!(body["webhookId"].is_string() && body["timestamp"].is_string());
    assert!(body.get("dateUpdated").is_none());
    let key = VerifyingKey::from_bytes(&sandbox.ghl.public_key()).unwrap();
    let signature = STANDARD.decode(&hooks[0].headers["x-ghl-signature"]).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    assert!(key.verify(body.to_string().as_bytes(), &signature).is_ok());
    assert!(sandbox.ghl.public_key_pem().contains("BEGIN PUBLIC KEY"));
    assert_eq!(STANDARD.decode(sandbox.ghl.public_key_base64()).unwrap().len(), 32);
}

#[tokio::test]
async fn a_webhook_that_is_refused_is_not_sent_again() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.ghl.echo_to(&format!("{}/hook", sandbox.texting.url()));
    let id = sandbox.ghl.add_contact(json!({}));
    sandbox.ghl.edit_contact(&id, json!({"city": "Austin"}));
    assert_eq!(hooks(&sandbox).await.len(), 1);
    assert_eq!(sandbox.ghl.echoes()[0].status, Some(404));
    sandbox.ghl.stop_echo();
    sandbox.ghl.edit_contact(&id, json!({"city": "Dallas"}));
    assert_eq!(hooks(&sandbox).await.len(), 1);
}
