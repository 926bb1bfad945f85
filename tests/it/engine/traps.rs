//! Traps that other queues fell into, each set here on purpose.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use df_middleware::domain::EventTable;
use df_middleware::queue::{Handler, Limits};
use df_middleware::store::Db;
use df_middleware::store::ingest::{NewEvent, insert};
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Lab, Scripted, alive, limits, on, script};
use crate::support::{PATIENCE, query};

/// "Nothing left" decided from a snapshot would delete the lane here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stored_while_its_lane_is_given_back_keeps_the_lane() {
    let lab = Lab::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Scripted::new(Arc::new(move |_, _, _| {
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        }
        .boxed()
    }));
    lab.type_events(&[("one", on(1))]).await;
    let engine = alive(lab.engine(handler as Arc<dyn Handler>, limits()));
    let run = tokio::spawn(async move { engine.run_once(1).await.unwrap() });
    lab.until("SELECT status = 'processing' FROM webhook_events").await;

    let ingest = query::connect(&lab.database.config()).await;
    ingest
        .batch_execute(
            "BEGIN;
             INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key, order_key)
             VALUES ('aloware', 'Typed', 'call', 'two', '{\"lane\": 1}', 'two', 1);
             UPDATE event_lanes SET tail_seq = (SELECT max(seq) FROM webhook_events), arrivals = arrivals + 1 WHERE key = 1",
        )
        .await
        .unwrap();
    gate.add_permits(1);
    // The statement that stores the result has its snapshot and waits for the row.
    lab.until(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .await;
    ingest.batch_execute("COMMIT").await.unwrap();
    assert_eq!(run.await.unwrap(), (1, 0));
    let lane = lab
        .rows("SELECT ready_at <= now() AS due, owner FROM event_lanes WHERE key = 1")
        .await;
    assert_eq!(
        lane,
        [json!({"due": true, "owner": null})],
        "no sweep and no lease is needed"
    );
}

/// A delivery of person 7.
pub fn delivery(n: usize, dedupe_key: String) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        table: if n.is_multiple_of(3) {
            EventTable::Texting
        } else {
            EventTable::Webhook
        },
        source: "ghl",
        event_type: "ContactUpdate".to_owned(),
        entity_type: "contact",
        entity_id: n.to_string(),
        order_key: 7,
        dedupe_key,
        earlier: None,
        conversation_id: None,
        from_number: None,
        to_number: None,
        payload: "{}".to_owned(),
        received_at: DateTime::<Utc>::UNIX_EPOCH,
        consent: Vec::new(),
        quarantine: None,
    }
}

/// A batch is sorted so that two of them cannot deadlock; order is another matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_that_overlap_neither_deadlock_nor_change_the_order_of_arrival() {
    const ROWS: usize = 64;
    let lab = Lab::new().await;
    let db = Db::new(lab.database.config(), 4).unwrap();
    for round in 0..20 {
        // The same deliveries in opposite order of their keys, one person's.
        let batches = [0, 1].map(|side| {
            let rows = (0..ROWS).map(|n| delivery(n, format!("{round}-{}", if side == 0 { n } else { ROWS - 1 - n })));
            rows.collect::<Vec<NewEvent>>()
        });
        let stored = batches.map(|batch| {
            let db = db.clone();
            tokio::spawn(async move {
                let rows: Vec<&NewEvent> = batch.iter().collect();
                insert(&mut db.client().await.unwrap(), &rows, &[]).await.unwrap().len()
            })
        });
        let counts = futures_util::future::join_all(stored).await;
        let sum: usize = counts.into_iter().map(Result::unwrap).sum();
        // A key may be in either table, once in each.
        assert!((ROWS..=2 * ROWS).contains(&sum), "{sum}");
    }
    let inversions = "SELECT 1 FROM (
        SELECT seq, entity_id::int AS n, lag(entity_id::int) OVER (PARTITION BY xmin::text ORDER BY seq) AS before
          FROM (SELECT seq, entity_id, xmin FROM webhook_events UNION ALL SELECT seq, entity_id, xmin FROM texting_webhook_events) e
        ) o WHERE before > n";
    assert!(lab.rows(inversions).await.is_empty());
}

/// A panic in the sweep, on what PostgreSQL can hold and we cannot read, ended it for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_payload_that_cannot_be_read_dies_alone_and_the_sweep_goes_on() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, _| Ok(())));
    let engine = lab.start(&handler, limits());
    lab.watcher
        .batch_execute(
            "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
             VALUES ('aloware', 'Typed', 'call', 'unread', '{\"a\": 1e400}', 'unread')",
        )
        .await
        .unwrap();
    lab.until("SELECT status = 'error' FROM webhook_events").await;
    lab.type_events(&[("next", on(2))]).await;
    // Nobody asks for it: the sweep finds it.
    lab.idle().await;
    assert_eq!(lab.state("next").await["status"], "done");
    engine.stop().await;
}

/// A stop is no report: the lane has shown nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_handed_back_unrun_keeps_the_count_of_its_unreported_claims() {
    let lab = Lab::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Scripted::new(Arc::new(move |_, _, _| {
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        }
        .boxed()
    }));
    lab.type_events(&[("one", on(1)), ("two", on(2)), ("suspect", on(3))])
        .await;
    // Not running: gives the rows their lanes.
    let idle = lab.engine(Scripted::new(script(|_, _| Ok(()))), limits());
    idle.pick_up_typed_rows().await.unwrap();
    lab.watcher
        .batch_execute(
            "UPDATE event_lanes SET attempts = 2003 WHERE key = 3;
             UPDATE event_lanes SET ready_at = now() + interval '1 hour' WHERE key > 1",
        )
        .await
        .unwrap();
    let one_slot = Limits {
        concurrency: 1,
        lease: Duration::from_secs(60),
        ..limits()
    };
    let engine = lab.start(&handler, one_slot);
    let deadline = Instant::now() + PATIENCE;
    while handler.runs().is_empty() {
        assert!(Instant::now() < deadline, "nothing runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The slot is taken when the others come.
    lab.watcher
        .batch_execute("UPDATE event_lanes SET ready_at = now() WHERE key > 1")
        .await
        .unwrap();
    engine.engine.wake().notify_one();
    lab.until("SELECT count(*) = 3 FROM event_lanes WHERE owner IS NOT NULL")
        .await;
    engine.stop.cancel();
    gate.add_permits(9);
    engine.task.await.unwrap();
    assert_eq!(handler.runs().len(), 1, "the others never had their turn");
    let lanes = lab
        .rows("SELECT attempts, owner FROM event_lanes ORDER BY attempts")
        .await;
    assert_eq!(
        lanes,
        [
            json!({"attempts": 0, "owner": null}),
            json!({"attempts": 2003, "owner": null})
        ]
    );
}

/// They would be written twice for each event, and walked by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_index_knows_the_status_and_no_trigger_notifies() {
    let lab = Lab::new().await;
    let indexes =
        "SELECT indexname FROM pg_indexes WHERE tablename LIKE '%webhook_events' AND indexdef LIKE '%status%'";
    assert!(lab.rows(indexes).await.is_empty());
    let triggers =
        "SELECT p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.prosrc ILIKE '%notify%'";
    assert!(lab.rows(triggers).await.is_empty());
    let partitions = "SELECT 1 FROM pg_partitioned_table";
    assert!(lab.rows(partitions).await.is_empty());
}
