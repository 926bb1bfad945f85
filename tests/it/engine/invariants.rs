//! The invariants of the event engine, each under its own name: the third, the
//! fourth, the sixth and the seventh. The first two are in `durability`, the fifth,
//! which counts pages, in `plans`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use df_middleware::domain::Failure;
use df_middleware::queue::{Handler, Limits};
use df_middleware::sandbox::{Fault, Times};
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Lab, Scripted, alive, limits, on};
use crate::support::{PATIENCE, TestApp, finished_call, post_texting, query, text};

const LEAD: &str = "+16195550144";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_one_person_one_at_a_time_in_order_over_both_tables_and_two_processes() {
    const PEOPLE: i64 = 6;
    const EVENTS: i64 = 30;
    let lab = Lab::new().await;
    lab.watcher
        .batch_execute(&format!(
            "DO $$ BEGIN FOR n IN 1..{EVENTS} LOOP FOR p IN 1..{PEOPLE} LOOP
               IF n % 2 = 0 THEN
                 INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
                 VALUES ('aloware', 'Typed', 'call', p || '-' || n, json_build_object('lane', p), p || '-' || n);
               ELSE
                 INSERT INTO texting_webhook_events (event_type, entity_id, payload_json, dedupe_key)
                 VALUES ('Typed', p || '-' || n, json_build_object('lane', p), p || '-' || n);
               END IF;
             END LOOP; END LOOP; END $$"
        ))
        .await
        .unwrap();
    // Who runs now, and every start in order. Person 1 hangs until all others are done.
    let running: Arc<Mutex<Vec<i64>>> = Arc::default();
    let (others_done, wait) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(true)));
    let (gate, first) = (Arc::clone(&others_done), Arc::clone(&wait));
    let handler = Scripted::new(Arc::new(move |event, _, _| {
        let (running, gate, first) = (Arc::clone(&running), Arc::clone(&gate), Arc::clone(&first));
        async move {
            let lane = event.payload["lane"].as_i64().unwrap();
            let overlaps = {
                let mut running = running.lock().unwrap();
                let overlaps = running.contains(&lane);
                running.push(lane);
                overlaps
            };
            if lane == 1 && std::mem::take(&mut *first.lock().unwrap()) {
                gate.acquire().await.unwrap().forget();
            }
            tokio::task::yield_now().await;
            running.lock().unwrap().retain(|other| *other != lane);
            if overlaps {
                Err(Failure::permanent("two at a time"))
            } else {
                Ok(())
            }
        }
        .boxed()
    }));
    let (one, two) = (lab.start(&handler, limits()), lab.start(&handler, limits()));
    one.pick_up().await;
    two.pick_up().await;
    let open = "(SELECT count(*) FROM webhook_events WHERE processed_at IS NULL) +
                (SELECT count(*) FROM texting_webhook_events WHERE processed_at IS NULL)";
    lab.until(&format!("SELECT {open} = {EVENTS}")).await;
    let of = |person: i64| -> Vec<String> {
        let order = handler.order();
        order
            .into_iter()
            .filter(|id| id.starts_with(&format!("{person}-")))
            .collect()
    };
    assert_eq!(of(1), ["1-1"], "everybody else went on meanwhile");
    others_done.add_permits(1);
    lab.until(&format!("SELECT {open} = 0")).await;
    for person in 1..=PEOPLE {
        let wanted: Vec<String> = (1..=EVENTS).map(|n| format!("{person}-{n}")).collect();
        assert_eq!(of(person), wanted);
    }
    let dead = "SELECT entity_id FROM webhook_events WHERE status <> 'done'
                UNION ALL SELECT entity_id FROM texting_webhook_events WHERE status <> 'done'";
    assert!(lab.rows(dead).await.is_empty());
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_the_result_of_a_worker_that_lost_its_lease_changes_nothing() {
    let lab = Lab::new().await;
    let (first, second) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gates = [Arc::clone(&first), Arc::clone(&second)];
    let handler = Scripted::new(Arc::new(move |_, before, _| {
        let gate = Arc::clone(&gates[before.min(1)]);
        async move {
            gate.acquire().await.unwrap().forget();
            if before == 0 {
                return Err(Failure::permanent("the late worker's"));
            }
            Ok(())
        }
        .boxed()
    }));
    lab.type_events(&[("one", on(1))]).await;
    // So long that nothing but the epoch tells the late worker.
    let long = Limits {
        lease: Duration::from_secs(600),
        ..limits()
    };
    let late = alive(lab.engine(Arc::clone(&handler) as Arc<dyn Handler>, long));
    let late = tokio::spawn(async move { late.run_once(1).await.unwrap() });
    lab.until("SELECT status = 'processing' FROM webhook_events").await;
    // Another process finds the lease run out, and takes the lane.
    lab.watcher
        .batch_execute("UPDATE event_lanes SET ready_at = now()")
        .await
        .unwrap();
    let successor = lab.start(&handler, long);
    lab.until("SELECT attempts = 2 FROM event_lanes").await;
    let lane = lab.rows("SELECT epoch, owner, ready_at FROM event_lanes").await;
    first.add_permits(1);
    assert_eq!(late.await.unwrap(), (0, 0), "it knows that its result did not count");
    let untouched = json!({"status": "processing", "attempts": 0, "error_message": null});
    assert_eq!(lab.state("one").await, untouched);
    assert_eq!(lab.rows("SELECT epoch, owner, ready_at FROM event_lanes").await, lane);
    assert!(lab.rows("SELECT 1 FROM sync_log").await.is_empty());
    second.add_permits(1);
    lab.idle().await;
    assert_eq!(lab.state("one").await["status"], "done");
    successor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_no_transaction_and_no_connection_is_held_across_a_vendor_call() {
    const SLOTS: i64 = 4;
    let pool = [
        ("JOBS_CONCURRENCY", "4"),
        ("DF_DATABASE_POOL_SIZE", "2"),
        ("DF_HTTP_TIMEOUT", "60s"),
        ("GHL_RATE_LIMIT", "100000/1s"),
    ];
    let app = TestApp::start_with(&pool).await;
    app.sandbox.ghl.lift_rate_limit();
    let watcher = query::connect(&app.config).await;
    let steps = [
        "/contacts/search/duplicate",
        "/contacts/upsert",
        "/contacts/*/notes",
        "/contacts/*/tags",
    ];
    for (step, path) in (0i64..).zip(steps) {
        let gate = app.sandbox.ghl.fault("*", path, Times::Forever, Fault::Gate);
        for slot in 0..SLOTS {
            let n = step * SLOTS + slot;
            app.aloware(&finished_call(2000 + n, &format!("+161955506{n:02}")))
                .await;
        }
        let deadline = Instant::now() + PATIENCE;
        while gate.hits() < SLOTS.unsigned_abs() {
            assert!(Instant::now() < deadline, "{path}: only {} slots hang", gate.hits());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Statements of the loop come and go; what is held across the call stays.
        let held =
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                       AND (state LIKE 'idle in transaction%' OR xact_start < now() - interval '2 seconds')";
        for _ in 0..40 {
            assert_eq!(query::rows(&watcher, held).await, [json!({"n": 0})], "{path}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Both connections of the pool are free for others while every slot hangs.
        let asked = (0..4).map(|_| app.client.get(format!("{}/readyz", app.base)).send());
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.unwrap().status(), 200, "{path}");
        }
        let body = text("message.received", &format!("while {step}"), LEAD, "hello");
        assert_eq!(post_texting(&app.client, &app.base, &body).await.status(), 200);
        let stored = format!("SELECT 1 FROM texting_webhook_events WHERE entity_id = 'while {step}'");
        assert_eq!(
            app.rows(&stored).await.len(),
            1,
            "{path}: stored in PostgreSQL, not in the spool"
        );
        gate.remove();
        gate.release();
        app.idle().await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_rows_typed_in_psql_are_picked_up_and_show_processing() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let gate = app
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Gate);
    let payload = finished_call(9200, LEAD).to_string();
    let words = text("message.received", "m1", LEAD, "hello").to_string();
    // The last one in each table has times nobody should type.
    app.execute(&format!(
        "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key, received_at)
         VALUES ('aloware', 'OutboundPhoneCall-DispositionCompleted', 'call', '9200', '{payload}', 'by hand', now()),
                ('faxes', 'Fax-Received', 'fax', '1', '{{}}', 'by hand too', 'infinity'),
                ('faxes', 'Fax-Received', 'fax', '2', '{{}}', 'by hand three', '-infinity');
         INSERT INTO texting_webhook_events (event_type, entity_id, payload_json, dedupe_key)
         VALUES ('message.received', 'm1', '{words}', 'by hand')"
    ))
    .await;
    app.sandbox
        .ghl
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE)
        .await
        .unwrap();
    let seen = app
        .rows("SELECT status FROM webhook_events WHERE entity_id = '9200'")
        .await;
    assert_eq!(seen, [json!({"status": "processing"})], "an observer sees it run");
    let meters = app
        .client
        .get(format!("{}/metrics", app.base))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        meters.contains("events_oldest_seconds{table=\"webhook\",status=\"processing\"}"),
        "{meters}"
    );
    gate.release();
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 2);
    let unknown = app
        .rows("SELECT DISTINCT direction, status, error_message FROM sync_log WHERE direction = 'unknown'")
        .await;
    assert_eq!(
        unknown,
        [json!({"direction": "unknown", "status": "error", "error_message": "Unknown source: faxes"})]
    );

    app.execute("UPDATE webhook_events SET status = 'pending'; UPDATE texting_webhook_events SET status = 'pending'")
        .await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 2, "run again, written once");
    assert_eq!(app.rows("SELECT 1 FROM sync_log").await.len(), 8);
    assert!(app.rows("SELECT 1 FROM event_lanes").await.is_empty());
    app.finish().await;
}
