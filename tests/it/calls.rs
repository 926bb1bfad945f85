//! Aloware's calls become one note and its tags on the right GHL contact.

use df_middleware::sandbox::{Fault, Times};
use serde_json::json;

use crate::support::{TestApp, call, finished_call};

const LEAD: &str = "+16195550111";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_call_leaves_one_note_and_its_tags_on_the_contact_with_that_phone() {
    let app = TestApp::start().await;
    let contact = app
        .sandbox
        .ghl
        .add_contact(json!({"firstName": "Wanda", "phone": LEAD, "tags": ["vip"]}));
    let answer = app.aloware(&finished_call(9001, LEAD)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json::<serde_json::Value>().await.unwrap(),
        json!({"success": true, "message": "Webhook received"})
    );
    app.idle().await;

    assert_eq!(
        app.sandbox.ghl.notes(&contact),
        ["Call Made on 2026-11-02 17:03 UTC (2m 5s)\nDisposition: Interested\nStatus: completed\n[df:call:9001]"]
    );
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["call: interested", "outbound call", "vip"], "other tags stay");
    assert_eq!(app.sandbox.aloware.calls_total(), 0, "a call needs no call to Aloware");
    let log = app
        .rows("SELECT direction, entity_type, entity_id, target_id, status FROM sync_log")
        .await;
    assert_eq!(
        log,
        [
            json!({"direction": "aloware_to_ghl", "entity_type": "call", "entity_id": "9001", "target_id": contact, "status": "success"})
        ]
    );
    let mapping = app
        .rows("SELECT ghl_contact_id, aloware_contact_id, phone_number, sync_direction FROM contact_mappings")
        .await;
    assert_eq!(
        mapping,
        [
            json!({"ghl_contact_id": contact, "aloware_contact_id": "700009001", "phone_number": LEAD,
            "sync_direction": "aloware_to_ghl"})
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deliveries_of_one_call_leave_one_note_that_tells_the_latest() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&call("OutboundPhoneCall", 9002, LEAD, json!({"duration": 0})))
        .await;
    // Run once its end is stored, the start would tell of that.
    app.idle().await;
    app.aloware(&call(
        "OutboundPhoneCall-DispositionCompleted",
        9002,
        LEAD,
        json!({"call_disposition": null}),
    ))
    .await;
    app.aloware(&call(
        "Call-Disposed",
        9002,
        LEAD,
        json!({"updated_at": "2026-11-02 17:05:38"}),
    ))
    .await;
    app.aloware(&call(
        "Recording-Saved",
        9002,
        LEAD,
        json!({"direct_recording_url": "https://rec.example/abc"}),
    ))
    .await;
    app.aloware(&json!({"event": "transcription.call.summarized", "body": {"summary": "Not interested.",
        "communication": {"id": 9002, "type": 1, "lead_number": LEAD}, "contact": {"id": 700_009_002, "phone_number": LEAD}}}))
        .await;
    app.idle().await;

    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(notes.len(), 3, "call, recording, summary: {notes:?}");
    assert_eq!(notes.iter().filter(|note| note.contains("[df:call:9002]")).count(), 1);
    assert!(
        notes.iter().any(|note| note.contains("Disposition: Interested")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("[RECORDING]") && note.contains("https://rec.example/abc"))
    );
    let tags = app.sandbox.ghl.tags(&contact);
    assert!(
        tags.contains(&"not interested".to_owned()) && !tags.contains(&"interested".to_owned()),
        "{tags:?}"
    );
    let skipped = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'skipped'")
        .await;
    assert_eq!(skipped, [json!({"error_message": "call_not_ended_yet"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_becomes_one_contact_even_when_two_calls_arrive_at_once() {
    let app = TestApp::start().await;
    let (first, second) = (finished_call(9003, LEAD), finished_call(9004, LEAD));
    tokio::join!(app.aloware(&first), app.aloware(&second));
    app.idle().await;
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!(contacts.len(), 1);
    let id = contacts[0]["id"].as_str().unwrap();
    assert_eq!(contacts[0]["firstName"], "Wanda");
    assert_eq!(app.sandbox.ghl.notes(id).len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_delivery_twice_gives_one_effect() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&finished_call(9005, LEAD)).await;
    let again = app.aloware(&finished_call(9005, LEAD)).await;
    assert_eq!(
        again.json::<serde_json::Value>().await.unwrap(),
        json!({"success": true, "message": "Duplicate event ignored"})
    );
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    assert_eq!(app.rows("SELECT id FROM webhook_events").await.len(), 1);
    assert_eq!(app.rows("SELECT id FROM sync_log").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_answers_503_twice_and_then_works_ends_done_with_one_note() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox.ghl.fault(
        "POST",
        "/contacts/*/notes",
        Times::Next(2),
        Fault::status(503, "unwell"),
    );
    app.aloware(&finished_call(9006, LEAD)).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    let event = app
        .rows("SELECT status, attempts, error_message FROM webhook_events")
        .await;
    assert_eq!(event, [json!({"status": "done", "attempts": 2, "error_message": null})]);
    let failures = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'error'")
        .await;
    assert_eq!(
        failures,
        [json!({"error_message": "ghl 503"}), json!({"error_message": "ghl 503"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_was_written_though_its_answer_was_lost_is_not_written_twice() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox.ghl.fault(
        "POST",
        "/contacts/*/notes",
        Times::Once,
        Fault::apply_then(Fault::Reset),
    );
    app.aloware(&finished_call(9007, LEAD)).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_ghl_no_longer_has_is_found_anew() {
    let app = TestApp::start().await;
    let old = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&finished_call(9008, LEAD)).await;
    app.idle().await;
    app.sandbox.ghl.remove_contact(&old);
    app.aloware(&finished_call(9009, LEAD)).await;
    app.idle().await;
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!(contacts.len(), 1, "{contacts:?}");
    let id = contacts[0]["id"].as_str().unwrap();
    assert_eq!(app.sandbox.ghl.notes(id).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_no_effect_is_logged_as_skipped_with_its_reason() {
    let app = TestApp::start().await;
    for (event, body, reason) in [
        (
            "Contact-Created",
            json!({"id": 5, "phone_number": LEAD}),
            "aloware_contact_event_ignored_source_of_truth_is_ghl",
        ),
        (
            "OutboundAppointment",
            json!({"id": 6, "type": 12}),
            "appointments_sot_is_ghl",
        ),
        (
            "Gizmo-Polished",
            json!({"id": 7}),
            "Unhandled event type: Gizmo-Polished",
        ),
        ("Contact-Disposed", json!({"id": 8}), "No contact mapping found"),
        (
            "Contact-DncUpdated",
            json!({"id": 9, "is_dnc": true}),
            "No phone number for DNC sync",
        ),
        (
            "Recording-Saved",
            json!({"id": 10, "lead_number": LEAD}),
            "No recording URL in payload",
        ),
        (
            "transcription.open_search.saved",
            json!({"communication": {"id": 11, "lead_number": LEAD}}),
            "No transcript text in payload",
        ),
    ] {
        app.aloware(&json!({"event": event, "body": body})).await;
        app.idle().await;
        let rows = app
            .rows("SELECT status, error_message FROM sync_log ORDER BY started_at DESC LIMIT 1")
            .await;
        assert_eq!(rows, [json!({"status": "skipped", "error_message": reason})], "{event}");
    }
    assert_eq!(app.sandbox.ghl.calls_total(), 0);
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_told_without_an_envelope_is_the_same_call() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let mut flat = finished_call(9001, LEAD)["body"].clone();
    flat["event"] = json!("OutboundPhoneCall-DispositionCompleted");
    app.aloware(&flat).await;
    app.idle().await;
    let note = "Call Made on 2026-11-02 17:03 UTC (2m 5s)\nDisposition: Interested\nStatus: completed\n[df:call:9001]";
    assert_eq!(app.sandbox.ghl.notes(&contact), [note]);
    let events = app.rows("SELECT entity_type, entity_id FROM webhook_events").await;
    assert_eq!(events, [json!({"entity_type": "call", "entity_id": "9001"})]);
    let calls = app.sandbox.ghl.calls_total();
    app.aloware(&finished_call(9001, LEAD)).await;
    app.idle().await;
    assert_eq!(
        app.sandbox.ghl.calls_total(),
        calls,
        "in its envelope it says nothing new"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_ghl_says_exists_is_taken_over() {
    let app = TestApp::start().await;
    // The search does not see a number that is somebody's second one.
    let known = app.sandbox.ghl.add_contact(json!({"email": "ida@probe.test"}));
    let refusal = json!({"statusCode": 400, "message": "This location does not allow duplicated contacts.",
        "meta": {"contactId": known, "contactName": "Ida", "matchingField": "phone"}});
    let refused = Fault::status(400, &refusal.to_string());
    app.sandbox.ghl.fault("POST", "/contacts/upsert", Times::Once, refused);
    app.aloware(&finished_call(9010, LEAD)).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&known).len(), 1);
    assert_eq!(app.sandbox.ghl.contacts().len(), 1);
    app.finish().await;

    let app = TestApp::start().await;
    let created = Fault::apply_then(Fault::status(422, "{}"));
    app.sandbox.ghl.fault("POST", "/contacts/upsert", Times::Once, created);
    app.aloware(&finished_call(9011, LEAD)).await;
    app.idle().await;
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!(contacts.len(), 1, "{contacts:?}");
    assert_eq!(app.sandbox.ghl.notes(contacts[0]["id"].as_str().unwrap()).len(), 1);
    assert_eq!(
        app.rows("SELECT status FROM webhook_events").await,
        [json!({"status": "done"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_finds_its_person_by_email_alone_and_one_that_names_nobody_is_skipped() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"email": "ida@probe.test"}));
    let told = |id: i64, who: serde_json::Value| json!({"event": "Call-Disposed", "body": {"id": id, "type": 1, "contact": who}});
    app.aloware(&told(9012, json!({"email": "Ida@probe.test"}))).await;
    app.aloware(&told(9013, json!({}))).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact), ["Call\n[df:call:9012]"]);
    assert_eq!(app.sandbox.ghl.contacts().len(), 1);
    let log = app
        .rows("SELECT entity_id, status, error_message FROM sync_log ORDER BY entity_id")
        .await;
    let reason = "No phone number or email to find the contact by";
    let wanted = [
        json!({"entity_id": "9012", "status": "success", "error_message": null}),
        json!({"entity_id": "9013", "status": "skipped", "error_message": reason}),
    ];
    assert_eq!(log, wanted);
    app.finish().await;
}
