//! Retries as the vendors cause them: down, rate limited, silent.

use std::time::Duration;

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use super::seen;
use crate::support::{TestApp, contact_event, finished_call, query, text};

const LEAD: &str = "+16195550133";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_one_vendor_is_down_the_others_work_goes_on() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "8")]).await;
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d0", fields)).await;
    app.idle().await;
    let down = app
        .sandbox
        .ghl
        .fault("*", "/", Times::Forever, Fault::status(503, "down"));
    for n in 0..8 {
        app.aloware(&finished_call(n, &format!("+1619555007{n}"))).await;
    }
    seen(
        &app,
        "SELECT count(*) = 8 FROM webhook_events WHERE error_message LIKE 'vendor_down: ghl down%'",
    )
    .await;

    let tagged = json!({"phone": LEAD, "tags": ["hot lead"]});
    app.ghl(&contact_event("ContactTagUpdate", &id, "d1", tagged)).await;
    seen(
        &app,
        "SELECT status = 'done' FROM webhook_events WHERE event_type = 'ContactTagUpdate'",
    )
    .await;
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301]);
    assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    assert_eq!(
        query::unfinished(&query::connect(&app.config).await).await,
        8,
        "GHL's own work is parked"
    );
    down.remove();
    app.idle().await;
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);
    app.finish().await;
}

/// Alone, an event makes every probe itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_alone_with_a_vendor_that_is_down_outlives_more_probes_than_it_has_attempts() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "6")]).await;
    let down = app
        .sandbox
        .ghl
        .fault("*", "/", Times::Forever, Fault::status(503, "down"));
    app.aloware(&finished_call(1, LEAD)).await;
    // Five open the breaker; then one call for each probe, after one second, two, four.
    seen(
        &app,
        "SELECT count(*) >= 2 FROM sync_log WHERE error_message = 'ghl down 503'",
    )
    .await;
    let row = app.rows("SELECT status, attempts FROM webhook_events").await;
    assert_eq!(row, [json!({"status": "pending", "attempts": 5})], "{}", down.hits());
    down.remove();
    app.idle().await;
    assert_eq!(
        app.rows("SELECT status FROM webhook_events").await,
        [json!({"status": "done"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_asks_to_wait_is_obeyed_and_costs_no_attempt() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "1")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let limited = Fault::RateLimited {
        retry_after: Some(Duration::from_secs(1)),
    };
    app.sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Next(2), limited);
    app.aloware(&finished_call(1, LEAD)).await;
    app.idle().await;
    let row = app.rows("SELECT status, attempts FROM webhook_events").await;
    assert_eq!(
        row,
        [json!({"status": "done", "attempts": 0})],
        "one failed run would have been one too many"
    );
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    let calls = app.sandbox.ghl.calls_to("POST", "/contacts/*/notes");
    let gaps: Vec<i64> = calls
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).num_milliseconds())
        .collect();
    assert!(gaps.len() == 2 && gaps.iter().all(|gap| *gap >= 990), "{gaps:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_never_answers_is_given_up_after_the_time_limit_and_tried_again() {
    let app = TestApp::start_with(&[("DF_HTTP_TIMEOUT", "300ms")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::apply_then(Fault::Hang));
    app.aloware(&finished_call(1, LEAD)).await;
    app.idle().await;
    let log: Vec<Value> = app
        .rows("SELECT status, error_message FROM sync_log ORDER BY finished_at")
        .await;
    assert_eq!(log[0], json!({"status": "error", "error_message": "ghl timeout"}));
    assert_eq!(
        app.sandbox.ghl.notes(&contact).len(),
        1,
        "it was applied, looked up and not repeated"
    );
    app.finish().await;
}

/// The registry stops our own texts at once; an agent in GHL stops when GHL knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opt_out_is_carried_however_often_the_vendor_fails() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "2"), ("JOBS_MAX_HEAD_AGE", "1s")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    // Each attempt succeeds with a read in between, so the breaker stays closed.
    app.sandbox
        .ghl
        .fault("POST", "/contacts/*/tags", Times::Next(6), Fault::status(503, "down"));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    app.idle().await;
    let row = app.rows("SELECT status, attempts FROM texting_webhook_events").await;
    assert_eq!(row, [json!({"status": "done", "attempts": 6})]);
    assert!(
        app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()),
        "{:?}",
        app.sandbox.ghl.tags(&contact)
    );
    app.finish().await;
}
