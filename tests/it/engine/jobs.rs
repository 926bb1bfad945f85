//! The routes that hurry the engine: they run nothing twice, and nothing beside
//! another worker.

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use super::desk::{LEAD, WAITS, ask, is_note, jobs, with_trouble};
use super::seen;
use crate::support::{PATIENCE, finished_call, text};

const OTHER: &str = "+16195550198";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enqueueing_twice_runs_nothing_twice() {
    let (app, contact, _) = with_trouble(Times::Once, Fault::status(503, "down")).await;
    app.aloware(&finished_call(1, LEAD)).await;
    seen(&app, "SELECT count(*) = 1 FROM sync_log WHERE status = 'error'").await;
    let gate = app
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Gate);
    assert_eq!(
        jobs(&app, "enqueue-texting-pending").await,
        json!({"enqueued": 0, "totalPending": 0})
    );
    assert_eq!(
        jobs(&app, "enqueue-pending").await,
        json!({"enqueued": 1, "totalPending": 1})
    );
    app.sandbox
        .ghl
        .wait_for_call(|call| is_note(call) && call.status.is_none(), PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        jobs(&app, "enqueue-pending").await,
        json!({"enqueued": 0, "totalPending": 1}),
        "it runs already"
    );
    assert_eq!(
        jobs(&app, "run-once").await,
        json!({"processed": 0, "errors": 0, "totalPending": 1}),
        "not beside it"
    );
    gate.release();
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    assert_eq!(
        jobs(&app, "enqueue-pending").await,
        json!({"enqueued": 0, "totalPending": 0})
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_runs_what_is_due_of_both_tables_and_tells_what_failed() {
    let (app, contact, trouble) = with_trouble(Times::Forever, Fault::status(503, "down")).await;
    app.sandbox.ghl.add_contact(json!({"phone": OTHER}));
    app.aloware(&finished_call(1, LEAD)).await;
    app.texting(&text("message.received", "m1", OTHER, "hello")).await;
    seen(&app, "SELECT count(*) = 2 FROM sync_log WHERE status = 'error'").await;
    app.execute("UPDATE event_lanes SET ready_at = now()").await;
    assert_eq!(
        jobs(&app, "run-once").await,
        json!({"processed": 0, "errors": 2, "totalPending": 2})
    );
    assert_eq!(
        jobs(&app, "run-once").await,
        json!({"processed": 0, "errors": 0, "totalPending": 2}),
        "they wait again"
    );
    trouble.remove();
    app.execute("UPDATE event_lanes SET ready_at = now()").await;
    assert_eq!(
        jobs(&app, "run-once").await,
        json!({"processed": 2, "errors": 0, "totalPending": 0})
    );
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_once_on_two_daemons_at_the_same_moment_shares_the_work() {
    let (app, _, trouble) = with_trouble(Times::Forever, Fault::status(503, "down")).await;
    let data = tempfile::tempdir().unwrap();
    let (second, base) = app.second(data.path(), &WAITS).await;
    // Fewer than open the breaker.
    for n in 0..4 {
        app.aloware(&finished_call(10 + n, &format!("+1619555021{n}"))).await;
    }
    seen(&app, "SELECT count(*) = 4 FROM sync_log WHERE status = 'error'").await;
    trouble.remove();
    app.execute("UPDATE event_lanes SET ready_at = now()").await;
    let (one, two) = tokio::join!(
        ask(&app, &app.base, "/api/jobs/run-once", &Value::Null),
        ask(&app, &base, "/api/jobs/run-once", &Value::Null)
    );
    let processed = |answer: &(u16, Value)| answer.1["processed"].as_u64().unwrap();
    assert_eq!(processed(&one) + processed(&two), 4, "{one:?} {two:?}");
    app.idle().await;
    assert_eq!(
        app.rows("SELECT 1 FROM sync_log WHERE status = 'success'").await.len(),
        4
    );
    second.stop().await;
    app.finish().await;
}
