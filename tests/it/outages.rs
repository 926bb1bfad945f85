//! PostgreSQL away, vendors away: nothing accepted is lost, order is kept.

use std::net::TcpListener;

use df_middleware::app::{self, App};
use df_middleware::embedded::{self, Options};
use df_middleware::sandbox::{Fault, Sandbox, Times};
use serde_json::{Value, json};

use crate::support::{self, PATIENCE, TestApp, finished_call, post_aloware, post_texting, query, text};

const LEAD: &str = "+16195550177";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_arrive_while_postgres_is_away_are_kept_and_processed_in_order() {
    let sandbox = Sandbox::start().await.unwrap();
    let contact = sandbox.ghl.add_contact(json!({"phone": LEAD}));
    // Where the postgres user may enter: a temporary directory is root's own.
    let home = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let options = || Options::new(home.path().join("pg"), std::env::vars_os());
    let server = embedded::start(options()).await.unwrap();
    let settings = support::settings_for(&sandbox, home.path());
    let db = app::open_database(server.config(), 4).await.unwrap();
    let app = App::start(settings, db, TcpListener::bind("127.0.0.1:0").unwrap())
        .await
        .unwrap();
    let (client, base) = (support::client(), format!("http://{}", app.address()));

    server.stop().await.unwrap();
    for n in 0..5 {
        let answer = post_texting(
            &client,
            &base,
            &text("message.received", &format!("m{n}"), LEAD, &format!("number {n}")),
        )
        .await;
        assert_eq!(answer.status(), 200, "kept in the spool");
    }
    assert_eq!(
        post_aloware(&client, &base, &finished_call(9400, LEAD)).await.status(),
        200
    );
    assert_eq!(
        post_texting(&client, &base, &text("message.received", "m9", "+16195550178", "STOP"))
            .await
            .status(),
        200
    );
    let health = client.get(format!("{base}/api/health")).send().await.unwrap();
    assert_eq!(health.status(), 503);
    assert_eq!(health.json::<Value>().await.unwrap()["status"], "degraded");

    let server = embedded::start(options()).await.unwrap();
    let watcher = query::connect(&server.config()).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while sandbox.ghl.notes(&contact).len() < 6 || query::unfinished(&watcher).await > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            query::describe(&watcher).await
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let notes = sandbox.ghl.notes(&contact);
    for (n, note) in notes.iter().take(5).enumerate() {
        assert!(note.contains(&format!("number {n}")), "{notes:?}");
    }
    let stopped = query::rows(&watcher, "SELECT status FROM optout_registry").await;
    assert_eq!(stopped, [json!({"status": "opted_out"})]);
    app.stop().await;
    drop(watcher);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_vendor_is_down_its_work_waits_without_burning_attempts() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "8")]).await;
    let fault = app
        .sandbox
        .ghl
        .fault("*", "/", Times::Forever, Fault::status(503, "down"));
    for n in 0..12 {
        app.aloware(&finished_call(9500 + n, &format!("+1619555{:04}", 300 + n)))
            .await;
    }
    let client = query::connect(&app.config).await;
    let parked = "SELECT 1 FROM sync_log WHERE error_message = 'ghl down'";
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while query::rows(&client, parked).await.len() < 12 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            query::describe(&client).await
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    fault.remove();
    app.idle().await;
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})], "nothing died of the outage");
    assert_eq!(app.sandbox.ghl.contacts().len(), 12);
    app.finish().await;
}
