//! A daemon dies, freezes or starts again: another one, or its successor, goes
//! on with its work, and nothing is written twice.

use df_middleware::sandbox::{Fault, Sandbox, Times};
use df_middleware::store::{Db, sessions};
use serde_json::json;
use uuid::Uuid;

use crate::support::binary::{Daemon, Two};
use crate::support::query::{UNFINISHED, settled};
use crate::support::{PATIENCE, client, cluster, finished_call, post_aloware, query};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lanes_of_a_killed_daemon_are_taken_over_long_before_their_lease_ends() {
    let phone = "+16195550171";
    let mut two = Two::start(&[]).await;
    let contact = two.sandbox.ghl.add_contact(json!({"phone": phone}));
    let fault = two
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Hang);
    // Whichever runs it hangs in the call; the other one has to finish it.
    post_aloware(&client(), &two.daemons[0].base, &finished_call(9401, phone)).await;
    let reached = two
        .sandbox
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE);
    reached.await.expect("the note is being written");
    let (busy, idle) = busy_first(&two).await;
    two.daemons[busy].kill();
    fault.release();
    settled(&two.database.config(), UNFINISHED, 0).await;
    settled(&two.database.config(), "SELECT 1 FROM daemon_sessions", 1).await;
    assert_eq!(two.sandbox.ghl.notes(&contact).len(), 1);
    let survivor = two.daemons.swap_remove(idle);
    assert!(survivor.terminate().success());
    settled(&two.database.config(), "SELECT 1 FROM daemon_sessions", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_starts_where_it_was_killed_has_its_lanes_back_at_once() {
    let phone = "+16195550176";
    let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
    let (data, config) = (tempfile::tempdir().unwrap(), database.config());
    let contact = sandbox.ghl.add_contact(json!({"phone": phone}));
    let fault = sandbox.ghl.fault("POST", "/contacts/*/notes", Times::Once, Fault::Hang);
    let mut killed = Daemon::start(&sandbox, data.path(), &config, &[]).await;
    post_aloware(&client(), &killed.base, &finished_call(9403, phone)).await;
    let reached = sandbox.wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE);
    reached.await.expect("the note is being written");
    killed.kill();
    fault.release();
    let _successor = Daemon::start(&sandbox, data.path(), &config, &[]).await;
    settled(&config, UNFINISHED, 0).await;
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
    // Sooner than anybody is judged dead.
    let sql = "SELECT extract(epoch FROM processed_at - started_at)::float8 < 10 AS at_once
                 FROM webhook_events, daemon_sessions";
    let rows = query::rows(&query::connect(&config).await, sql).await;
    assert_eq!(rows, [json!({"at_once": true})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_daemon_loses_its_lanes_and_does_no_harm_when_it_wakes() {
    let phone = "+16195550172";
    let two = Two::start(&[]).await;
    let contact = two.sandbox.ghl.add_contact(json!({"phone": phone}));
    let fault = two
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Hang);
    post_aloware(&client(), &two.daemons[0].base, &finished_call(9402, phone)).await;
    let reached = two
        .sandbox
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE);
    reached.await.expect("the note is being written");
    let (busy, _) = busy_first(&two).await;
    two.daemons[busy].freeze();
    settled(&two.database.config(), UNFINISHED, 0).await;
    fault.release();
    two.daemons[busy].thaw();
    settled(&two.database.config(), "SELECT 1 FROM daemon_sessions WHERE working", 2).await;
    assert_eq!(two.sandbox.ghl.notes(&contact).len(), 1);
    let log = query::connect(&two.database.config()).await;
    let log = query::rows(&log, "SELECT status FROM sync_log").await;
    assert_eq!(log, [json!({"status": "success"})], "one run was stored");
    settled(&two.database.config(), "SELECT 1 FROM event_lanes", 0).await;
    for daemon in two.daemons {
        assert!(daemon.terminate().success());
    }
}

/// Which daemon made the call that hangs, and the other one: only the calls
/// before it are answered and counted.
async fn busy_first(two: &Two) -> (usize, usize) {
    let made = two.daemons[0].metric("vendor_calls_total", "vendor=\"ghl\"").await;
    if made > 0.0 { (0, 1) } else { (1, 0) }
}

#[tokio::test]
async fn only_the_dead_lose_lanes_and_only_who_was_steady_itself_may_tell() {
    let database = cluster::database().await;
    let db = Db::new(database.config(), 2).unwrap();
    let client = db.client().await.unwrap();
    let [me, dead, alive] = [(); 3].map(|()| Uuid::new_v4());
    for id in [me, dead, alive] {
        sessions::touch(&client, id, true, false).await.unwrap();
    }
    client
        .batch_execute(&format!(
            "UPDATE daemon_sessions SET seen_at = now() - interval '11 seconds' WHERE id = '{dead}';
             INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq, attempts, owner) VALUES
               (1, now() + interval '1 minute', 1, 1, 3, '{dead}'),
               (2, now() + interval '1 minute', 1, 1, 1, '{alive}'),
               (3, now() + interval '1 hour', 1, 1, 0, NULL)"
        ))
        .await
        .unwrap();
    let seen = sessions::look(&client, me, None).await.unwrap();
    assert_eq!((seen.alive, seen.dead, seen.busy), (1, true, true));
    let buried = sessions::bury(&client, me).await.unwrap();
    assert_eq!((buried.daemons, buried.lanes), (0, 0), "this one has only just come");

    let steady = format!("UPDATE daemon_sessions SET steady_since = now() - interval '11 seconds' WHERE id = '{me}'");
    client.batch_execute(&steady).await.unwrap();
    let buried = sessions::bury(&client, me).await.unwrap();
    assert_eq!((buried.daemons, buried.lanes), (1, 1));
    let lanes = query::rows(
        &query::connect(&database.config()).await,
        "SELECT key, attempts, owner IS NULL AS free, ready_at <= now() AS ready FROM event_lanes ORDER BY key",
    )
    .await;
    let lane = |key: i64, attempts: i64, free: bool, ready: bool| json!({"key": key, "attempts": attempts, "free": free, "ready": ready});
    assert_eq!(
        lanes,
        [
            lane(1, 3, true, true),
            lane(2, 1, false, false),
            lane(3, 0, true, false)
        ],
        "the claim nobody reported still counts; back-off goes on"
    );
    let gap = format!("UPDATE daemon_sessions SET seen_at = now() - interval '6 seconds' WHERE id = '{me}'");
    client.batch_execute(&gap).await.unwrap();
    sessions::touch(&client, me, true, false).await.unwrap();
    let steady = "SELECT 1 FROM daemon_sessions WHERE steady_since < now() - interval '10 seconds'";
    settled(&database.config(), steady, 0).await;
    db.close();
}
