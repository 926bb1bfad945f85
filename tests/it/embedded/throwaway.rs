//! Test servers: databases that do not see each other, and nothing left behind.

use std::path::Path;
use std::time::Duration;

use df_middleware::embedded::EmbeddedError;
use df_middleware::embedded::throwaway::Throwaway;
use tokio_postgres::{Config, NoTls};

use super::support::{Child, THROWAWAY, children_of, execute, kill_group, query_text, server_and_supervisor, until};

async fn migrate(config: Config) -> Result<(), tokio_postgres::Error> {
    execute(
        &config,
        "CREATE TABLE seen (word text PRIMARY KEY); INSERT INTO seen VALUES ('a')",
    )
    .await
}

async fn count(config: &Config) -> String {
    query_text(config, "SELECT count(*)::text FROM seen").await.unwrap()
}

#[tokio::test]
async fn databases_are_copies_of_the_template_and_isolated() {
    let server = Throwaway::start(false).await.unwrap();
    server.template(migrate).await.unwrap();
    let one = server.create_database().await.unwrap();
    let two = server.create_database().await.unwrap();
    execute(&one.config(), "INSERT INTO seen VALUES ('b')").await.unwrap();
    assert_eq!(
        (count(&one.config()).await, count(&two.config()).await),
        ("2".into(), "1".into())
    );
    let empty = server.create_empty_database().await.unwrap();
    let tables = "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(query_text(&empty.config(), tables).await.unwrap(), "0");
    assert_eq!(query_text(&one.config(), "SHOW fsync").await.unwrap(), "off");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn many_databases_can_be_made_at_once() {
    let server = Throwaway::start(false).await.unwrap();
    server.template(migrate).await.unwrap();
    let made = futures_util::future::join_all((0..16).map(|_| server.create_database())).await;
    for database in made {
        assert_eq!(count(&database.unwrap().config()).await, "1");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_finished_database_is_dropped_when_the_next_is_made() {
    let server = Throwaway::start(false).await.unwrap();
    server.template(migrate).await.unwrap();
    let first = server.create_database().await.unwrap();
    let config = first.config();
    // A test that forgets a connection does not keep its database.
    let (_client, connection) = config.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    drop(first);
    server.create_database().await.unwrap();
    assert!(connection.await.unwrap().is_err());
    assert!(config.connect(NoTls).await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_template_waits_for_its_last_connection() {
    let server = Throwaway::start(false).await.unwrap();
    let slow = |config: Config| async move {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        tokio::spawn(async move {
            client.batch_execute("SELECT pg_sleep(0.3)").await.unwrap();
        });
        Ok::<_, tokio_postgres::Error>(())
    };
    server.template(slow).await.unwrap();
    server.create_database().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_preparation_is_told_in_its_own_words() {
    let server = Throwaway::start(false).await.unwrap();
    let failed = server
        .template(|_config| async { Err("no such migration") })
        .await
        .unwrap_err();
    assert!(matches!(failed, EmbeddedError::Template(_)));
    assert!(failed.to_string().ends_with("no such migration"), "{failed}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_durable_one_keeps_the_durability_of_the_real_one() {
    let server = Throwaway::start(true).await.unwrap();
    let database = server.create_empty_database().await.unwrap();
    for setting in ["SHOW fsync", "SHOW synchronous_commit", "SHOW full_page_writes"] {
        assert_eq!(
            query_text(&database.config(), setting).await.unwrap(),
            "on",
            "{setting}"
        );
    }
    assert!(!server.dir().unwrap().starts_with("/dev/shm"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_given_server_can_be_used_instead() {
    let own = Throwaway::start(false).await.unwrap();
    let outer = own.create_empty_database().await.unwrap();
    let given = Throwaway::on(outer.config()).await.unwrap();
    given.template(migrate).await.unwrap();
    let database = given.create_database().await.unwrap();
    assert_eq!(count(&database.config()).await, "1");
    assert_eq!(given.dir(), None);
    given.stop().await.unwrap();
    own.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_and_a_kill_leave_neither_process_nor_directory() {
    let stopped = Throwaway::start(false).await.unwrap();
    let dir = stopped.dir().unwrap().to_owned();
    stopped.stop().await.unwrap();
    assert!(!dir.exists());

    let mut child = Child::start(Path::new(THROWAWAY));
    child.until_ready().await;
    assert!(child.dir.exists());
    child.kill();
    until("the directory is gone", || !child.dir.exists()).await;
    until("no process is left", || children_of(&child.dir).is_empty()).await;
}

#[tokio::test]
async fn what_a_killed_run_leaves_is_swept_by_the_next() {
    let mut child = Child::start(Path::new(THROWAWAY));
    child.until_ready().await;
    let (_, supervisor) = server_and_supervisor(&child.dir);
    kill_group(supervisor);
    child.kill();
    assert!(child.dir.exists());
    // Another test of this binary may start one at the same time and sweep it.
    Throwaway::start(false).await.unwrap().stop().await.unwrap();
    until("the directory is gone", || !child.dir.exists()).await;
}

#[tokio::test]
async fn a_running_one_is_not_swept() {
    let first = Throwaway::start(false).await.unwrap();
    let second = Throwaway::start(false).await.unwrap();
    let database = tokio::time::timeout(Duration::from_secs(30), first.create_empty_database());
    assert!(database.await.unwrap().is_ok());
    second.stop().await.unwrap();
    first.stop().await.unwrap();
}
