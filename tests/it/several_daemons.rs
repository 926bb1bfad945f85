//! Several daemons on one database: no event twice, each person in order, one
//! limit per vendor, and the work of a dead one goes on.

use std::time::Duration;

use df_middleware::embedded::throwaway::Database;
use df_middleware::sandbox::{Call, Fault, Sandbox, Times, Vendor};
use df_middleware::store::{Db, scheduled_runs, sessions};
use serde_json::json;
use tokio_postgres::Config;
use uuid::Uuid;

use crate::support::binary::Daemon;
use crate::support::{PATIENCE, TestApp, client, cluster, finished_call, post_aloware, post_texting, query, text};

const PEOPLE: usize = 8;
const TEXTS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_run_no_event_twice_and_keep_each_person_s_order() {
    let app = TestApp::start_with(&[("GHL_RATE_LIMIT", "100000/1s")]).await;
    app.sandbox.ghl.lift_rate_limit();
    let data = tempfile::tempdir().unwrap();
    let (second, second_base) = app.second(data.path(), &[("GHL_RATE_LIMIT", "100000/1s")]).await;
    settled(&app.config, "SELECT 1 FROM daemon_sessions WHERE working", 2).await;
    let bases = [app.base.clone(), second_base];
    let phone = |person: usize| format!("+1619555{:04}", 200 + person);
    for person in 0..PEOPLE {
        app.sandbox.ghl.add_contact(json!({"phone": phone(person)}));
    }
    // Each person's texts go to both daemons in turn, one after the other.
    let senders = (0..PEOPLE).map(|person| {
        let (client, bases) = (app.client.clone(), bases.clone());
        async move {
            for n in 0..TEXTS {
                let body = text(
                    "message.received",
                    &format!("p{person}-{n}"),
                    &phone(person),
                    &format!("number {n}"),
                );
                assert_eq!(post_texting(&client, &bases[n % 2], &body).await.status(), 200);
            }
        }
    });
    futures_util::future::join_all(senders).await;
    app.idle().await;
    for person in 0..PEOPLE {
        let contact = app.sandbox.ghl.contact_by_phone(&phone(person)).unwrap();
        let notes = app.sandbox.ghl.notes(contact["id"].as_str().unwrap());
        let order: Vec<String> = notes
            .iter()
            .map(|note| note.lines().nth(4).unwrap_or_default().to_owned())
            .collect();
        let wanted: Vec<String> = (0..TEXTS).map(|n| format!("number {n}")).collect();
        assert_eq!(order, wanted, "person {person}");
    }
    let total = app
        .rows("SELECT count(*) AS n, count(DISTINCT correlation_id) AS d FROM sync_log")
        .await;
    assert_eq!(
        total,
        [json!({"n": PEOPLE * TEXTS, "d": PEOPLE * TEXTS})],
        "one run, one row"
    );
    let lanes = app.rows("SELECT 1 FROM event_lanes").await;
    assert!(
        lanes.is_empty(),
        "a lane lives only while its person has unfinished events"
    );
    second.stop().await;
    app.finish().await;
}

