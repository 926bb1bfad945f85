//! Waits for the server by really connecting: "ready" in its pid file may be
//! the word of the server before it.

use std::future::Future;
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

use super::error::EmbeddedError;
use super::supervise::Supervisor;

/// How long the server may be silent. Crash recovery is not silence: the
/// server says that it is starting, and is waited for as long as it takes.
const SILENCE: Duration = Duration::from_secs(60);

/// Returns when the server lets us in; fails when it ends or stays silent.
pub(super) async fn wait(config: &Config, supervisor: &Supervisor) -> Result<(), EmbeddedError> {
    let ended = supervisor.ended();
    tokio::pin!(ended);
    let mut heard = Instant::now();
    let mut reported = heard;
    loop {
        let attempt = tokio::select! {
            error = &mut ended => return Err(error),
            attempt = with_client(config, |_client| async { Ok(()) }) => attempt,
        };
        match attempt {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {
                heard = Instant::now();
            }
            Err(error) if error.as_db_error().is_some() => return Err(error.into()),
            Err(_) if heard.elapsed() > SILENCE => {
                return Err(supervisor.silent(SILENCE));
            }
            Err(_) => {}
        }
        if reported.elapsed() > Duration::from_secs(10) {
            tracing::info!("waiting for the embedded PostgreSQL, which is recovering or slow");
            reported = Instant::now();
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Creates the database `name` if it is missing.
pub(super) async fn ensure_database(config: &Config, name: &'static str) -> Result<(), Error> {
    with_client(config, |client| async move {
        let known = "SELECT 1 FROM pg_database WHERE datname = $1";
        if client.query_opt(known, &[&name]).await?.is_none() {
            client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        }
        Ok(())
    })
    .await
}

/// Runs `work` on a connection of its own, which is closed before this
/// returns. The connection is driven here, not by a task.
pub(super) async fn with_client<T, F>(config: &Config, work: impl FnOnce(Client) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let (client, connection) = config.connect(NoTls).await?;
    // The connection ends once `work` has dropped the client. Its own error, if
    // any, has reached the client too.
    let (done, _) = join(work(client), connection).await;
    done
}
