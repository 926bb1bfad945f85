//! The first two invariants of the event engine: what was answered is kept, and
//! what is kept ends.

use std::time::Duration;

use df_middleware::sandbox::{Fault, Sandbox, Times};
use df_middleware::store::Db;
use serde_json::json;
use tokio::time::Instant;

use super::{Lab, Scripted, alive, limits, on, script};
use crate::support::binary::Daemon;
use crate::support::{PATIENCE, client, cluster, finished_call, post_aloware, query};

const LEAD: &str = "+16195550144";

/// Two ways to be durable: committed, or in the spool while PostgreSQL does not commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_1_a_2xx_is_durable_before_the_answer() {
    let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
    let (config, data, http) = (database.config(), tempfile::tempdir().unwrap(), client());
    let contact = sandbox.ghl.add_contact(json!({"phone": LEAD}));
    // No run may end before the kill: what survives does so by being stored.
    let gate = sandbox.ghl.fault("*", "/", Times::Forever, Fault::Hang);
    let watcher = query::connect(&config).await;
    let mut daemon = Daemon::start(&sandbox, data.path(), &config, &[("JOBS_LEASE", "500ms")]).await;
    for n in 1..=20 {
        let answer = post_aloware(&http, &daemon.base, &finished_call(n, LEAD)).await;
        assert_eq!(answer.status(), 200);
        let stored = query::rows(&watcher, "SELECT count(*) AS n FROM webhook_events").await;
        assert_eq!(stored, [json!({"n": n})], "committed when the answer is there");
    }
    // From here on nothing can be committed: no answer, or one from the spool.
    let holder = query::connect(&config).await;
    let lock = "BEGIN; LOCK TABLE webhook_events IN EXCLUSIVE MODE";
    holder.batch_execute(lock).await.unwrap();
    let (url, body) = (daemon.base.clone(), finished_call(21, LEAD));
    let last = tokio::spawn(async move { post_aloware(&client(), &url, &body).await.status() });
    let promised = match tokio::time::timeout(Duration::from_secs(5), last).await {
        Ok(answer) => 20 + usize::from(answer.unwrap().is_success()),
        Err(_) => 20,
    };
    daemon.kill();
    holder.batch_execute("ROLLBACK").await.unwrap();
    gate.remove();
    gate.release();

    let daemon = Daemon::start(&sandbox, data.path(), &config, &[("JOBS_LEASE", "500ms")]).await;
    let deadline = Instant::now() + PATIENCE;
    while sandbox.ghl.notes(&contact).len() < promised || query::unfinished(&watcher).await > 0 {
        assert!(Instant::now() < deadline, "{}", query::describe(&watcher).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut notes = sandbox.ghl.notes(&contact);
    notes.sort();
    notes.dedup();
    assert!((promised..=21).contains(&notes.len()), "{notes:?}");
    assert_eq!(notes.len(), sandbox.ghl.notes(&contact).len(), "each of them once");
    drop(daemon);
}

/// A claim does not wait for the disk; that must not rub off on what does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_1_the_haste_of_claims_does_not_reach_the_commits_of_ingest() {
    let lab = Lab::new().await;
    let name = lab.database.config().get_dbname().unwrap().to_owned();
    lab.watcher
        .batch_execute(&format!("ALTER DATABASE \"{name}\" SET synchronous_commit = on"))
        .await
        .unwrap();
    lab.type_events(&[("one", on(1))]).await;
    let db = Db::new(lab.database.config(), 1).unwrap();
    let handler = Scripted::new(script(|_, _| Ok(())));
    let engine = alive(lab.engine_on(db.clone(), handler, limits()));
    assert_eq!(engine.run_once(10).await.unwrap(), (1, 0));
    // The one connection there is: it has claimed and completed.
    let row = db
        .client()
        .await
        .unwrap()
        .query_one("SHOW synchronous_commit", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_every_event_ends_and_a_kill_at_any_moment_loses_none() {
    const PEOPLE: i64 = 6;
    const CALLS: i64 = 5;
    let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
    let (config, data, http) = (database.config(), tempfile::tempdir().unwrap(), client());
    let settings = [
        ("JOBS_LEASE", "500ms"),
        ("GHL_RATE_LIMIT", "100000/1s"),
        ("JOBS_RETRY_LIMIT", "50"),
    ];
    sandbox.ghl.lift_rate_limit();
    let phone = |person: i64| format!("+161955504{person:02}");
    let mut sent = 0;
    let mut daemon = Daemon::start(&sandbox, data.path(), &config, &settings).await;
    for round in 0..CALLS {
        let so_far = sandbox.ghl.calls_total();
        for person in 0..PEOPLE {
            let call = finished_call(1000 + round * PEOPLE + person, &phone(person));
            assert_eq!(post_aloware(&http, &daemon.base, &call).await.status(), 200);
            sent += 1;
        }
        // Each round dies some vendor calls further into its work.
        let further = u64::try_from(3 + round * 4).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while sandbox.ghl.calls_total() < so_far + further && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        daemon.kill();
        daemon = Daemon::start(&sandbox, data.path(), &config, &settings).await;
    }
    let watcher = query::connect(&config).await;
    let deadline = Instant::now() + PATIENCE;
    while query::unfinished(&watcher).await > 0 {
        assert!(Instant::now() < deadline, "{}", query::describe(&watcher).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = query::rows(
        &watcher,
        "SELECT status, count(*) AS n FROM webhook_events GROUP BY status",
    )
    .await;
    assert_eq!(ended, [json!({"status": "done", "n": sent})]);
    assert_eq!(sandbox.ghl.contacts().len(), usize::try_from(PEOPLE).unwrap());
    for person in 0..PEOPLE {
        let contact = sandbox.ghl.contact_by_phone(&phone(person)).unwrap();
        let notes = sandbox.ghl.notes(contact["id"].as_str().unwrap());
        assert_eq!(
            notes.len(),
            usize::try_from(CALLS).unwrap(),
            "person {person}: {notes:?}"
        );
    }
    assert!(query::rows(&watcher, "SELECT 1 FROM event_lanes").await.is_empty());
    drop(daemon);
}
