//! `serve` and `migrate`: the database first, then the daemon on it.

use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};

use super::lent;
use crate::app::{self, App};
use crate::config::{Database, Settings};
use crate::embedded::{self, Embedded};
use crate::http::Door;
use crate::ops::telemetry;

/// The database a command works on.
pub(super) struct Opened {
    pub(super) config: tokio_postgres::Config,
    pub(super) embedded: Option<Embedded>,
}

/// The operator's server, or the embedded one, started.
pub(super) async fn open(database: &Database) -> anyhow::Result<Opened> {
    if let Some(url) = &database.url {
        let config = url.expose_secret().parse().context("DATABASE_URL cannot be read")?;
        return Ok(Opened { config, embedded: None });
    }
    let mut options = embedded::Options::new(database.data_dir.join("postgres"), std::env::vars_os());
    options.bin_dir = database.postgres_bin_dir.clone();
    let embedded = embedded::start(options).await?;
    Ok(Opened {
        config: embedded.config(),
        embedded: Some(embedded),
    })
}

impl Opened {
    /// Stops the embedded server, if there is one.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        Ok(())
    }
}

/// Runs the daemon until SIGTERM or SIGINT.
pub(super) async fn serve(settings: Settings, lent: Option<TcpListener>) -> anyhow::Result<ExitCode> {
    telemetry::init(&settings.server);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let bind = settings.server.bind;
    let taken = || format!("cannot listen on {bind}");
    let door = match lent {
        Some(listener) => Door::lent(listener),
        None => Door::bind(&settings.server).with_context(taken)?,
    };
    let opened = open(&settings.database).await?;
    let db = app::open_database(opened.config.clone(), settings.database.pool_size).await?;
    door.listen().with_context(taken)?;
    let mut app = App::start(settings, db, door).await?;
    lent::tell_ready();
    tracing::info!(address = %app.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    let lost_database = async {
        match &opened.embedded {
            Some(embedded) => embedded.ended().await,
            None => std::future::pending().await,
        }
    };
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        name = app.ended_early() => {
            tracing::error!(task = name, "a task ended that should not");
            ExitCode::from(super::EX_SOFTWARE)
        }
        error = lost_database => {
            tracing::error!(%error, "the embedded database ended");
            ExitCode::from(super::EX_SOFTWARE)
        }
    };
    tracing::info!("stopping");
    lent::tell_stopping();
    app.stop().await;
    if code == ExitCode::SUCCESS {
        opened.close().await?;
    }
    tracing::info!("stopped");
    Ok(code)
}

/// Brings the schema up to date.
pub(super) async fn migrate(database: Database) -> anyhow::Result<ExitCode> {
    let opened = open(&database).await?;
    let db = app::open_database(opened.config.clone(), 2).await?;
    db.close();
    opened.close().await?;
    println!("the database schema is up to date");
    Ok(ExitCode::SUCCESS)
}
