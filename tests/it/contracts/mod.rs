//! Everything said to a vendor, and everything its simulator answers, is as the
//! vendor's official files say. Every test that ends with `TestApp::finish` is
//! held to them; here every operation is made once.

mod openapi;
mod reader;
mod samples;
mod simulators;
pub mod vendors;

use std::collections::BTreeSet;

use df_middleware::sandbox::ghl::ProviderKind;
use df_middleware::sandbox::{Fault, Times, Vendor};
use serde_json::{Value, json};

use crate::support::{TestApp, call, contact_event, finished_call, text};

const KNOWN: &str = "+16195550101";
const NEW: &str = "+16195550102";

/// Every operation a flow uses.
const OPERATIONS: [&str; 17] = [
    "DELETE /contacts/{contactId}/tags",
    "GET /api/v1/webhook/contact/phone-number",
    "GET /contacts/search/duplicate",
    "GET /contacts/{contactId}",
    "GET /contacts/{contactId}/notes",
    "GET /conversations/search",
    "GET /conversations/{conversationId}/messages",
    "POST /api/v1/webhook/forms",
    "POST /api/v1/webhook/powerdialer-remove-contact-from-lists",
    "POST /contacts/upsert",
    "POST /contacts/{contactId}/notes",
    "POST /contacts/{contactId}/tags",
    "POST /conversations/messages/inbound",
    "POST /conversations/messages/outbound",
    "PUT /contacts/{contactId}",
    "PUT /contacts/{contactId}/notes/{id}",
    "PUT /conversations/messages/{messageId}/status",
];

/// Says why a test that needs the official files does nothing without them.
fn absent() {
    eprintln!("skipped: no folder shared/contracts above the repository");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_flows_is_one_of_the_official_files() {
    let Some(contracts) = vendors::contracts() else {
        return absent();
    };
    let changes = [
        ("GHL_CONVERSATION_PROVIDER_ID", "provider1"),
        ("GHL_CALL_PROVIDER_ID", "calls1"),
        ("GHL_CUSTOM_FIELDS", "alowareContactId=field1,leadSource=field2"),
    ];
    let app = TestApp::start_with(&changes).await;
    // The type that is tried second: the first is refused with 400.
    app.sandbox.ghl.set_provider("provider1", ProviderKind::Sms);
    app.sandbox.ghl.set_call_provider("calls1");
    let contact = contacts(&app).await;
    calls(&app).await;
    texts(&app, &contact).await;
    gone(&app).await;
    let recorded = app.sandbox.calls();
    let made: BTreeSet<String> = recorded
        .iter()
        .filter(|call| call.vendor != Vendor::Texting)
        .map(|call| contracts.check(call).unwrap_or_else(|| panic!("{call:?}")).operation)
        .collect();
    assert_eq!(made.into_iter().collect::<Vec<_>>(), OPERATIONS);
    app.finish().await;
}

/// A contact that both sides complete, on a list and off it again.
async fn contacts(app: &TestApp) -> String {
    let theirs = json!({"phone_number": KNOWN, "first_name": "Ida", "country": "US", "lead_source": "Fair"});
    app.sandbox.aloware.add_contact(theirs);
    let ours = json!({"firstName": "Ida", "lastName": "Probe", "email": "ida@probe.test", "phone": KNOWN});
    let id = app.sandbox.ghl.add_contact(ours.clone());
    app.ghl(&contact_event("ContactCreate", &id, "c1", ours)).await;
    app.idle().await;
    for (delivery, tags) in [("c2", vec!["hot lead"]), ("c3", vec![])] {
        let body = contact_event("ContactTagUpdate", &id, delivery, json!({"phone": KNOWN, "tags": tags}));
        app.ghl(&body).await;
        app.idle().await;
    }
    id
}

/// A stranger's call, its correction, and one whose note's answer is lost.
async fn calls(app: &TestApp) {
    app.aloware(&finished_call(9001, NEW)).await;
    app.idle().await;
    app.aloware(&call(
        "Call-Disposed",
        9001,
        NEW,
        json!({"call_disposition": "Call back"}),
    ))
    .await;
    app.idle().await;
    let lost = Fault::apply_then(Fault::Reset);
    app.sandbox.ghl.fault("POST", "/contacts/*/notes", Times::Once, lost);
    app.aloware(&finished_call(9002, NEW)).await;
    app.idle().await;
}

/// A text whose answer is lost, STOP, an agent's text that may not leave, START.
async fn texts(app: &TestApp, contact: &str) {
    app.texting(&text("message.received", "m0", KNOWN, "hello")).await;
    app.idle().await;
    let lost = Fault::apply_then(Fault::Reset);
    app.sandbox
        .ghl
        .fault("POST", "/conversations/messages/inbound", Times::Once, lost);
    app.texting(&text("message.received", "m1", KNOWN, "are you there?"))
        .await;
    app.texting(&text("message.received", "m2", KNOWN, "STOP")).await;
    app.idle().await;
    let typed = app.sandbox.ghl.agent_text(contact, "one more thing").unwrap();
    let answer = samples::deliver(app, samples::Door::Provider, &typed).await;
    assert_eq!(answer.status(), 200);
    app.idle().await;
    let mut start = text("message.received", "m3", KNOWN, "START");
    start["message"]["timestamp"] = json!("2026-11-02T18:00:00Z");
    app.texting(&start).await;
    app.idle().await;
    let failed = |message: &&Value| message["status"] == "failed";
    assert_eq!(app.sandbox.ghl.messages().iter().filter(failed).count(), 1);
}

/// An id that GHL no longer has is answered 400.
async fn gone(app: &TestApp) {
    let body = contact_event("ContactUpdate", "nobodyAnyMore0000001", "g1", json!({"phone": NEW}));
    app.ghl(&body).await;
    app.idle().await;
}
