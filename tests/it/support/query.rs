//! Looking at the tables as an operator would.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use super::PATIENCE;

/// A connection of its own.
pub async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Rows of a query, each as JSON.
pub async fn rows(client: &Client, sql: &str) -> Vec<Value> {
    let wrapped = format!("SELECT to_jsonb(q) FROM ({sql}) q");
    client
        .query(&wrapped, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Events of both tables that have not ended.
pub async fn unfinished(client: &Client) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM webhook_events WHERE status IN ('pending', 'processing'))
                    + (SELECT count(*) FROM texting_webhook_events WHERE status IN ('pending', 'processing'))";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Events that ended, one way or the other.
pub async fn ended(client: &Client) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM webhook_events WHERE status IN ('done', 'error'))
                    + (SELECT count(*) FROM texting_webhook_events WHERE status IN ('done', 'error'))";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// What is unfinished, for a failing test's message.
pub async fn describe(client: &Client) -> String {
    let sql = "SELECT event_type, status, attempts, error_message FROM webhook_events WHERE status <> 'done'
               UNION ALL SELECT event_type, status, attempts, error_message FROM texting_webhook_events WHERE status <> 'done'";
    format!("{:?}", rows(client, sql).await)
}

/// The address of a database as `DATABASE_URL` wants it.
pub fn url(config: &Config) -> String {
    let (user, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    match (config.get_hosts(), config.get_ports()) {
        ([Host::Unix(path), ..], _) => format!("postgres://{user}@/{name}?host={}", path.to_str().unwrap()),
        ([Host::Tcp(host), ..], [port, ..]) => format!("postgres://{user}@{host}:{port}/{name}"),
        other => panic!("no address: {other:?}"),
    }
}

/// Waits until a query answers so many rows.
pub async fn settled(config: &Config, sql: &str, wanted: usize) {
    settled_within(config, sql, wanted, PATIENCE).await;
}

/// The same, where much is to be done.
pub async fn settled_within(config: &Config, sql: &str, wanted: usize, patience: Duration) {
    let watcher = connect(config).await;
    let deadline = tokio::time::Instant::now() + patience;
    while rows(&watcher, sql).await.len() != wanted {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{sql}: {:?}; {}",
            rows(&watcher, "SELECT * FROM daemon_sessions").await,
            describe(&watcher).await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// For [`settled`]: events of both tables that have not ended.
pub const UNFINISHED: &str = "SELECT 1 FROM webhook_events WHERE status IN ('pending', 'processing')
                UNION ALL SELECT 1 FROM texting_webhook_events WHERE status IN ('pending', 'processing')";
