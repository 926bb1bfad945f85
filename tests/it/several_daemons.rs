//! Several daemons on one database: no event twice, each person in order, and
//! one limit per vendor.

use std::time::Duration;

use df_middleware::sandbox::{Call, Sandbox, Vendor};
use df_middleware::store::{Db, scheduled_runs, sessions};
use serde_json::json;
use uuid::Uuid;

use crate::support::binary::{Daemon, Two};
use crate::support::query::{UNFINISHED, settled};
use crate::support::{PATIENCE, TestApp, client, cluster, post_texting, text};

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

/// Waits until a daemon has called GHL so often.
async fn has_called(daemon: &Daemon, calls: f64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while daemon.metric("vendor_calls_total", "vendor=\"ghl\"").await < calls {
        assert!(tokio::time::Instant::now() < deadline, "it makes no calls");
        tokio::time::sleep(Duration::from_millis(50)).await;
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
    has_called(&second, 20.0).await;
    assert!(second.terminate().success());
    settled(&config, UNFINISHED, 0).await;
    assert!(none_refused(&sandbox).len() >= 180);
    assert!(first.terminate().success());
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
async fn a_newcomer_waits_until_every_other_daemon_has_seen_it() {
    let database = cluster::database().await;
    let db = Db::new(database.config(), 2).unwrap();
    let client = db.client().await.unwrap();
    let [old, new] = [(); 2].map(|()| Uuid::new_v4());
    sessions::touch(&client, new, false, false).await.unwrap();
    let alone = sessions::look(&client, new, None).await.unwrap();
    assert_eq!((alone.alive, alone.unaware, alone.busy), (0, 0, false));

    sessions::leave(&client, new).await.unwrap();
    sessions::touch(&client, old, true, false).await.unwrap();
    sessions::touch(&client, new, false, false).await.unwrap();
    let first = sessions::look(&client, new, None).await.unwrap();
    assert_eq!((first.alive, first.unaware, first.busy), (1, 1, true));
    let since = Some(first.now);
    assert_eq!(sessions::look(&client, new, since).await.unwrap().unaware, 1);
    sessions::touch(&client, old, true, false).await.unwrap();
    assert_eq!(sessions::look(&client, new, since).await.unwrap().unaware, 0);

    // Late for its touch: killed, most likely, and not waited for; its share is kept.
    let late = format!("UPDATE daemon_sessions SET seen_at = now() - interval '4 seconds' WHERE id = '{old}'");
    client.batch_execute(&late).await.unwrap();
    let successor = sessions::look(&client, new, None).await.unwrap();
    assert_eq!((successor.alive, successor.unaware, successor.busy), (1, 0, false));
    db.close();
}
