//! A finished call has an entry in the GHL conversation where a call provider is configured.

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use crate::support::{OUR_NUMBER, TestApp, call, finished_call};

const LEAD: &str = "+16195550111";
const PROVIDER: (&str, &str) = ("GHL_CALL_PROVIDER_ID", "calls1");

async fn with_provider(id: &str) -> (TestApp, String) {
    let app = TestApp::start_with(&[PROVIDER]).await;
    app.sandbox.ghl.set_call_provider(id);
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    (app, contact)
}

fn entries(app: &TestApp) -> Vec<Value> {
    let messages = app.sandbox.ghl.messages();
    messages
        .into_iter()
        .filter(|message| message["type"] == "Call")
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deliveries_of_a_call_leave_one_entry_beside_the_note() {
    let (app, contact) = with_provider("calls1").await;
    let line = json!({"incoming_number": OUR_NUMBER});
    app.aloware(&call("OutboundPhoneCall", 9101, LEAD, line.clone())).await;
    app.aloware(&call(
        "OutboundPhoneCall-DispositionCompleted",
        9101,
        LEAD,
        line.clone(),
    ))
    .await;
    app.idle().await;
    app.aloware(&call(
        "Call-Disposed",
        9101,
        LEAD,
        json!({"updated_at": "2026-11-02 17:05:38"}),
    ))
    .await;
    app.idle().await;

    let entries = entries(&app);
    assert_eq!(entries.len(), 1, "{entries:?}");
    let told = &entries[0];
    assert_eq!(told["contactId"], json!(contact));
    assert_eq!(told["direction"], "outbound");
    assert_eq!(
        told["call"],
        json!({"to": LEAD, "from": OUR_NUMBER, "status": "completed"})
    );
    assert_eq!(told["altId"], "9101");
    assert_eq!(told["date"], "2026-11-02T17:03:20.000Z");
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_inbound_call_is_told_as_such() {
    let (app, _) = with_provider("calls1").await;
    let facts = json!({"direction": 1, "disposition_status": "missed", "disposition_status2": 3});
    app.aloware(&call("InboundPhoneCall-DispositionMissed", 9102, LEAD, facts))
        .await;
    app.idle().await;
    let told = &entries(&app)[0];
    assert_eq!(told["direction"], "inbound");
    assert_eq!(told["call"]["from"], LEAD);
    assert_eq!(told["call"]["status"], "no-answer");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_answer_was_lost_is_found_and_not_made_twice() {
    for dated_by_ghl in [false, true] {
        let (app, contact) = with_provider("calls1").await;
        if dated_by_ghl {
            app.sandbox.ghl.date_messages_when_recorded();
        }
        let lost = Fault::apply_then(Fault::Reset);
        app.sandbox
            .ghl
            .fault("POST", "/conversations/messages/outbound", Times::Once, lost);
        app.aloware(&finished_call(9103, LEAD)).await;
        app.idle().await;
        assert_eq!(entries(&app).len(), 1, "dated by GHL: {dated_by_ghl}");
        assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
        let step = "SELECT state, vendor_id FROM effects WHERE step = 'aloware:call:9103:entry'";
        assert_eq!(
            app.rows(step).await,
            [json!({"state": "done", "vendor_id": entries(&app)[0]["id"]})]
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_ghl_refuses_is_tried_once_and_the_notes_stay() {
    for (provider, phone) in [("another", LEAD), ("calls1", "+16195550199")] {
        let app = TestApp::start_with(&[PROVIDER]).await;
        app.sandbox.ghl.set_call_provider(provider);
        let contact = app.sandbox.ghl.add_contact(json!({"phone": phone}));
        app.execute(&format!(
            "INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, sync_direction) \
             VALUES ('{contact}', '700009104', 'bidirectional')"
        ))
        .await;
        app.aloware(&finished_call(9104, LEAD)).await;
        app.idle().await;
        let restated = json!({"call_disposition": "Booked", "updated_at": "2026-11-02 17:05:38"});
        app.aloware(&call("Call-Disposed", 9104, LEAD, restated)).await;
        app.idle().await;
        assert_eq!(entries(&app).len(), 0);
        let notes = app.sandbox.ghl.notes(&contact);
        assert!(notes.len() == 1 && notes[0].contains("Booked"), "{notes:?}");
        let tried = app.sandbox.calls();
        let tried = tried.iter().filter(|call| call.path.starts_with("/conversations"));
        assert_eq!(tried.count(), 1, "{provider} {phone}");
        let failed = "SELECT direction, target_id, error_message LIKE 'call entry: %' AS told FROM sync_log WHERE status = 'error'";
        assert_eq!(
            app.rows(failed).await,
            [json!({"direction": "aloware_to_ghl", "target_id": contact, "told": true})]
        );
        assert_eq!(
            app.rows("SELECT DISTINCT status FROM webhook_events").await,
            [json!({"status": "done"})]
        );
        app.finish().await;
    }
}
