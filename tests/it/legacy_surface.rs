//! `aloware.call_surface = "legacy"`: what no delivery tells is read by id, from
//! accounts that serve that, and from no others.

use df_middleware::sandbox::{Fault, Times};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{ADMIN_SECRET, TestApp, finished_call, query};

const LEAD: &str = "+16195550111";
const LEGACY: &[(&str, &str)] = &[("ALOWARE_SURFACE", "legacy"), ("JOBS_RETRY_LIMIT", "2")];

/// A daemon whose account serves reads by id and has one contact, by its id.
async fn start(changes: &[(&str, &str)]) -> (TestApp, i64) {
    let app = TestApp::start_with(changes).await;
    app.sandbox.aloware.serve_reads_by_id();
    let form = json!({"phone_number": LEAD, "first_name": "Wanda", "disposition_status_id": 4});
    let id = app.sandbox.aloware.add_contact(form);
    (app, id)
}

/// The call `c1` as the seed's account keeps it.
fn kept(contact: i64, status: &str) -> Value {
    json!({"id": "c1", "contact_id": contact, "direction": "inbound", "duration": 125, "status": status,
        "disposition": "Interested", "created_at": "2026-11-02 17:03:20"})
}

/// Delivers, waits, and answers how the event ended and what was logged of it last.
async fn told(app: &TestApp, delivery: &Value) -> Value {
    assert_eq!(app.aloware(delivery).await.status(), 200);
    app.idle().await;
    let ending = "SELECT e.status, e.error_message AS error, l.status AS log, l.error_message AS reason
        FROM webhook_events e LEFT JOIN sync_log l ON l.correlation_id = e.id::text
        ORDER BY e.seq DESC, l.started_at DESC LIMIT 1";
    app.rows(ending).await.remove(0)
}

fn done(log: &str, reason: Option<&str>) -> Value {
    json!({"status": "done", "error": null, "log": log, "reason": reason})
}

/// The paths Aloware was asked for, in order.
fn asked(app: &TestApp) -> Vec<String> {
    app.sandbox.aloware.calls().into_iter().map(|call| call.path).collect()
}

