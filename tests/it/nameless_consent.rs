//! Consent in deliveries that name the person by id only: the mapping, else the
//! vendor, tells whose number it is.

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use crate::support::{TestApp, contact_event};

const LEAD: &str = "+16195550188";

/// What blocks whom now.
async fn blocks(app: &TestApp) -> Vec<Value> {
    app.rows("SELECT phone_number, cause FROM optout_blocks WHERE active ORDER BY 1, 2")
        .await
}

async fn map(app: &TestApp, ghl: &str) {
    app.execute(&format!(
        "INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, phone_number) VALUES ('{ghl}', '155', '{LEAD}')"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_call_without_a_number_blocks_the_mapped_number_before_its_answer() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    map(&app, &contact).await;
    app.sandbox.ghl.fault("*", "/", Times::Forever, Fault::Hang);
    let told = |on: bool| json!({"event": "contact.dnc.updated", "id": 155, "is_dnc": on});
    assert_eq!(app.aloware(&told(true)).await.status(), 200);
    assert_eq!(
        blocks(&app).await,
        [json!({"phone_number": LEAD, "cause": "voice_dnc"})],
        "while GHL hangs"
    );
    assert_eq!(app.send(LEAD, "one more offer").await.status(), 409);
    app.sandbox.clear_faults();
    app.idle().await;
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["dnc", "do not call"]);
    app.aloware(&told(false)).await;
    app.idle().await;
    assert!(blocks(&app).await.is_empty());
    assert!(app.sandbox.ghl.tags(&contact).is_empty());
    assert_eq!(app.send(LEAD, "welcome back").await.status(), 202);
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_call_whose_number_was_learnt_after_its_answer_is_recorded_by_its_run() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    map(&app, &contact).await;
    // Typed by an operator, it never passed the door where the mapping is asked.
    app.execute(
        r#"INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
           VALUES ('aloware', 'contact.dnc.updated', 'contact', '155',
                   '{"event": "contact.dnc.updated", "id": 155, "is_dnc": true}', 'typed')"#,
    )
    .await;
    app.idle().await;
    assert_eq!(
        blocks(&app).await,
        [json!({"phone_number": LEAD, "cause": "voice_dnc"})]
    );
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["dnc", "do not call"]);
    assert_eq!(app.send(LEAD, "one more offer").await.status(), 409);
    assert!(app.sandbox.texting.sent().is_empty());
    app.finish().await;
}

fn dnd(contact: &str, delivery: &str, minute: u32, fields: Value) -> Value {
    let at = json!({"timestamp": format!("2026-11-02T17:{minute}:00.000Z")});
    let mut body = contact_event("ContactDndUpdate", contact, delivery, fields);
    body.as_object_mut().unwrap().extend(at.as_object().unwrap().clone());
    body.as_object_mut().unwrap().remove("phone");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_disturb_without_a_number_blocks_the_mapped_number_before_its_answer() {
    let app = TestApp::start().await;
    let set = json!({"phone": LEAD, "dnd": true, "dndSettings": {"SMS": {"status": "active"}}});
    let contact = app.sandbox.ghl.add_contact(set);
    map(&app, &contact).await;
    app.sandbox.ghl.fault("*", "/", Times::Forever, Fault::Hang);
    let body = dnd(&contact, "d1", 10, json!({"dnd": true}));
    assert_eq!(app.ghl(&body).await.status(), 200);
    let blocked = [json!({"phone_number": LEAD, "cause": "crm_dnd"})];
    assert_eq!(blocks(&app).await, blocked, "while GHL hangs");
    assert_eq!(app.send(LEAD, "one more offer").await.status(), 409);
    app.sandbox.clear_faults();
    app.idle().await;
    assert_eq!(blocks(&app).await, blocked);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_disturb_of_a_contact_nobody_mapped_is_read_from_ghl() {
    let app = TestApp::start().await;
    let set = json!({"phone": LEAD, "dndSettings": {"SMS": {"status": "active", "message": "Updated by 'Jo Agent'"}}});
    let contact = app.sandbox.ghl.add_contact(set);
    let state = |status: &str| json!({"dndSettings": {"SMS": {"status": status}}});
    app.ghl(&dnd(&contact, "d1", 10, state("active"))).await;
    app.idle().await;
    assert_eq!(blocks(&app).await, [json!({"phone_number": LEAD, "cause": "crm_dnd"})]);
    assert_eq!(app.send(LEAD, "one more offer").await.status(), 409);
    app.sandbox.ghl.edit_contact(&contact, state("inactive"));
    app.ghl(&dnd(&contact, "d2", 20, state("inactive"))).await;
    app.idle().await;
    assert!(blocks(&app).await.is_empty());
    assert_eq!(app.send(LEAD, "welcome back").await.status(), 202);
    let log = app.rows("SELECT DISTINCT status, error_message FROM sync_log").await;
    assert_eq!(
        log,
        [json!({"status": "skipped", "error_message": "do-not-disturb recorded in the registry"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_disturb_that_nobody_has_a_number_for_is_not_logged_as_recorded() {
    let app = TestApp::start().await;
    let ours = json!({"SMS": {"status": "active", "message": "Opted out by text"}});
    let marked = app.sandbox.ghl.add_contact(json!({"phone": LEAD, "dndSettings": ours}));
    let numberless = app
        .sandbox
        .ghl
        .add_contact(json!({"email": "ida@example.com", "dnd": true}));
    app.ghl(&dnd(&marked, "d1", 10, json!({"dnd": false}))).await;
    app.ghl(&dnd(&numberless, "d2", 10, json!({"dnd": true}))).await;
    app.idle().await;
    assert!(blocks(&app).await.is_empty());
    let log = app.rows("SELECT error_message FROM sync_log ORDER BY 1").await;
    let reasons: Vec<&str> = log.iter().filter_map(|row| row["error_message"].as_str()).collect();
    assert_eq!(reasons, ["our own do-not-disturb", "the contact has no phone number"]);
    app.finish().await;
}
