//! An event that ends the process whenever it runs, among others that do not:
//! it alone is condemned, though all of them were there at each death.

use std::time::Duration;

use df_middleware::sandbox::{Fault, Sandbox, Times};
use serde_json::json;

use super::{QUICK, settle, size};
use crate::support::binary::Daemon;
use crate::support::{PATIENCE, client, cluster, finished_call, post_aloware, query};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_that_ends_the_process_is_told_from_those_that_were_merely_there() {
    let people = size(12, 60);
    let database = cluster::database().await;
    let config = database.config();
    let sandbox = Sandbox::start().await.unwrap();
    sandbox
        .ghl
        .set_rate_limit(1_000_000, Duration::from_secs(10), 1_000_000);
    let phone = |n: usize| format!("+1619555{n:04}");
    for n in 0..people {
        sandbox.ghl.add_contact(json!({"phone": phone(n)}));
    }
    let poisoned = sandbox.ghl.contact_by_phone(&phone(0)).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let poison = format!("/contacts/{poisoned}/");
    sandbox.ghl.fault("*", &poison, Times::Forever, Fault::Hang);
    // Everybody's call takes so long that none is over when the process dies.
    sandbox.ghl.set_latency(Some(Duration::from_millis(100)));

    let home = tempfile::tempdir().unwrap();
    // Who follows a killed daemon waits until that one's last call must have ended.
    let changes = [&QUICK[..], &[("DF_HTTP_TIMEOUT", "1s")]].concat();
    let mut daemon = Daemon::start(&sandbox, home.path(), &config, &changes).await;
    for n in 0..people {
        let call = finished_call(4000 + i64::try_from(n).unwrap(), &phone(n));
        assert_eq!(post_aloware(&client(), &daemon.base, &call).await.status(), 200);
    }
    let watcher = query::connect(&config).await;
    let condemned = "SELECT 1 FROM webhook_events WHERE status = 'error'";
    let (mut deaths, mut seen) = (0, 0);
    let deadline = tokio::time::Instant::now() + PATIENCE * 4;
    while query::rows(&watcher, condemned).await.is_empty() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            query::describe(&watcher).await
        );
        if sandbox.ghl.calls_to("*", &poison).len() > seen {
            daemon.kill();
            deaths += 1;
            seen = sandbox.ghl.calls_to("*", &poison).len();
            daemon = Daemon::start(&sandbox, home.path(), &config, &changes).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    settle(&config, &[home.path()]).await;
    let errors = query::rows(&watcher, "SELECT entity_id FROM webhook_events WHERE status = 'error'").await;
    println!("poison: {deaths} deaths, {people} people, {} condemned", errors.len());
    assert_eq!(
        errors,
        [json!({"entity_id": "4000"})],
        "the one that ends the process, and no other"
    );
    for n in 1..people {
        let contact = sandbox.ghl.contact_by_phone(&phone(n)).unwrap();
        assert_eq!(
            sandbox.ghl.notes(contact["id"].as_str().unwrap()).len(),
            1,
            "person {n}"
        );
    }
    assert!(daemon.terminate().success());
}
