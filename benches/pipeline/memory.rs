//! Resident memory of the shipped binary, alone in its process; simulators and
//! load generator stay in this one.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Scale;
use crate::bodies;
use crate::house::{House, environment, instant_sandbox};
use crate::load::{Load, Until};
use crate::table::{Table, at_most};

const PEOPLE: u64 = 1_000;
/// What a boot leaves behind has settled by then.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(house: &House, scale: Scale, table: &mut Table) {
    let ground = house.ground().await;
    let sandbox = instant_sandbox().await;
    ground.people(&sandbox, PEOPLE).await;
    let data = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut env = environment(&sandbox, data.path());
    env.insert("DATABASE_URL".to_owned(), ground.url());
    env.insert("DF_BIND".to_owned(), address.to_string());
    let child = Command::new(env!("CARGO_BIN_EXE_df-middleware"))
        .arg("serve")
        .current_dir(data.path())
        .env_clear()
        .envs(env)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Process(child);
    ready(address).await;
    tokio::time::sleep(SETTLE).await;
    let idle = daemon.mebibytes("VmRSS:");
    let load = Load {
        address,
        connections: 64,
        templates: vec![bodies::contact_event(), bodies::call_event()],
        first: 0,
        people: PEOPLE,
        until: Until::Count(scale.burst),
    };
    load.run().await;
    ground.drained().await;
    let peak = daemon.mebibytes("VmHWM:");
    ground.assert_done(scale.burst).await;
    table.group(&format!(
        "resident memory of the daemon's process, burst of {} events, every other one a call",
        scale.burst
    ));
    table.row("idle, after boot", idle, "MiB", at_most(Some(40.0), 40.0));
    table.row("highest, under load", peak, "MiB", at_most(Some(120.0), 60.0));
}

/// Killed when dropped.
struct Process(Child);

impl Process {
    /// A figure of `/proc/<pid>/status`.
    fn mebibytes(&self, name: &str) -> f64 {
        let text = std::fs::read_to_string(Path::new("/proc").join(self.0.id().to_string()).join("status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes / 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn ready(address: std::net::SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
            stream
                .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await
                .ok();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok();
            if answer.starts_with(b"HTTP/1.1 200") {
                return;
            }
        }
        assert!(Instant::now() < deadline, "the daemon did not become ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
