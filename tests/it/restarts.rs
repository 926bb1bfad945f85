//! A restart refuses nobody: with a socket that outlives the daemon, and by
//! handing the port over to a second daemon. The real binary, under load, a new
//! connection for each delivery.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use df_middleware::app::{self, App};
use df_middleware::embedded::throwaway::Database;
use df_middleware::http::Door;
use df_middleware::sandbox::Sandbox;
use df_middleware::store::spool::Spool;
use reqwest::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::support::binary::Daemon;
use crate::support::{PATIENCE, TEXTING_SECRET, cluster, environment, query, settings_with, text};

const BINARY: &str = env!("CARGO_BIN_EXE_df-middleware");
/// Deliveries at the same time, each sender's for a person of its own.
const SENDERS: usize = 4;
/// Deliveries between two restarts.
const SOME: usize = 100;

/// What the daemons of one machine have in common.
struct House {
    database: Database,
    sandbox: Sandbox,
    data: tempfile::TempDir,
    /// Where daemons say that they are ready.
    supervisor: UnixDatagram,
}

impl House {
    async fn open() -> Self {
        let (database, sandbox) = (cluster::database().await, Sandbox::start().await.unwrap());
        // A lifted limit still tells the documented one in its headers, and daemons obey those.
        sandbox.ghl.set_rate_limit(u32::MAX, Duration::from_secs(10), u32::MAX);
        let data = tempfile::tempdir().unwrap();
        let supervisor = UnixDatagram::bind(data.path().join("supervisor")).unwrap();
        Self {
            database,
            sandbox,
            data,
            supervisor,
        }
    }

    /// `program`, with the settings of a daemon in its environment.
    fn command(&self, program: &str, changes: &[(&str, &str)]) -> Command {
        let mut env = environment(&self.sandbox, self.data.path(), changes);
        env.insert("DATABASE_URL".to_owned(), query::url(&self.database.config()));
        env.insert("GHL_RATE_LIMIT".to_owned(), "100000/1s".to_owned());
        let mut command = Command::new(program);
        command
            .current_dir(self.data.path())
            .env_clear()
            .envs(env)
            .env("NOTIFY_SOCKET", self.data.path().join("supervisor"))
            .stdin(Stdio::null());
        command
    }

    /// A daemon that takes its connections from `socket`, as systemd starts it.
    fn lent(&self, socket: impl Into<OwnedFd>, count: usize) -> Command {
        let mut command = self.command("/bin/sh", &[]);
        let script = format!(r#"exec 3<&0 </dev/null; LISTEN_FDS={count} LISTEN_PID=$$ exec "$0" serve"#);
        command.args(["-c", &script, BINARY]).stdin(Stdio::from(socket.into()));
        command
    }

    async fn start(&self, command: &mut Command) -> Daemon {
        let daemon = Daemon::spawn(command, String::new());
        self.told("READY=1").await;
        daemon
    }

    /// Waits until a daemon says that.
    async fn told(&self, what: &str) {
        let mut words = [0; 256];
        loop {
            let length = timeout(PATIENCE, self.supervisor.recv(&mut words))
                .await
                .unwrap()
                .unwrap();
            if String::from_utf8_lossy(&words[..length]).contains(what) {
                return;
            }
        }
    }

    /// SIGTERM, and a clean end.
    async fn stop(&self, daemon: Daemon) {
        let ended = tokio::task::spawn_blocking(move || daemon.terminate()).await.unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Each delivery that was answered is stored, and stored once.
    async fn assert_stored_once(&self, answered: &[String]) {
        let client = query::connect(&self.database.config()).await;
        let sql = "SELECT entity_id FROM texting_webhook_events ORDER BY entity_id";
        let stored: Vec<String> = client
            .query(sql, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let mut answered = answered.to_vec();
        answered.sort();
        assert_eq!(stored, answered);
    }
}

/// Senders that deliver one after the other, without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    senders: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(base: &str) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let senders = (0..SENDERS).map(|sender| {
            let (stop, count, base) = (Arc::clone(&stop), Arc::clone(&count), base.to_owned());
            // It keeps no connection for the next delivery.
            let client = Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE);
            let client = client.pool_max_idle_per_host(0).build().unwrap();
            tokio::spawn(async move {
                let mut answered = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = format!("s{sender}-{}", answered.len());
                    deliver(&client, &base, &id, &format!("+1619555{:04}", 700 + sender)).await;
                    answered.push(id);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                answered
            })
        });
        Self {
            senders: senders.collect(),
            stop,
            count,
        }
    }

    /// Waits until some more deliveries are answered; a sender that failed ends the test.
    async fn go_on(&self) {
        let (enough, deadline) = (self.count.load(Ordering::Relaxed) + SOME, Instant::now() + PATIENCE);
        while self.count.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < deadline, "deliveries stand still");
            assert!(!self.senders.iter().any(JoinHandle::is_finished), "a delivery was lost");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The deliveries that were answered, which is all that began.
    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answered = Vec::new();
        for sender in self.senders {
            answered.extend(sender.await.unwrap());
        }
        answered
    }
}