async fn sync(app: &TestApp, id: i64) -> Response {
    let url = format!("{}/api/sync/contacts?alowareContactId={id}", app.base);
    let request = app.client.post(url).header("X-DF-ADMIN-SECRET", ADMIN_SECRET);
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_event_that_names_nobody_becomes_a_note_on_the_contact_its_call_names() {
    let (app, lead) = start(LEGACY).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let other = app.sandbox.ghl.add_contact(json!({"phone": "+16195550112"}));
    app.sandbox.aloware.put_call(kept(lead, "in-progress"));
    let began = told(&app, &json!({"event": "call.started", "id": "c1"})).await;
    assert_eq!(began, done("skipped", Some("call_not_ended_yet")));
    app.sandbox.aloware.put_call(kept(lead, "completed"));
    let ended = told(&app, &json!({"event": "call.completed", "id": "c1"})).await;
    assert_eq!(ended, done("success", None));
    let note =
        "Call Received on 2026-11-02 17:03 UTC (2m 5s)\nDisposition: Interested\nStatus: completed\n[df:call:c1]";
    assert_eq!(app.sandbox.ghl.notes(&contact), [note]);
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["call: interested", "inbound call"]);
    assert_eq!(app.sandbox.ghl.notes(&other).len(), 0);
    let person = format!("/api/v1/contacts/{lead}");
    assert_eq!(asked(&app), ["/api/v1/calls/c1", "/api/v1/calls/c1", person.as_str()]);

    let recording = json!({"event": "recording.saved", "call_id": "c1", "url": "https://rec.example/1"});
    assert_eq!(told(&app, &recording).await, done("success", None));
    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.contains(&note.to_owned()) && notes.iter().any(|note| note.starts_with("[RECORDING]")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_the_account_does_not_have_ends_its_events_as_without_it() {
    let (app, _) = start(LEGACY).await;
    let ended = told(&app, &json!({"event": "call.completed", "id": "c1"})).await;
    assert_eq!(ended, done("skipped", Some("call_not_ended_yet")));
    let recording = json!({"event": "recording.saved", "call_id": "c2", "url": "https://rec.example/1"});
    let ended = told(&app, &recording).await;
    let reason = "transient: whose call it is, is not known yet (2 attempts)";
    assert_eq!((&ended["status"], &ended["error"]), (&json!("error"), &json!(reason)));
    assert!(asked(&app).contains(&"/api/v1/calls/c2".to_owned()));
    assert_eq!(app.sandbox.ghl.calls_total(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_answers_reads_by_id_with_a_page_loses_nothing() {
    let app = TestApp::start_with(&[("ALOWARE_SURFACE", "legacy"), ("JOBS_RETRY_LIMIT", "100")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let flat = told(&app, &json!({"event": "call.completed", "id": "c1"})).await;
    assert_eq!(flat, done("skipped", Some("call_not_ended_yet")));
    let disposed = json!({"event": "Contact-Disposed", "body": {"id": 7}});
    assert_eq!(
        told(&app, &disposed).await,
        done("skipped", Some("No contact mapping found"))
    );
    assert_eq!(sync(&app, 7).await.status(), 404);
    assert_eq!(
        asked(&app),
        ["/api/v1/calls/c1", "/api/v1/contacts/7", "/api/v1/contacts/7"]
    );

    let nameless =
        json!({"event": "Transcription-Saved", "body": {"text": "Hi.", "transcription": {"communication_id": 9107}}});
    app.aloware(&nameless).await;
    let waiting = "SELECT 1 FROM webhook_events WHERE error_message = 'transient: whose call it is, is not known yet'";
    query::settled(&app.config, waiting, 1).await;
    app.aloware(&finished_call(9107, LEAD)).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 2);
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);
    app.shut_down_quietly().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_refuses_the_token_at_reads_by_id_fails_no_event() {
    for (status, body) in [(401, r#"{"message": "Unauthenticated."}"#), (403, "{}"), (200, "{}")] {
        let (app, lead) = start(&[("ALOWARE_SURFACE", "legacy")]).await;
        let refusal = Fault::status(status, body);
        for path in ["/api/v1/calls/*", "/api/v1/contacts/*"] {
            app.sandbox.aloware.fault("GET", path, Times::Forever, refusal.clone());
        }
        let flat = told(&app, &json!({"event": "call.completed", "id": "c1"})).await;
        assert_eq!(flat, done("skipped", Some("call_not_ended_yet")), "{status}");
        let disposed = json!({"event": "contact.disposed", "id": lead, "disposition": "Booked"});
        let ended = told(&app, &disposed).await;
        assert_eq!(ended, done("skipped", Some("No contact mapping found")), "{status}");
        let attempts = app.rows("SELECT DISTINCT attempts FROM webhook_events").await;
        assert_eq!(attempts, [json!({"attempts": 0})], "{status}");
        assert_eq!(asked(&app).len(), 2, "{status}");
        app.shut_down_quietly().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_whom_a_mapping_knows_nothing_is_asked_at_aloware() {
    let (app, lead) = start(LEGACY).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.execute(&format!(
        "INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id) VALUES ('{contact}', '{lead}')"
    ))
    .await;
    app.sandbox.aloware.put_call(kept(lead, "completed"));
    let body = json!({"id": "c1", "contact_id": lead, "type": 1, "direction": 1, "duration": 125,
        "disposition_status": "completed", "created_at": "2026-11-02 17:03:20"});
    let call = json!({"event": "InboundPhoneCall-DispositionCompleted", "body": body});
    assert_eq!(told(&app, &call).await, done("success", None));
    let notes = app.sandbox.ghl.notes(&contact);
    assert!(notes.len() == 1 && notes[0].contains("[df:call:c1]"), "{notes:?}");
    let disposed = json!({"event": "contact.disposed", "id": lead, "disposition": "Booked"});
    assert_eq!(
        told(&app, &disposed).await,
        done("success", Some("Disposition: Booked"))
    );
    assert_eq!(asked(&app), Vec::<String>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_not_call_and_dispositions_that_name_only_the_id_reach_the_person() {
    let (app, lead) = start(LEGACY).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox.aloware.edit_contact(LEAD, json!({"is_dnc": true}));
    let ended = told(&app, &json!({"event": "contact.dnc.updated", "id": lead})).await;
    assert_eq!(ended, done("success", Some("DNC status: opted_out")));
    assert!(app.sandbox.ghl.tags(&contact).contains(&"do not call".to_owned()));
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);

    app.execute("UPDATE contact_mappings SET aloware_contact_id = NULL")
        .await;
    let disposed = json!({"event": "contact.disposed", "id": lead, "disposition": "Booked"});
    assert_eq!(
        told(&app, &disposed).await,
        done("success", Some("Disposition: Booked"))
    );
    assert!(
        app.sandbox
            .ghl
            .tags(&contact)
            .contains(&"disposition: booked".to_owned())
    );

    app.sandbox.aloware.edit_contact(LEAD, json!({"is_dnc": false}));
    let lifted = json!({"event": "contact.dnc.updated", "id": lead, "is_dnc": false});
    assert_eq!(told(&app, &lifted).await, done("success", Some("DNC status: opted_in")));
    assert!(!app.sandbox.ghl.tags(&contact).contains(&"do not call".to_owned()));
    assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_no_mapping_knows_is_synchronised_by_its_id() {
    let (app, lead) = start(LEGACY).await;
    let answer = sync(&app, lead).await;
    assert_eq!(answer.status(), 200);
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!((contacts.len(), &contacts[0]["phone"]), (1, &json!(LEAD)));
    let pair = json!({"success": true, "alowareContactId": lead.to_string(), "ghlContactId": contacts[0]["id"]});
    assert_eq!(answer.json::<Value>().await.unwrap(), pair);
    assert_eq!(asked(&app)[0], format!("/api/v1/contacts/{lead}"));
    assert_eq!(sync(&app, lead + 1).await.status(), 404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_surface_asks_for_nothing_by_id_even_where_it_is_served() {
    let (app, lead) = start(&[]).await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox.aloware.put_call(kept(lead, "completed"));
    for (delivery, reason) in [
        (json!({"event": "call.completed", "id": "c1"}), "call_not_ended_yet"),
        (
            json!({"event": "contact.dnc.updated", "id": lead, "dnc": true}),
            "No phone number for DNC sync",
        ),
        (
            json!({"event": "contact.disposed", "id": lead}),
            "No contact mapping found",
        ),
    ] {
        assert_eq!(told(&app, &delivery).await, done("skipped", Some(reason)));
    }
    assert_eq!(sync(&app, lead).await.status(), 404);
    assert_eq!(asked(&app), Vec::<String>::new());
    assert_eq!(app.sandbox.ghl.calls_total(), 0);
    app.finish().await;
}
