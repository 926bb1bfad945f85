//! `kill -9` in the middle of a call event, at each of its steps, leaves
//! exactly one note and one set of tags.

use df_middleware::sandbox::{Fault, Sandbox, Times};
use serde_json::json;

use crate::support::binary::Daemon;
use crate::support::{PATIENCE, client, cluster, finished_call, post_aloware, query};

const LEAD: &str = "+16195550166";
/// Short, so that the next start takes the killed one's lane over at once.
const LEASE: (&str, &str) = ("JOBS_LEASE", "500ms");

/// The vendor calls of a stranger's call event, in order.
const STEPS: [(&str, &str); 4] = [
    ("GET", "/contacts/search/duplicate"),
    ("POST", "/contacts/upsert"),
    ("POST", "/contacts/*/notes"),
    ("POST", "/contacts/*/tags"),
];

async fn killed_at(method: &str, path: &str, applied: bool) {
    let database = cluster::database().await;
    let config = database.config();
    let sandbox = Sandbox::start().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let held = if applied {
        Fault::apply_then(Fault::Hang)
    } else {
        Fault::Hang
    };
    let fault = sandbox.ghl.fault(method, path, Times::Once, held);

    let mut daemon = Daemon::start(&sandbox, data.path(), &config, &[LEASE]).await;
    let http = client();
    assert_eq!(
        post_aloware(&http, &daemon.base, &finished_call(9300, LEAD))
            .await
            .status(),
        200
    );
    let at_step = format!("{method} {path} applied={applied}");
    let (wanted, pattern) = (method.to_owned(), path.split('*').next_back().unwrap().to_owned());
    sandbox
        .wait_for_call(
            move |call| call.method == wanted && call.path.ends_with(&pattern),
            PATIENCE,
        )
        .await
        .unwrap_or_else(|| panic!("never reached {at_step}"));
    daemon.kill();
    fault.release();

    let daemon = Daemon::start(&sandbox, data.path(), &config, &[LEASE]).await;
    let watcher = query::connect(&config).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while query::unfinished(&watcher).await > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{at_step}: {}",
            query::describe(&watcher).await
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let contacts = sandbox.ghl.contacts();
    assert_eq!(contacts.len(), 1, "{at_step}");
    let id = contacts[0]["id"].as_str().unwrap();
    assert_eq!(sandbox.ghl.notes(id).len(), 1, "{at_step}");
    let mut tags = sandbox.ghl.tags(id);
    tags.sort();
    assert_eq!(tags, ["call: interested", "outbound call"], "{at_step}");
    let rows = query::rows(&watcher, "SELECT status FROM webhook_events").await;
    assert_eq!(rows, [json!({"status": "done"})], "{at_step}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_vendor_applied_a_step_the_step_happens_once() {
    for (method, path) in STEPS {
        killed_at(method, path, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_vendor_applied_a_step_the_step_is_not_repeated() {
    for (method, path) in STEPS {
        killed_at(method, path, true).await;
    }
}

/// Waits until every event has ended, and until the vendor has, too.
async fn ended(config: &tokio_postgres::Config, vendor_ends: tokio::time::Instant) {
    let watcher = query::connect(config).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while query::unfinished(&watcher).await > 0 || tokio::time::Instant::now() < vendor_ends {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            query::describe(&watcher).await
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_does_not_repeat_what_the_vendor_is_still_about_to_do() {
    let database = cluster::database().await;
    let config = database.config();
    let sandbox = Sandbox::start().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let contact = sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let slow = std::time::Duration::from_secs(3);
    sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Delay(slow));
    let mut daemon = Daemon::start(&sandbox, data.path(), &config, &[]).await;
    post_aloware(&client(), &daemon.base, &finished_call(9302, LEAD)).await;
    sandbox
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE)
        .await
        .unwrap();
    let vendor_ends = tokio::time::Instant::now() + slow * 2;
    daemon.kill();
    let daemon = Daemon::start(&sandbox, data.path(), &config, &[]).await;
    ended(&config, vendor_ends).await;
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sigterm_finishes_the_event_at_hand_and_exits_zero() {
    let database = cluster::database().await;
    let sandbox = Sandbox::start().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let contact = sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let gate = sandbox.ghl.fault("POST", "/contacts/*/notes", Times::Once, Fault::Gate);
    let daemon = Daemon::start(&sandbox, data.path(), &database.config(), &[]).await;
    post_aloware(&client(), &daemon.base, &finished_call(9301, LEAD)).await;
    sandbox
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE)
        .await
        .unwrap();
    let stopping = tokio::task::spawn_blocking(move || daemon.terminate());
    gate.release();
    assert!(stopping.await.unwrap().success());
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
    let watcher = query::connect(&database.config()).await;
    assert_eq!(query::unfinished(&watcher).await, 0);
}
