//! After a crash loop many lanes run on trial, one at a time: nobody else waits for them.

use std::sync::Arc;
use std::time::Duration;

use df_middleware::domain::{Failure, RetryClass};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Lab, Scripted, limits, on, script};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_suspects_than_places_leave_room_for_everybody_else_and_keep_their_count() {
    const SUSPECTS: i64 = 40;
    let lab = Lab::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Scripted::new(Arc::new(move |event, _, _| {
        let gate = Arc::clone(&held);
        async move {
            if event.entity_id != "fresh" {
                gate.acquire().await.unwrap().forget();
            }
            Ok(())
        }
        .boxed()
    }));
    let names: Vec<String> = (1..=SUSPECTS).map(|lane| format!("suspect {lane}")).collect();
    let events: Vec<(&str, Value)> = names.iter().map(String::as_str).zip((1..).map(on)).collect();
    lab.type_events(&events).await;
    // Not running: gives the rows their lanes.
    let idle = lab.engine(Scripted::new(script(|_, _| Ok(()))), limits());
    idle.pick_up_typed_rows().await.unwrap();
    lab.watcher
        .batch_execute("UPDATE event_lanes SET attempts = 3, ready_at = now()")
        .await
        .unwrap();
    let engine = lab.start(&handler, limits());
    lab.until("SELECT count(*) = 1 FROM event_lanes WHERE attempts > 1000")
        .await;
    lab.type_events(&[("fresh", on(1000))]).await;
    engine.pick_up().await;
    lab.until("SELECT status = 'done' FROM webhook_events WHERE entity_id = 'fresh'")
        .await;
    let let_go = "SELECT DISTINCT attempts FROM event_lanes WHERE owner IS NULL";
    assert_eq!(lab.rows(let_go).await, [json!({"attempts": 3})]);
    gate.add_permits(1000);
    lab.idle().await;
    engine.stop().await;
}

/// A wait for a call that is under way shows nothing, for or against the event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_that_waits_for_an_earlier_call_keeps_its_count_and_is_not_condemned_by_waiting() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, before| match before {
        0..4 => Err(Failure::Retry {
            class: RetryClass::UnderWay,
            after: Some(Duration::from_millis(if before < 3 { 5 } else { 3_600_000 })),
            reason: "a call is under way".to_owned(),
        }),
        _ => Ok(()),
    }));
    lab.type_events(&[("suspect", on(1))]).await;
    // Not running: gives the row its lane.
    let idle = lab.engine(Scripted::new(script(|_, _| Ok(()))), limits());
    idle.pick_up_typed_rows().await.unwrap();
    lab.watcher
        .batch_execute("UPDATE event_lanes SET attempts = 7003, ready_at = now()")
        .await
        .unwrap();
    let engine = lab.start(&handler, limits());
    lab.until("SELECT ready_at > now() + interval '50 minutes' FROM event_lanes")
        .await;
    assert_eq!(
        lab.rows("SELECT attempts FROM event_lanes").await,
        [json!({"attempts": 7003})]
    );
    let waiting = json!({"status": "pending", "attempts": 0, "error_message": null});
    assert_eq!(lab.state("suspect").await, waiting);
    lab.watcher
        .batch_execute("UPDATE event_lanes SET ready_at = now()")
        .await
        .unwrap();
    lab.idle().await;
    assert_eq!(handler.runs().len(), 5);
    assert_eq!(lab.state("suspect").await["status"], "done");
    engine.stop().await;
}
