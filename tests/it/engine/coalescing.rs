//! Updates of one contact that wait back to back cost one run.

use std::sync::Arc;

use df_middleware::domain::Failure;
use df_middleware::queue::{Limits, RetryPolicy};
use df_middleware::sandbox::{Fault, Times};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Lab, Scripted, limits, on, script};
use crate::support::{PATIENCE, TestApp, contact_event};

const LEAD: &str = "+16195550188";
const UPDATES: usize = 200;

/// An event that only asks to bring `who` up to date.
fn refresh(who: &str) -> Value {
    json!({"lane": 1, "refreshes": who})
}

fn ran(id: &str, carried: usize) -> (String, usize) {
    (id.to_owned(), carried)
}

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
    let rows: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(n, (kind, id, body))| format!("('ghl', '{kind}', 'contact', '{id}', '{body}', 'typed {n}')"))
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_must_be_tried_again_finishes_nobody_and_keeps_the_order() {
    let lab = Lab::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let second = Arc::clone(&gate);
    let handler = Scripted::new(Arc::new(move |event, before, _| {
        let gate = Arc::clone(&second);
        async move {
            match (event.entity_id.as_str(), before) {
                ("u3", 0) => Err(Failure::transient("ghl 503")),
                ("u3", _) => {
                    gate.acquire().await.unwrap().forget();
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }));
    lab.type_events(&[
        ("first", on(1)),
        ("u1", refresh("p")),
        ("u2", refresh("p")),
        ("u3", refresh("p")),
        ("last", on(1)),
    ])
    .await;
    lab.watcher
        .batch_execute("UPDATE webhook_events SET error_message = 'transient: before' WHERE entity_id = 'u1'")
        .await
        .unwrap();
    let engine = lab.start(&handler, limits());
    lab.until("SELECT count(*) = 1 FROM sync_log WHERE error_message = 'ghl 503'")
        .await;
    let ended = lab
        .rows("SELECT entity_id FROM webhook_events WHERE processed_at IS NOT NULL")
        .await;
    assert_eq!(ended, [json!({"entity_id": "first"})]);
    assert_eq!(
        lab.state("u1").await["error_message"],
        "transient: before",
        "handed back as it was"
    );
    gate.add_permits(1);
    lab.idle().await;
    assert_eq!(
        handler.runs(),
        [ran("first", 0), ran("u3", 2), ran("u3", 2), ran("last", 0)]
    );
    let carried =
        "SELECT l.entity_id FROM sync_log l JOIN webhook_events c ON l.error_message = 'coalesced into event ' || c.id
                    WHERE c.entity_id = 'u3' AND l.status = 'skipped' ORDER BY 1";
    assert_eq!(
        lab.rows(carried).await,
        [json!({"entity_id": "u1"}), json!({"entity_id": "u2"})]
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_carrier_dies_those_it_carried_run_by_themselves() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|event, before| match (event.entity_id.as_str(), before) {
        ("u3", _) => Err(Failure::permanent("broken")),
        ("u1", 0) => Err(Failure::transient("ghl 503")),
        _ => Ok(()),
    }));
    lab.type_events(&[("u1", refresh("p")), ("u2", refresh("p")), ("u3", refresh("p"))])
        .await;
    let hour = std::time::Duration::from_secs(3600);
    let retry = RetryPolicy {
        base: hour,
        cap: hour,
        ..limits().retry
    };
    let engine = lab.start(&handler, Limits { retry, ..limits() });
    lab.until("SELECT count(*) = 2 FROM sync_log").await;
    assert_eq!(handler.runs(), [ran("u3", 2), ran("u1", 0)]);
    let lanes = lab
        .rows("SELECT ready_at > now() + interval '20 minutes' AS waits FROM event_lanes")
        .await;
    assert_eq!(
        lanes,
        [json!({"waits": true})],
        "the lane knows of the two that are left"
    );
    assert_eq!(
        lab.state("u3").await,
        json!({"status": "error", "attempts": 1, "error_message": "permanent: broken"})
    );
    lab.watcher
        .batch_execute("UPDATE event_lanes SET ready_at = now()")
        .await
        .unwrap();
    lab.idle().await;
    assert_eq!(handler.runs()[2..], [ran("u2", 1)], "what is left is coalesced again");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_set_aside_neither_carries_nor_is_carried() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, _| Ok(())));
    let ids = ["u1", "u2", "aside1", "u3", "u4", "aside2"];
    lab.type_events(&ids.map(|id| (id, refresh("p")))).await;
    lab.watcher
        .batch_execute(
            "INSERT INTO quarantine_events (event_id, event_source, reason)
             SELECT id::text, 'webhook', 'test' FROM webhook_events WHERE entity_id LIKE 'aside%'",
        )
        .await
        .unwrap();
    let engine = lab.start(&handler, limits());
    lab.idle().await;
    assert_eq!(handler.runs(), [ran("u2", 1), ran("u4", 1)]);
    let aside = json!({"status": "done", "attempts": 0, "error_message": "quarantined"});
    assert_eq!(
        (lab.state("aside1").await, lab.state("aside2").await),
        (aside.clone(), aside)
    );
    engine.stop().await;
}

/// Newer carriers come again and again: what they carry must not wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carried_event_that_waited_past_its_age_is_given_up_with_its_carrier_s_reason() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|event, before| match (event.entity_id.as_str(), before) {
        ("new", 0) => Err(Failure::transient("ghl 503")),
        _ => Ok(()),
    }));
    lab.type_events(&[("old", refresh("p")), ("new", refresh("p"))]).await;
    lab.watcher
        .batch_execute(
            "UPDATE webhook_events SET received_at = now() - interval '2 days', error_message = 'transient: ghl 503', attempts = 2
              WHERE entity_id = 'old'",
        )
        .await
        .unwrap();
    let engine = lab.start(&handler, limits());
    lab.idle().await;
    assert_eq!(
        lab.state("old").await["error_message"],
        "transient: ghl 503 (older than jobs.max_head_age)"
    );
    assert_eq!(lab.state("new").await["status"], "done");
    engine.stop().await;
}