/// One delivery over a connection of its own: it must be answered, and as new.
async fn deliver(client: &Client, base: &str, id: &str, phone: &str) {
    let answer = client
        .post(format!("{base}/api/webhooks/texting"))
        .header("X-Texting-Secret", TEXTING_SECRET)
        .json(&text("message.received", id, phone, "hello"))
        .send()
        .await
        .unwrap_or_else(|error| panic!("{id} was refused or reset: {error:?}"));
    assert_eq!(answer.status(), 200, "{id}");
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["message"], json!("Webhook received"), "{id}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_lent_socket_a_restart_loses_no_connection() {
    let house = House::open().await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    let mut daemon = house.start(&mut house.lent(socket.try_clone().unwrap(), 1)).await;
    let load = Load::start(&base);
    for _ in 0..3 {
        load.go_on().await;
        house.stop(daemon).await;
        // Nobody is there now, and deliveries wait for the next daemon.
        daemon = house.start(&mut house.lent(socket.try_clone().unwrap(), 1)).await;
    }
    load.go_on().await;
    let answered = load.end().await;
    house.assert_stored_once(&answered).await;
    house.stop(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handing_the_port_over_to_a_second_daemon_loses_no_connection() {
    let house = House::open().await;
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let settings = [("DF_BIND", address.as_str()), ("DF_REUSE_PORT", "true")];
    let serve = || {
        let mut command = house.command(BINARY, &settings);
        command.arg("serve");
        command
    };
    let mut daemon = house.start(&mut serve()).await;
    let load = Load::start(&format!("http://{address}"));
    for _ in 0..3 {
        load.go_on().await;
        let next = house.start(&mut serve()).await;
        load.go_on().await;
        house.stop(std::mem::replace(&mut daemon, next)).await;
    }
    load.go_on().await;
    let answered = load.end().await;
    house.assert_stored_once(&answered).await;
    // Both used one data directory; the last daemon has the spool now.
    let deadline = Instant::now() + PATIENCE;
    while Spool::open(&house.data.path().join("spool"), 1 << 20).is_ok() {
        assert!(Instant::now() < deadline, "nobody took the spool over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.stop(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_before_the_stop_is_answered_and_who_came_after_waits_for_the_next_daemon() {
    let house = House::open().await;
    let settings = settings_with(&house.sandbox, house.data.path(), &[]);
    let db = app::open_database(house.database.config(), 4).await.unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let door = Door::lent(socket.try_clone().unwrap());
    let app = App::start(settings, db, door).await.unwrap();
    let mut early = TcpStream::connect(address).await.unwrap();
    // Connections are accepted in their order: with this answer the early one is inside.
    ask(&mut TcpStream::connect(address).await.unwrap(), PATIENCE)
        .await
        .unwrap();

    let stopping = tokio::spawn(app.stop());
    // Until the door is closed: whoever comes then waits without an answer.
    let soon = Duration::from_millis(250);
    while ask(&mut TcpStream::connect(address).await.unwrap(), soon)
        .await
        .is_some()
    {}
    let answer = ask(&mut early, PATIENCE).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    stopping.await.unwrap();
    let late = TcpStream::connect(address).await.unwrap();
    while socket.accept().unwrap().1 != late.local_addr().unwrap() {}
}

/// Asks something, and the answer if one comes in time.
async fn ask(connection: &mut TcpStream, time: Duration) -> Option<String> {
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.write_all(request).await.unwrap();
    let mut answer = [0; 1024];
    let length = timeout(time, connection.read(&mut answer)).await.ok()?.unwrap();
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_shared_port_a_second_daemon_is_refused() {
    let house = House::open().await;
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let data = house.data.path().join("second");
    let first = house
        .start(house.command(BINARY, &[("DF_BIND", &address)]).arg("serve"))
        .await;
    let settings = [("DF_BIND", address.as_str()), ("DF_DATA_DIR", data.to_str().unwrap())];
    for reuse_port in ["false", "true"] {
        let mut second = house.command(BINARY, &settings);
        let second = second.arg("serve").env("DF_REUSE_PORT", reuse_port).output().unwrap();
        let why = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(70), "{why}");
        assert!(why.contains(&format!("cannot listen on {address}")), "{why}");
    }
    house.stop(first).await;
    house.told("STOPPING=1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lent_sockets_that_cannot_serve_are_a_configuration_error() {
    let house = House::open().await;
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(listening.local_addr().unwrap()).unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = std::os::unix::net::UnixListener::bind(house.data.path().join("local")).unwrap();
    let cases = [
        (OwnedFd::from(listening), 2, "2 sockets were handed over"),
        (OwnedFd::from(connected), 1, "the socket does not listen"),
        (OwnedFd::from(datagrams), 1, "not a valid tcp socket"),
        (OwnedFd::from(local), 1, "not a valid tcp socket"),
    ];
    for (socket, count, reason) in cases {
        let refused = house.lent(socket, count).output().unwrap();
        let why = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{why}");
        assert!(why.contains("socket activation") && why.contains(reason), "{why}");
    }
}
