//! A spool that fills while PostgreSQL is away: who is refused, with what, that
//! nothing accepted is lost, and that it empties whatever else arrives.

use std::net::TcpListener;
use std::time::Duration;

use df_middleware::app::{self, App};
use df_middleware::embedded::{self, Options};
use df_middleware::sandbox::Sandbox;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{
    self, GHL_SECRET, PATIENCE, contact_event, finished_call, post_aloware, post_texting, query, settings_with, text,
};

async fn post_ghl(client: &Client, base: &str, body: &Value) -> Response {
    let url = format!("{base}/api/webhooks/ghl/{GHL_SECRET}");
    client.post(url).json(body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_refuses_ghl_first_then_texting_and_aloware_not_yet_and_loses_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    // Where the postgres user may enter: a temporary directory is root's own.
    let home = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let options = || Options::new(home.path().join("pg"), std::env::vars_os());
    let server = embedded::start(options()).await.unwrap();
    let settings = settings_with(&sandbox, home.path(), &[("DF_SPOOL_LIMIT", "64KiB")]);
    let db = app::open_database(server.config(), 4).await.unwrap();
    let app = App::start(settings, db, TcpListener::bind("127.0.0.1:0").unwrap())
        .await
        .unwrap();
    let (client, base) = (support::client(), format!("http://{}", app.address()));
    server.stop().await.unwrap();

    let filler = "x".repeat(2000);
    let (mut contacts, mut texts) = (0, 0);
    let refusal = loop {
        let id = format!("filler{contacts:04}");
        let fields = json!({"firstName": filler, "phone": format!("+1619555{:04}", 1000 + contacts)});
        let answer = post_ghl(&client, &base, &contact_event("ContactUpdate", &id, &id, fields)).await;
        if answer.status() != 200 {
            break answer;
        }
        contacts += 1;
    };
    assert_eq!(refusal.status(), 429, "GHL delivers again on nothing else");
    assert!(refusal.headers().contains_key("retry-after"));
    let refusal = loop {
        let body = text("message.received", &format!("t{texts}"), "+16195550191", &filler);
        let answer = post_texting(&client, &base, &body).await;
        if answer.status() != 200 {
            break answer;
        }
        texts += 1;
    };
    assert_eq!(refusal.status(), 503);
    assert!(contacts > 0 && texts > 0, "{contacts} {texts}");
    let kept = post_aloware(&client, &base, &finished_call(9700, "+16195550192")).await;
    assert_eq!(kept.status(), 200, "the last part is Aloware's");

    let server = embedded::start(options()).await.unwrap();
    let watcher = query::connect(&server.config()).await;
    let count = "SELECT (SELECT count(*) FROM webhook_events) + (SELECT count(*) FROM texting_webhook_events)";
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while watcher.query_one(count, &[]).await.unwrap().get::<_, i64>(0) < contacts + texts + 1 {
        assert!(tokio::time::Instant::now() < deadline, "the spool is not drained");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let again = text("message.received", "again", "+16195550191", "hello");
    assert_eq!(
        post_texting(&client, &base, &again).await.status(),
        200,
        "there is room again"
    );
    app.stop().await;
    drop(watcher);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_empties_under_a_steady_stream_and_each_person_s_texts_keep_their_order() {
    let sandbox = Sandbox::start().await.unwrap();
    let home = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let options = || Options::new(home.path().join("pg"), std::env::vars_os());
    let server = embedded::start(options()).await.unwrap();
    let settings = settings_with(&sandbox, home.path(), &[]);
    let db = app::open_database(server.config(), 4).await.unwrap();
    let app = App::start(settings, db, TcpListener::bind("127.0.0.1:0").unwrap())
        .await
        .unwrap();
    let (client, base) = (support::client(), format!("http://{}", app.address()));
    server.stop().await.unwrap();

    let enough = CancellationToken::new();
    let stream: JoinSet<_> = (0..8)
        .map(|person| {
            let (client, base, enough) = (client.clone(), base.clone(), enough.clone());
            async move {
                let phone = format!("+1619555{:04}", 2000 + person);
                let mut sent = 0;
                while !enough.is_cancelled() {
                    let body = text("message.received", &format!("s{person}-{sent}"), &phone, "steady");
                    assert_eq!(post_texting(&client, &base, &body).await.status(), 200);
                    sent += 1;
                }
                sent
            }
        })
        .collect();
    let spooled = async || {
        let health = client.get(format!("{base}/api/health")).send().await.unwrap();
        health.json::<Value>().await.unwrap()["spoolBytes"].as_u64().unwrap()
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while spooled().await < 100_000 {
        assert!(tokio::time::Instant::now() < deadline, "the spool takes nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let server = embedded::start(options()).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while spooled().await > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the stream keeps the spool filled"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    enough.cancel();
    let sent: i64 = stream.join_all().await.into_iter().sum();
    let watcher = query::connect(&server.config()).await;
    let stored = "SELECT count(*) FROM texting_webhook_events";
    assert_eq!(watcher.query_one(stored, &[]).await.unwrap().get::<_, i64>(0), sent);
    let overtaken = "SELECT count(*) FROM (
        SELECT seq - lag(seq) OVER (PARTITION BY order_key
            ORDER BY split_part(payload_json->'message'->>'id', '-', 2)::int) AS step FROM texting_webhook_events) steps
         WHERE step < 0";
    assert_eq!(watcher.query_one(overtaken, &[]).await.unwrap().get::<_, i64>(0), 0);
    app.stop().await;
    drop(watcher);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_refuses_and_nobody_can_set_aside_is_answered_no_and_jams_no_spool() {
    let sandbox = Sandbox::start().await.unwrap();
    let home = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let options = || Options::new(home.path().join("pg"), std::env::vars_os());
    let server = embedded::start(options()).await.unwrap();
    let settings = settings_with(&sandbox, home.path(), &[("DF_SPOOL_LIMIT", "64KiB")]);
    let aside = settings.database.data_dir.join("spool/refused");
    let db = app::open_database(server.config(), 4).await.unwrap();
    let app = App::start(settings, db, TcpListener::bind("127.0.0.1:0").unwrap())
        .await
        .unwrap();
    let (client, base) = (support::client(), format!("http://{}", app.address()));
    let curse = "ALTER TABLE texting_webhook_events ADD CHECK (payload_json->'message'->>'body' <> 'cursed')";
    let watcher = query::connect(&server.config()).await;
    watcher.batch_execute(curse).await.unwrap();
    std::fs::write(&aside, vec![b'x'; 64 << 10]).unwrap();
    let post = async |id: &str, words: &str| {
        let body = text("message.received", id, "+16195550193", words);
        post_texting(&client, &base, &body).await.status().as_u16()
    };
    let spooled = async || {
        let health = client.get(format!("{base}/api/health")).send().await.unwrap();
        health.json::<Value>().await.unwrap()["spoolBytes"].as_u64().unwrap()
    };

    assert_eq!(post("c1", "cursed").await, 503, "it is kept nowhere");
    assert_eq!(
        spooled().await,
        0,
        "the spool is no place for what can never be drained"
    );
    drop(watcher);
    server.stop().await.unwrap();
    assert_eq!((post("c2", "cursed").await, post("c3", "hello").await), (200, 200));
    let server = embedded::start(options()).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while spooled().await > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the refused delivery jams the spool"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kept = String::from_utf8_lossy(&std::fs::read(&aside).unwrap()).into_owned();
    assert!(
        kept.contains("c2") && !kept.contains("c1"),
        "what was acknowledged is kept"
    );
    let watcher = query::connect(&server.config()).await;
    let stored = "SELECT count(*) FROM texting_webhook_events";
    assert_eq!(watcher.query_one(stored, &[]).await.unwrap().get::<_, i64>(0), 1);
    app.stop().await;
    drop(watcher);
    server.stop().await.unwrap();
}
