//! A durable PostgreSQL of a scenario's own, to be stopped and started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use df_middleware::embedded::{self, Embedded, Options};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::Config;

/// How `pg_ctl stop` is told to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are cut, transactions rolled back, a checkpoint is written.
    Fast,
    /// As if the power had failed: the next start recovers from the log.
    Immediate,
}

/// The server and the directory that outlives its stops.
pub struct Server {
    home: TempDir,
    running: Option<Embedded>,
    config: Config,
}

impl Server {
    /// A new cluster, running.
    pub async fn start() -> Self {
        // Where the postgres user may enter: a temporary directory is root's own.
        let mode = fs::Permissions::from_mode(0o755);
        let home = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
        let running = embedded::start(options(home.path())).await.unwrap();
        let config = running.config();
        Self {
            home,
            running: Some(running),
            config,
        }
    }

    /// How to connect, while it runs.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(&mut self, how: Stop) {
        let server = self.running.take().unwrap();
        if how == Stop::Immediate {
            let ended = server.ended();
            signal(self.home.path(), Signal::QUIT);
            ended.await;
        } else {
            server.stop().await.unwrap();
        }
    }

    /// Stops it for good.
    pub async fn end(mut self) {
        self.stop(Stop::Fast).await;
    }

    /// Starts it again on the same cluster.
    pub async fn start_again(&mut self) {
        let running = embedded::start(options(self.home.path())).await.unwrap();
        assert_eq!(running.config().get_hosts(), self.config.get_hosts());
        self.running = Some(running);
    }

    /// The socket it listens on.
    pub fn socket(&self) -> PathBuf {
        match self.config.get_hosts() {
            [tokio_postgres::config::Host::Unix(dir), ..] => dir.join(".s.PGSQL.5432"),
            other => panic!("not a socket: {other:?}"),
        }
    }
}

fn options(home: &Path) -> Options {
    Options::new(home.join("pg"), std::env::vars_os())
}

/// Signals the postmaster, which its pid file names.
fn signal(home: &Path, signal: Signal) {
    let file = fs::read_to_string(home.join("pg/data/postmaster.pid")).unwrap();
    let pid = file.lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}
