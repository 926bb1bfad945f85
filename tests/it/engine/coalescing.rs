//! Events that ask for the same run as one: what becomes of the carried when the
//! carrier waits, dies or is set aside.

use std::sync::Arc;

use df_middleware::domain::Failure;
use df_middleware::queue::{Limits, RetryPolicy};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Lab, Scripted, limits, on, script};

/// An event that only asks to bring `who` up to date.
fn refresh(who: &str) -> Value {
    json!({"lane": 1, "refreshes": who})
}

fn ran(id: &str, carried: usize) -> (String, usize) {
    (id.to_owned(), carried)
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
