//! Updates of one contact that wait back to back cost one run.

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use crate::support::{PATIENCE, TestApp, contact_event};

const LEAD: &str = "+16195550188";
const UPDATES: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_updates_while_the_vendor_is_slow_cost_a_few_reads_and_name_their_carrier() {
    let app = TestApp::start_with(&[("DF_HTTP_TIMEOUT", "60s")]).await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    let slow = app.sandbox.ghl.fault("GET", "/contacts/*", Times::Once, Fault::Gate);
    for n in 0..UPDATES {
        let fields = json!({"firstName": format!("Ida{n}"), "phone": LEAD});
        let event = contact_event("ContactUpdate", &id, &format!("u{n}"), fields);
        assert_eq!(app.ghl(&event).await.status(), 200);
        if n == 0 {
            let reached = |call: &df_middleware::sandbox::Call| call.method == "GET";
            app.sandbox.ghl.wait_for_call(reached, PATIENCE).await.unwrap();
        }
    }
    app.sandbox.ghl.edit_contact(&id, json!({"firstName": "Idabelle"}));
    slow.release();
    app.idle().await;
    assert_eq!(
        app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["first_name"],
        "Idabelle"
    );
    let (reads, writes) = (app.sandbox.ghl.calls_total(), app.sandbox.aloware.calls_total());
    assert!(reads <= 20 && writes <= 40, "{reads} calls to GHL, {writes} to Aloware");

    let states = app
        .rows("SELECT status, count(*) AS n FROM webhook_events GROUP BY status")
        .await;
    assert_eq!(states, [json!({"status": "done", "n": UPDATES})]);
    let log = app
        .rows("SELECT count(*) AS n, count(DISTINCT correlation_id) AS d FROM sync_log")
        .await;
    assert_eq!(log, [json!({"n": UPDATES, "d": UPDATES})], "each event has its row");
    let nameless = "SELECT 1 FROM sync_log l WHERE error_message LIKE 'coalesced%' AND NOT EXISTS (
        SELECT 1 FROM sync_log c WHERE l.error_message = 'coalesced into event ' || c.correlation_id
           AND c.status = 'success' AND l.status = 'skipped' AND c.entity_id = l.entity_id)";
    assert!(
        app.rows(nameless).await.is_empty(),
        "the carrier's own row tells the outcome"
    );
    let carried = app
        .rows("SELECT 1 FROM sync_log WHERE error_message LIKE 'coalesced%'")
        .await
        .len();
    assert!(carried >= UPDATES - 20, "{carried}");
    app.finish().await;
}

/// GHL delivers out of order: the newest delivery may show an older state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_delivery_that_carries_a_new_one_does_not_hide_it() {
    let app = TestApp::start().await;
    let fields = |name: &str| json!({"firstName": name, "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields("Ida"));
    app.ghl(&contact_event("ContactCreate", &id, "d0", fields("Ida"))).await;
    app.idle().await;
    app.sandbox.ghl.edit_contact(&id, fields("Bo"));
    let new = contact_event("ContactUpdate", &id, "d1", fields("Bo"));
    let stale = contact_event("ContactUpdate", &id, "d2", fields("Ida"));
    type_ghl(&app, &[("ContactUpdate", &id, &new), ("ContactUpdate", &id, &stale)]).await;
    app.idle().await;
    assert_eq!(app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["first_name"], "Bo");
    assert_eq!(
        app.rows("SELECT 1 FROM sync_log WHERE error_message LIKE 'coalesced%'")
            .await
            .len(),
        1
    );
    app.finish().await;
}

/// One statement, so that one claim sees them all.
async fn type_ghl(app: &TestApp, events: &[(&str, &str, &Value)]) {
    type_events(app, "ghl", events).await;
}

async fn type_events(app: &TestApp, source: &str, events: &[(&str, &str, &Value)]) {
    let rows: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(n, (kind, id, body))| format!("('{source}', '{kind}', 'contact', '{id}', '{body}', 'typed {n}')"))
        .collect();
    app.execute(&format!(
        "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key) VALUES {}",
        rows.join(", ")
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_creations_and_deletions_back_to_back_each_have_their_effect() {
    let app = TestApp::start().await;
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    let tagged = |tags: &[&str]| json!({"phone": LEAD, "tags": tags});
    let create = contact_event("ContactCreate", &id, "d0", fields.clone());
    let (hot, plain) = (tagged(&["hot lead"]), tagged(&[]));
    let tag = |n: &str, fields: Value| contact_event("ContactTagUpdate", &id, n, fields);
    let (on, off, again) = (tag("d1", hot.clone()), tag("d2", plain), tag("d3", hot));
    let delete = contact_event("ContactDelete", &id, "d4", fields);
    type_ghl(
        &app,
        &[
            ("ContactCreate", &id, &create),
            ("ContactCreate", &id, &create),
            ("ContactTagUpdate", &id, &on),
            ("ContactTagUpdate", &id, &off),
            ("ContactTagUpdate", &id, &again),
            ("ContactDelete", &id, &delete),
            ("ContactDelete", &id, &delete),
        ],
    )
    .await;
    app.idle().await;
    assert!(
        app.rows("SELECT 1 FROM sync_log WHERE error_message LIKE 'coalesced%'")
            .await
            .is_empty()
    );
    let lists = app.rows("SELECT status FROM sync_log WHERE entity_type = 'list'").await;
    assert_eq!(lists.len(), 3, "on, off and on again: {lists:?}");
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301]);
    app.finish().await;
}

/// Where Aloware is the source of truth its deliveries are written as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_aloware_s_updates_the_last_has_its_word_and_loses_no_field_that_only_an_earlier_one_named() {
    let app = TestApp::start_with(&[("CONTACT_SOURCE_OF_TRUTH", "aloware")]).await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    let update = |fields: Value| {
        let mut body = json!({"id": 7, "phone_number": LEAD});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"event": "Contact-Updated", "body": body})
    };
    let bodies = [
        update(json!({"first_name": "Una"})),
        update(json!({"first_name": "Dua"})),
        update(json!({"city": "Reno", "first_name": "Tria"})),
        update(json!({"first_name": "Quattra"})),
        update(json!({"first_name": "Quinta"})),
    ];
    let events: Vec<(&str, &str, &Value)> = bodies.iter().map(|body| ("Contact-Updated", "7", body)).collect();
    type_events(&app, "aloware", &events).await;
    app.idle().await;
    let contact = app.sandbox.ghl.contact(&id).unwrap();
    assert_eq!(
        (&contact["firstName"], &contact["city"]),
        (&json!("Quinta"), &json!("Reno"))
    );
    let writes: Vec<Value> = app
        .sandbox
        .ghl
        .calls_to("PUT", "/contacts/*")
        .into_iter()
        .map(|call| call.body["firstName"].clone())
        .collect();
    assert_eq!(writes, [json!("Dua"), json!("Tria"), json!("Quinta")]);
    assert_eq!(
        app.rows("SELECT 1 FROM sync_log WHERE error_message LIKE 'coalesced%'")
            .await
            .len(),
        2
    );
    app.finish().await;
}
