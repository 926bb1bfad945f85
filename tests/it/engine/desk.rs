//! What operators do to events: replay, quarantine, release, and the races.

use df_middleware::sandbox::{Call, Fault, FaultHandle, Times};
use serde_json::{Value, json};

use super::seen;
use crate::support::{ADMIN_SECRET, JOBS_SECRET, PATIENCE, TestApp, finished_call, text};

pub const LEAD: &str = "+16195550199";
/// A failed run waits for an operator, and nothing is polled meanwhile.
pub const WAITS: [(&str, &str); 3] = [
    ("JOBS_RETRY_DELAY", "1h"),
    ("JOBS_RETRY_MAX_DELAY", "1h"),
    ("JOBS_POLL_INTERVAL", "5m"),
];

/// Asks an operator's route; answers the status and the body.
pub async fn ask(app: &TestApp, base: &str, path: &str, body: &Value) -> (u16, Value) {
    let secret = if path.starts_with("/api/jobs") {
        ("X-DF-JOBS-SECRET", JOBS_SECRET)
    } else {
        ("X-DF-ADMIN-SECRET", ADMIN_SECRET)
    };
    let request = app
        .client
        .post(format!("{base}{path}"))
        .header(secret.0, secret.1)
        .json(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub async fn jobs(app: &TestApp, job: &str) -> Value {
    let (status, body) = ask(app, &app.base, &format!("/api/jobs/{job}"), &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    body
}

pub async fn steer(app: &TestApp, id: &str, action: &str) -> (u16, Value) {
    ask(app, &app.base, &format!("/api/admin/events/{id}/{action}"), &json!({})).await
}

/// A daemon and a mapped contact whose notes GHL refuses to take for now.
pub async fn with_trouble(times: Times, fault: Fault) -> (TestApp, String, FaultHandle) {
    let app = TestApp::start_with(&WAITS).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let trouble = app.sandbox.ghl.fault("POST", "/contacts/*/notes", times, fault);
    (app, contact, trouble)
}

async fn event_id(app: &TestApp, table: &str, entity: &str) -> String {
    let rows = app
        .rows(&format!("SELECT id FROM {table} WHERE entity_id = '{entity}'"))
        .await;
    rows[0]["id"].as_str().unwrap().to_owned()
}

pub fn is_note(call: &Call) -> bool {
    call.method == "POST" && call.path.ends_with("/notes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_is_refused_while_an_event_is_processed_or_set_aside() {
    let (app, contact, gate) = with_trouble(Times::Once, Fault::Gate).await;
    app.aloware(&finished_call(1, LEAD)).await;
    app.sandbox.ghl.wait_for_call(is_note, PATIENCE).await.unwrap();
    let id = event_id(&app, "webhook_events", "1").await;
    let (status, body) = steer(&app, &id, "replay").await;
    assert_eq!((status, &body["code"]), (409, &json!("processing")));
    gate.release();
    app.idle().await;

    assert_eq!(steer(&app, &id, "release").await.0, 409, "it was not set aside");
    assert_eq!(steer(&app, &id, "quarantine").await.1["message"], "Event quarantined");
    let (status, body) = steer(&app, &id, "replay").await;
    assert_eq!((status, &body["code"]), (409, &json!("quarantined")));
    assert_eq!(steer(&app, &id, "release").await.1["message"], "Event released");
    let (status, body) = steer(&app, &id, "replay").await;
    assert_eq!(
        (status, body),
        (
            200,
            json!({"success": true, "message": "Event replayed", "eventId": id})
        )
    );
    app.idle().await;
    assert_eq!(
        app.rows("SELECT 1 FROM sync_log WHERE status <> 'error'").await.len(),
        2,
        "it ran again"
    );
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1, "and wrote nothing twice");

    let nobody = "0198c0de-0000-7000-8000-000000000001";
    for action in ["replay", "quarantine", "release", "mark-done"] {
        assert_eq!(steer(&app, nobody, action).await.0, 404, "{action}");
        assert_eq!(steer(&app, "17", action).await.0, 400, "{action}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_of_one_event_at_the_same_moment_run_it_once() {
    let (app, contact, _) = with_trouble(Times::Once, Fault::status(403, "{}")).await;
    app.texting(&text("message.received", "m1", LEAD, "hello")).await;
    app.idle().await;
    let id = event_id(&app, "texting_webhook_events", "m1").await;
    let gate = app
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Gate);
    let answers = futures_util::future::join_all((0..10).map(|_| steer(&app, &id, "replay"))).await;
    let count = |wanted: u16| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert!(count(200) >= 1 && count(200) + count(409) == 10, "{answers:?}");
    gate.release();
    app.idle().await;
    assert_eq!(
        app.rows("SELECT 1 FROM sync_log WHERE status = 'success'").await.len(),
        1,
        "one run"
    );
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    let row = app
        .rows("SELECT status, attempts, error_message FROM texting_webhook_events")
        .await;
    assert_eq!(row, [json!({"status": "done", "attempts": 0, "error_message": null})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_set_aside_while_it_runs_is_not_run_again() {
    let (app, contact, id) = running_into_trouble().await;
    let reason = json!({"reason": "loop", "eventSource": "webhook", "quarantinedBy": "ann"});
    let path = format!("/api/admin/events/{id}/quarantine");
    assert_eq!(ask(&app, &app.base, &path, &reason).await.0, 200);
    app.sandbox.ghl.clear_faults();
    seen(
        &app,
        "SELECT count(*) = 1 FROM sync_log WHERE error_message = 'ghl dropped the connection'",
    )
    .await;
    app.execute("UPDATE event_lanes SET ready_at = now()").await;
    jobs(&app, "run-once").await;
    app.idle().await;
    let row = app.rows("SELECT status, error_message FROM webhook_events").await;
    assert_eq!(row, [json!({"status": "done", "error_message": "quarantined"})]);
    assert!(app.sandbox.ghl.notes(&contact).is_empty());
    let kept = app
        .rows("SELECT event_source, reason, quarantined_by FROM quarantine_events")
        .await;
    assert_eq!(
        kept,
        [json!({"event_source": "webhook", "reason": "loop", "quarantined_by": "ann"})]
    );

    // Released, it is replayed by a second call.
    assert_eq!(steer(&app, &id, "release").await.0, 200);
    assert_eq!(steer(&app, &id, "release").await.0, 409);
    assert_eq!(steer(&app, &id, "replay").await.0, 200);
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_the_head_aside_or_closing_it_frees_its_person_at_once() {
    for action in ["quarantine", "mark-done"] {
        let (app, contact, _) = with_trouble(Times::Once, Fault::status(503, "down")).await;
        app.aloware(&finished_call(1, LEAD)).await;
        seen(&app, "SELECT count(*) = 1 FROM sync_log WHERE status = 'error'").await;
        app.aloware(&finished_call(2, LEAD)).await;
        let (head, next) = (
            event_id(&app, "webhook_events", "1").await,
            event_id(&app, "webhook_events", "2").await,
        );
        assert_eq!(steer(&app, &next, "quarantine").await.0, 200);
        let waits = "SELECT ready_at > now() + interval '20 minutes' AS waits FROM event_lanes";
        assert_eq!(
            app.rows(waits).await,
            [json!({"waits": true})],
            "the head's own back-off is left alone"
        );
        assert_eq!(steer(&app, &next, "release").await.0, 200);
        assert_eq!(steer(&app, &head, action).await.0, 200);
        app.idle().await;
        let closed = app
            .rows("SELECT entity_id, status FROM webhook_events ORDER BY seq")
            .await;
        let done = |id: &str| json!({"entity_id": id, "status": "done"});
        assert_eq!(closed, [done("1"), done("2")], "{action}");
        assert_eq!(
            app.sandbox.ghl.notes(&contact).len(),
            1,
            "{action}: only the second one ran"
        );
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_set_aside_and_released_while_it_runs_is_tried_again_as_usual() {
    let (app, contact, id) = running_into_trouble().await;
    assert_eq!(steer(&app, &id, "quarantine").await.0, 200);
    assert_eq!(steer(&app, &id, "release").await.0, 200);
    app.sandbox.ghl.clear_faults();
    seen(
        &app,
        "SELECT count(*) = 1 FROM sync_log WHERE error_message = 'ghl dropped the connection'",
    )
    .await;
    app.execute("UPDATE event_lanes SET ready_at = now()").await;
    jobs(&app, "run-once").await;
    app.idle().await;
    assert_eq!(
        app.rows("SELECT status FROM webhook_events").await,
        [json!({"status": "done"})]
    );
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

/// A call event that hangs at its note, which fails when the faults are cleared; and its id.
async fn running_into_trouble() -> (TestApp, String, String) {
    let (app, contact, _) = with_trouble(Times::Once, Fault::Hang).await;
    app.aloware(&finished_call(1, LEAD)).await;
    app.sandbox.ghl.wait_for_call(is_note, PATIENCE).await.unwrap();
    let id = event_id(&app, "webhook_events", "1").await;
    (app, contact, id)
}
