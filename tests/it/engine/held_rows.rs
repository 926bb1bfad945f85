//! An operator holds a row in psql: nobody but its person waits for it.

use std::sync::Arc;

use df_middleware::domain::EventTable;
use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::traps::delivery;
use super::{Lab, Scripted, limits, on, script};
use crate::support::query;

const HOLD: &str = "BEGIN; UPDATE webhook_events SET entity_type = entity_type WHERE entity_id = 'held'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_row_of_an_event_that_runs_keeps_neither_results_nor_deliveries_of_others() {
    let lab = Lab::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Scripted::new(Arc::new(move |event, _, _| {
        let gate = Arc::clone(&held);
        async move {
            if event.entity_id != "later" {
                gate.acquire().await.unwrap().forget();
            }
            Ok(())
        }
        .boxed()
    }));
    lab.type_events(&[("held", on(1)), ("beside", on(7))]).await;
    let engine = lab.start(&handler, limits());
    engine.pick_up().await;
    lab.until("SELECT count(*) = 2 FROM webhook_events WHERE status = 'processing'")
        .await;
    let operator = query::connect(&lab.database.config()).await;
    operator.batch_execute(HOLD).await.unwrap();
    gate.add_permits(2);
    // The statement that stores both results waits for the row.
    lab.until(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .await;
    // A delivery of the other's, whose lane that statement may hold.
    let db = df_middleware::store::Db::new(lab.database.config(), 1).unwrap();
    let row = delivery(1, "while held".to_owned());
    assert_eq!(row.table, EventTable::Webhook);
    let stored = df_middleware::store::ingest::insert(&mut db.client().await.unwrap(), &[&row], &[]).await;
    assert_eq!(stored.unwrap().len(), 1);
    lab.type_events(&[("later", on(3))]).await;
    engine.pick_up().await;
    lab.until("SELECT count(*) = 2 FROM webhook_events WHERE status = 'done' AND entity_id IN ('beside', 'later')")
        .await;
    assert_eq!(lab.state("held").await["status"], "processing", "it is still held");
    operator.batch_execute("COMMIT").await.unwrap();
    gate.add_permits(9);
    lab.idle().await;
    assert_eq!(lab.state("held").await["status"], "done");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_row_of_an_event_that_is_due_does_not_stop_the_claims() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, _| Ok(())));
    lab.type_events(&[("held", on(1)), ("beside", on(2))]).await;
    // Not running yet: gives the rows their lanes.
    let idle = lab.engine(Scripted::new(script(|_, _| Ok(()))), limits());
    idle.pick_up_typed_rows().await.unwrap();
    let operator = query::connect(&lab.database.config()).await;
    operator.batch_execute(HOLD).await.unwrap();
    let engine = lab.start(&handler, limits());
    lab.until("SELECT status = 'done' FROM webhook_events WHERE entity_id = 'beside'")
        .await;
    assert_eq!(lab.state("held").await["status"], "pending");
    operator.batch_execute("COMMIT").await.unwrap();
    lab.idle().await;
    engine.stop().await;
}
