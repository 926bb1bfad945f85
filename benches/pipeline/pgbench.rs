//! `pgbench` inserting the same payload, one row a transaction: what a webhook
//! receiver without group commit would get out of this cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bodies::Template;
use crate::house::Ground;
use crate::load::Sent;

pub(crate) const CLIENTS: usize = 64;

/// The event table with all its indexes, defaults and checks.
const TABLE: &str = "CREATE TABLE bench_events (LIKE webhook_events INCLUDING ALL)";
const SCRIPT: &str = r"\set n random(1, 9000000000000000000)
INSERT INTO bench_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key, order_key) VALUES ('aloware', 'Contact-Created', 'contact', :n::bigint, :payload::jsonb, 'aloware/sha256/' || md5(:n::bigint::text) || md5((:n::bigint + 1)::text) || '/20637', :n::bigint);
";

/// The program and what it sends.
pub(crate) struct Pgbench {
    program: PathBuf,
    payload: String,
    folder: tempfile::TempDir,
}

impl Pgbench {
    /// Makes its table in the database; `None` where the program is missing.
    pub(crate) async fn prepare(ground: &Ground, template: &Template) -> Option<Self> {
        let program = find()?;
        ground.sql.batch_execute(TABLE).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("script"), SCRIPT).unwrap();
        Some(Self {
            program,
            payload: template.body(1, 1),
            folder,
        })
    }

    /// One turn.
    pub(crate) async fn run(&self, ground: &Ground, length: Duration) -> Sent {
        let prefix = self.folder.path().join("latency");
        let mut command = Command::new(&self.program);
        command
            .args([
                "-n",
                "-M",
                "prepared",
                "-j",
                "2",
                "-c",
                &CLIENTS.to_string(),
                "-T",
                &length.as_secs().max(1).to_string(),
            ])
            .arg("-f")
            .arg(self.folder.path().join("script"))
            .args(["-D", &format!("payload={}", self.payload)])
            .args(["--log", &format!("--log-prefix={}", prefix.display())])
            .args([
                "-h",
                ground.socket().to_str().unwrap(),
                "-U",
                ground.user(),
                ground.name(),
            ])
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench failed: {text}{complaint}");
        let rate: f64 = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("pgbench said no rate: {text}"));
        let latencies = latencies(self.folder.path());
        Sent {
            count: latencies.len() as u64,
            elapsed: Duration::from_secs_f64(latencies.len() as f64 / rate),
            latencies,
            cost: 0.0,
        }
    }
}

/// Reads and removes the logs: `client transaction microseconds …` a line.
fn latencies(folder: &Path) -> Vec<Duration> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("latency."))
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let fields = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
        all.extend(fields.map(Duration::from_micros));
        std::fs::remove_file(path).unwrap();
    }
    all.sort_unstable();
    all
}

/// On `PATH`, else beside the server programs of a distribution.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|folder| folder.join("pgbench"))
        .find(|file| file.is_file());
    let packaged = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        versions
            .map(|version| version.path().join("bin/pgbench"))
            .filter(|file| file.is_file())
            .max()
    };
    on_path.or_else(packaged)
}