/// Waits until a query answers so many rows.
async fn settled(config: &Config, sql: &str, rows: usize) {
    let watcher = query::connect(config).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while query::rows(&watcher, sql).await.len() != rows {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{sql}: {:?}; {}",
            query::rows(&watcher, "SELECT * FROM daemon_sessions").await,
            query::describe(&watcher).await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const UNFINISHED: &str = "SELECT 1 FROM webhook_events WHERE status IN ('pending', 'processing')
                UNION ALL SELECT 1 FROM texting_webhook_events WHERE status IN ('pending', 'processing')";

/// Two shipped daemons that both work.
struct Two {
    database: Database,
    sandbox: Sandbox,
    daemons: Vec<Daemon>,
    _data: [tempfile::TempDir; 2],
}

impl Two {
    async fn start(changes: &[(&str, &str)]) -> Self {
        let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
        let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut daemons = Vec::new();
        for dir in &data {
            daemons.push(Daemon::start(&sandbox, dir.path(), &database.config(), changes).await);
        }
        settled(&database.config(), "SELECT 1 FROM daemon_sessions WHERE working", 2).await;
        Self {
            database,
            sandbox,
            daemons,
            _data: data,
        }
    }
}

/// The daemons' limit, and the vendor's own.
const LIMIT: (&str, &str) = ("GHL_RATE_LIMIT", "20/2s");
const PER_WINDOW: u32 = 20;
const WINDOW: Duration = Duration::from_secs(2);

/// Delivers one text each of so many people; each costs the vendor two calls.
async fn deliver(sandbox: &Sandbox, to: &Daemon, people: usize) {
    let http = client();
    for person in 0..people {
        let phone = format!("+1619555{:04}", 300 + person);
        sandbox.ghl.add_contact(json!({"phone": phone}));
        let body = text("message.received", &format!("s{person}"), &phone, "hello");
        assert_eq!(post_texting(&http, &to.base, &body).await.status(), 200);
    }
}

/// Every call so far; the vendor was never asked too much.
fn none_refused(sandbox: &Sandbox) -> Vec<Call> {
    let calls = sandbox.calls();
    let refused = calls.iter().filter(|call| call.status == Some(429)).count();
    assert_eq!(refused, 0, "of {} calls", calls.len());
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_share_the_work_and_one_limit_and_the_vendor_never_says_429() {
    let two = Two::start(&[LIMIT]).await;
    two.sandbox.ghl.set_rate_limit(PER_WINDOW, WINDOW, 200_000);
    // All of them to one: the work is shared through the database.
    deliver(&two.sandbox, &two.daemons[0], 60).await;
    settled(&two.database.config(), UNFINISHED, 0).await;
    let calls = none_refused(&two.sandbox);
    assert!(calls.len() >= 120, "{}", calls.len());

    let took = (calls.last().unwrap().at - calls[0].at).as_seconds_f64();
    let least = (f64::from(u32::try_from(calls.len()).unwrap()) / f64::from(PER_WINDOW) - 1.0) * WINDOW.as_secs_f64();
    assert!(took <= least * 1.5, "{took} s for what the limit allows in {least} s");

    let mut made = Vec::new();
    for daemon in &two.daemons {
        made.push(daemon.metric("vendor_calls_total", "vendor=\"ghl\"").await);
    }
    let all: f64 = made.iter().sum();
    assert!(made.iter().all(|calls| *calls >= all * 0.35), "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_joins_a_busy_one_and_leaves_again_and_the_vendor_never_says_429() {
    let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
    sandbox.ghl.set_rate_limit(PER_WINDOW, WINDOW, 200_000);
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let config = database.config();
    // Few at hand: what a lone daemon holds already, it runs to its end.
    let settings = [LIMIT, ("JOBS_CONCURRENCY", "4")];
    let first = Daemon::start(&sandbox, data[0].path(), &config, &settings).await;
    deliver(&sandbox, &first, 90).await;
    let second = Daemon::start(&sandbox, data[1].path(), &config, &settings).await;
    // It takes its part while there is work left for both.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while second.metric("vendor_calls_total", "vendor=\"ghl\"").await < 20.0 {
        assert!(tokio::time::Instant::now() < deadline, "the second one makes no calls");
    }
    assert!(second.terminate().success());
    settled(&config, UNFINISHED, 0).await;
    assert!(none_refused(&sandbox).len() >= 180);
    assert!(first.terminate().success());
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_day_outlive_a_restart() {
    let limit = [("GHL_DAILY_LIMIT", "4")];
    let mut app = TestApp::start_with(&limit).await;
    let texts = ["+16195550173", "+16195550174", "+16195550175"];
    for phone in texts {
        app.sandbox.ghl.add_contact(json!({"phone": phone}));
    }
    let to_ghl = |app: &TestApp| app.sandbox.journal().total(Vendor::Ghl);
    for (nth, phone) in texts.iter().take(2).enumerate() {
        app.texting(&text("message.received", &format!("d{nth}"), phone, "hello"))
            .await;
    }
    app.idle().await;
    assert_eq!(to_ghl(&app), 4);
    app.shut_down().await;
    app.boot(&limit).await;
    app.texting(&text("message.received", "d2", texts[2], "hello")).await;
    settled(
        &app.config,
        "SELECT 1 FROM texting_webhook_events WHERE status = 'pending' AND error_message IS NOT NULL",
        1,
    )
    .await;
    assert_eq!(to_ghl(&app), 4, "the day is over for the new process as well");
    let counted = app.rows("SELECT calls FROM vendor_usage WHERE vendor = 'ghl'").await;
    assert_eq!(counted, [json!({"calls": 4})]);
    app.shut_down_quietly().await;
}

#[tokio::test]
async fn of_several_daemons_one_runs_what_is_due() {
    let database = cluster::database().await;
    let db = Db::new(database.config(), 4).unwrap();
    let takes = (0..4).map(|_| async {
        scheduled_runs::take(&db.client().await.unwrap(), "retention")
            .await
            .unwrap()
    });
    let taken = futures_util::future::join_all(takes).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    let other = scheduled_runs::take(&db.client().await.unwrap(), "echoes")
        .await
        .unwrap();
    assert!(other, "another job is due on its own");
    db.close();
}

#[tokio::test]
async fn only_the_dead_lose_lanes_and_only_who_was_steady_itself_may_tell() {
    let database = cluster::database().await;
    let db = Db::new(database.config(), 2).unwrap();
    let client = db.client().await.unwrap();
    let [me, dead, alive] = [(); 3].map(|()| Uuid::new_v4());
    for id in [me, dead, alive] {
        sessions::touch(&client, id, true).await.unwrap();
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
    sessions::touch(&client, me, true).await.unwrap();
    let steady = "SELECT 1 FROM daemon_sessions WHERE steady_since < now() - interval '10 seconds'";
    settled(&database.config(), steady, 0).await;
    db.close();
}

#[tokio::test]
async fn a_newcomer_waits_until_every_other_daemon_has_seen_it() {
    let database = cluster::database().await;
    let db = Db::new(database.config(), 2).unwrap();
    let client = db.client().await.unwrap();
    let [old, new] = [(); 2].map(|()| Uuid::new_v4());
    sessions::touch(&client, new, false).await.unwrap();
    let alone = sessions::look(&client, new, None).await.unwrap();
    assert_eq!((alone.alive, alone.unaware, alone.busy), (0, 0, false));

    sessions::leave(&client, new).await.unwrap();
    sessions::touch(&client, old, true).await.unwrap();
    sessions::touch(&client, new, false).await.unwrap();
    let first = sessions::look(&client, new, None).await.unwrap();
    assert_eq!((first.alive, first.unaware, first.busy), (1, 1, true));
    let since = Some(first.now);
    assert_eq!(sessions::look(&client, new, since).await.unwrap().unaware, 1);
    sessions::touch(&client, old, true).await.unwrap();
    assert_eq!(sessions::look(&client, new, since).await.unwrap().unaware, 0);

    // Late for its touch: killed, most likely, and not waited for; its share is kept.
    let late = format!("UPDATE daemon_sessions SET seen_at = now() - interval '4 seconds' WHERE id = '{old}'");
    client.batch_execute(&late).await.unwrap();
    let successor = sessions::look(&client, new, None).await.unwrap();
    assert_eq!((successor.alive, successor.unaware, successor.busy), (1, 0, false));
    db.close();
}
