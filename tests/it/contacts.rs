//! GHL's contacts become Aloware's, field by field, and our own writes end the loop.

use serde_json::{Value, json};

use crate::support::{PATIENCE, TestApp, contact_event, text};

const LEAD: &str = "+16195550122";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_ghl_contact_is_made_in_aloware_and_mapped() {
    for (n, spelling) in ["ContactCreate", "contact.created", "ContactUpdate", "contact.updated"]
        .into_iter()
        .enumerate()
    {
        let app = TestApp::start().await;
        let fields = json!({"firstName": "Ida", "lastName": "Probe", "email": "ida@probe.test", "phone": LEAD});
        let id = app.sandbox.ghl.add_contact(fields.clone());
        app.ghl(&contact_event(spelling, &id, &format!("d{n}"), fields)).await;
        app.idle().await;
        let made = app.sandbox.aloware.contact_by_phone(LEAD).unwrap();
        assert_eq!(
            (&made["first_name"], &made["email"]),
            (&json!("Ida"), &json!("ida@probe.test")),
            "{spelling}"
        );
        let mapping = app
            .rows("SELECT ghl_contact_id, aloware_contact_id, phone_number, email FROM contact_mappings")
            .await;
        let aloware_id = made["id"].to_string();
        assert_eq!(
            mapping,
            [
                json!({"ghl_contact_id": id, "aloware_contact_id": aloware_id, "phone_number": LEAD, "email": "ida@probe.test"})
            ]
        );
        let log = app.rows("SELECT status, target_id, decisions FROM sync_log").await;
        assert_eq!(
            (&log[0]["status"], &log[0]["target_id"]),
            (&json!("success"), &json!(aloware_id))
        );
        let reasons = log[0]["decisions"].as_array().unwrap();
        assert!(
            reasons
                .iter()
                .any(|d| d["field"] == "email" && d["reason"] == "only source"),
            "{reasons:?}"
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_reaches_the_other_side_and_its_echo_ends_there() {
    let app = TestApp::start().await;
    app.sandbox.ghl.echo_to(&format!("{}/api/webhooks/ghl", app.base));
    app.sandbox
        .aloware
        .add_contact(json!({"phone_number": LEAD, "first_name": "Ida", "last_name": "Probe", "country": "US"}));
    let id = app
        .sandbox
        .ghl
        .add_contact(json!({"firstName": "Ida", "lastName": "Probe", "phone": LEAD}));
    app.sandbox.ghl.edit_contact(&id, json!({"email": "new@probe.test"}));
    settle(&app).await;
    assert_eq!(
        app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["email"],
        "new@probe.test"
    );
    assert_eq!(
        app.sandbox.ghl.contact(&id).unwrap()["country"],
        "US",
        "the merge fills GHL too"
    );
    let writes = app.sandbox.ghl.calls_to("PUT", "/contacts/").len();
    assert_eq!(writes, 1);
    let echoes = app
        .rows("SELECT error_message FROM sync_log WHERE error_message LIKE 'no_change%'")
        .await;
    assert_eq!(echoes.len(), 1, "our own PUT came back and was recognised");

    // A genuine edit by the same person is not muted by the echo before it.
    app.sandbox.ghl.edit_contact(&id, json!({"firstName": "Idabelle"}));
    settle(&app).await;
    assert_eq!(
        app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["first_name"],
        "Idabelle"
    );
    // A correction to a shorter name is kept.
    app.sandbox.ghl.edit_contact(&id, json!({"firstName": "Bo"}));
    settle(&app).await;
    assert_eq!(app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["first_name"], "Bo");
    assert_eq!(app.sandbox.ghl.contact(&id).unwrap()["firstName"], "Bo");
    app.finish().await;
}

/// Waits until no echo is under way and no event is unfinished.
async fn settle(app: &TestApp) {
    app.sandbox.ghl.echoes_settled(PATIENCE).await;
    app.idle().await;
    app.sandbox.ghl.echoes_settled(PATIENCE).await;
    app.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_changes_nothing_writes_nothing() {
    let app = TestApp::start().await;
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactUpdate", &id, "d1", fields.clone()))
        .await;
    app.idle().await;
    let (ghl, aloware) = (app.sandbox.ghl.calls_total(), app.sandbox.aloware.calls_total());
    app.ghl(&contact_event("ContactUpdate", &id, "d2", fields)).await;
    app.idle().await;
    assert_eq!(
        (app.sandbox.ghl.calls_total(), app.sandbox.aloware.calls_total()),
        (ghl, aloware)
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_contact_is_marked_and_a_later_call_gets_a_fresh_one() {
    let app = TestApp::start().await;
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d1", fields.clone()))
        .await;
    app.idle().await;
    app.sandbox.ghl.remove_contact(&id);
    app.ghl(&contact_event("ContactDelete", &id, "d2", fields)).await;
    app.idle().await;
    let rows = app
        .rows("SELECT error_message, target_id IS NOT NULL AS named FROM sync_log WHERE status = 'skipped'")
        .await;
    let text = "contact.deleted not fully implemented - manual cleanup may be needed";
    assert_eq!(rows, [json!({"error_message": text, "named": true})]);
    app.aloware(&crate::support::finished_call(9100, LEAD)).await;
    app.idle().await;
    let fresh: Vec<Value> = app.sandbox.ghl.contacts();
    assert_eq!(fresh.len(), 1);
    assert_ne!(fresh[0]["id"], json!(id));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_puts_only_this_contact_on_its_list_and_taking_it_away_takes_it_off() {
    let app = TestApp::start().await;
    app.sandbox
        .aloware
        .add_contact(json!({"phone_number": "+16195550199", "first_name": "Bystander"}));
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d0", fields)).await;
    app.idle().await;
    let tagged = |tags: &[&str]| json!({"phone": LEAD, "tags": tags});
    app.ghl(&contact_event(
        "ContactTagUpdate",
        &id,
        "d1",
        tagged(&["hot lead", "call me", "other"]),
    ))
    .await;
    app.idle().await;
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301, 302]);
    assert_eq!(app.sandbox.aloware.lists_of("+16195550199"), Vec::<i64>::new());
    app.ghl(&contact_event(
        "ContactTagUpdate",
        &id,
        "d2",
        tagged(&["call me", "other"]),
    ))
    .await;
    app.idle().await;
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [302]);
    let rows = app.rows("SELECT entity_id, target_id, status FROM sync_log WHERE entity_type = 'list' ORDER BY started_at, entity_id").await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(
        rows[2],
        json!({"entity_id": "hot lead", "target_id": "301", "status": "success"})
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_webhook_with_the_path_secret_syncs_the_person_and_the_tags() {
    let app = TestApp::start().await;
    let id = app
        .sandbox
        .ghl
        .add_contact(json!({"firstName": "Flow", "phone": LEAD, "tags": ["hot lead"]}));
    let body = json!({"contact_id": id, "first_name": "Flow", "phone": LEAD, "tags": "hot lead,odd", "id": "opportunity-7",
        "workflow": {"id": "w1", "name": "Tagged"}, "customData": {}});
    let url = format!("{}/api/webhooks/ghl/{}", app.base, crate::support::GHL_SECRET);
    let answer = app.client.post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    app.idle().await;
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301]);
    let event = app
        .rows("SELECT entity_id, event_type, status FROM webhook_events")
        .await;
    assert_eq!(
        event,
        [json!({"entity_id": id, "event_type": "contact.updated", "status": "done"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_after_the_deletion_gets_a_fresh_contact_and_a_late_update_revives_nothing() {
    let app = TestApp::start().await;
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d1", fields.clone()))
        .await;
    app.idle().await;
    app.sandbox.ghl.remove_contact(&id);
    app.ghl(&contact_event("ContactDelete", &id, "d2", fields)).await;
    // Sent before the deletion, delivered after it.
    let late = json!({"firstName": "Idabelle", "phone": LEAD});
    app.ghl(&contact_event("ContactUpdate", &id, "d3", late)).await;
    app.texting(&text("message.received", "m1", LEAD, "are you there?"))
        .await;
    app.idle().await;
    let fresh = app.sandbox.ghl.contacts();
    assert_eq!(fresh.len(), 1);
    let fresh = fresh[0]["id"].as_str().unwrap();
    assert_ne!(fresh, id);
    assert_eq!(app.sandbox.ghl.notes(fresh).len(), 1, "the text is on the new contact");
    let mapped = app
        .rows("SELECT ghl_contact_id FROM contact_mappings WHERE deleted_at IS NULL")
        .await;
    assert_eq!(mapped, [json!({"ghl_contact_id": fresh})]);
    let late = app
        .rows("SELECT status FROM sync_log WHERE error_message = 'Contact not found in GHL'")
        .await;
    assert_eq!(late, [json!({"status": "skipped"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_disturb_of_the_crm_blocks_our_texts_until_the_crm_lifts_it() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    let set = |at: &str, status: &str| json!({"phone": LEAD, "timestamp": at, "dnd": false, "dndSettings": {"SMS": {"status": status}}});
    for (at, spelling, status, answer) in [
        ("2026-11-02T17:10:00.000Z", "ContactDndUpdate", "permanent", 409),
        ("2026-11-02T17:11:00.000Z", "contact.dnd.updated", "inactive", 202),
    ] {
        let calls = app.sandbox.ghl.calls_total();
        app.ghl(&contact_event(spelling, &id, at, set(at, status))).await;
        app.idle().await;
        assert_eq!(app.send(LEAD, "hello").await.status(), answer, "{status}");
        assert_eq!(app.sandbox.ghl.calls_total(), calls, "the delivery says it all");
    }
    let rows = app
        .rows("SELECT cause, action, source FROM optout_history ORDER BY recorded_at")
        .await;
    let row = |action: &str| json!({"cause": "crm_dnd", "action": action, "source": "ghl"});
    assert_eq!(rows, [row("block"), row("lift")]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_of_an_unknown_contact_leaves_its_row() {
    let app = TestApp::start().await;
    for (n, spelling) in ["ContactDelete", "contact.deleted"].into_iter().enumerate() {
        app.ghl(&contact_event(spelling, "nobody", &format!("d{n}"), json!({})))
            .await;
        app.idle().await;
    }
    let log = app
        .rows("SELECT direction, entity_type, entity_id, status, error_message FROM sync_log")
        .await;
    let row = json!({"direction": "ghl_to_aloware", "entity_type": "contact", "entity_id": "nobody",
        "status": "skipped", "error_message": "No contact mapping found"});
    assert_eq!(log, vec![row; 2]);
    assert!(app.sandbox.calls().is_empty());
    app.finish().await;
}
