//! The shipped binary as a process of its own, to be killed.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use df_middleware::embedded::throwaway::Database;
use df_middleware::sandbox::Sandbox;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Config;

use super::{PATIENCE, client, cluster, environment, query};

pub const BINARY: &str = env!("CARGO_BIN_EXE_df-middleware");

/// A running `df-middleware serve`.
pub struct Daemon {
    child: Child,
    pub base: String,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    pub async fn start(sandbox: &Sandbox, data: &Path, config: &Config, changes: &[(&str, &str)]) -> Self {
        let this = Self::launch(sandbox, data, config, changes);
        this.ready(&client()).await;
        this
    }

    /// Starts it and waits for nothing.
    pub fn launch(sandbox: &Sandbox, data: &Path, config: &Config, changes: &[(&str, &str)]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("serve");
        Self::run(command, sandbox, data, config, changes)
    }

    /// Starts it where no file may grow beyond `blocks` of 512 bytes: beyond it
    /// a write fails as on a full disk.
    pub fn launch_on_full_disk(
        blocks: usize,
        sandbox: &Sandbox,
        data: &Path,
        config: &Config,
        changes: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#,
            &blocks.to_string(),
            BINARY,
            "serve",
        ]);
        // Where the output goes may be a file, too.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self::run(command, sandbox, data, config, changes)
    }

    fn run(mut command: Command, sandbox: &Sandbox, data: &Path, config: &Config, changes: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut env = environment(sandbox, data, changes);
        env.insert("DATABASE_URL".to_owned(), query::url(config));
        env.insert("DF_BIND".to_owned(), format!("127.0.0.1:{port}"));
        let child = command
            .current_dir(data)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
        }
    }

    /// Waits until it takes work.
    pub async fn ready(&self, client: &Client) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = client.get(format!("{}/readyz", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "the daemon did not become ready"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts a command that serves at `base`, and waits for nothing.
    pub fn spawn(serve: &mut Command, base: String) -> Self {
        let child = serve.spawn().unwrap();
        Self { child, base }
    }

    /// SIGKILL: no instruction of it runs any more when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: it stays where it is, between any two instructions.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on there.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The sum of a metric's samples whose labels contain `label`.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let answer = client().get(format!("{}/metrics", self.base)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Two shipped daemons that both work.
pub struct Two {
    pub database: Database,
    pub sandbox: Sandbox,
    pub daemons: Vec<Daemon>,
    _data: [tempfile::TempDir; 2],
}

impl Two {
    /// Starts them on a database and simulators of their own.
    pub async fn start(changes: &[(&str, &str)]) -> Self {
        let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
        let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut daemons = Vec::new();
        for dir in &data {
            daemons.push(Daemon::start(&sandbox, dir.path(), &database.config(), changes).await);
        }
        query::settled(&database.config(), "SELECT 1 FROM daemon_sessions WHERE working", 2).await;
        Self {
            database,
            sandbox,
            daemons,
            _data: data,
        }
    }
}
