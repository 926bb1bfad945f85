//! A PostgreSQL of our own, for a machine where nobody has set one up.
//!
//! The server programs are found on the machine (`programs`), the cluster is
//! made in the data directory (`cluster`), and the server runs under a small
//! shell that stops it when we end in any way (`supervise`). It listens on a
//! private Unix socket only: no port, no password.
//!
//! Deliberately absent: downloads, upgrades between major versions, changes to
//! the server's durability.

mod account;
mod cluster;
mod error;
mod leftover;
mod look;
mod place;
mod programs;
mod ready;
mod supervise;
pub mod throwaway;

use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;

pub use error::EmbeddedError;
pub use look::{Seen, look};

use account::Account;
use place::Place;
use programs::{Programs, Search};
use supervise::{Run, Supervisor};

/// The database of the daemon.
const DATABASE: &str = "df_middleware";
/// A path in a query string, as readable as it can be.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
/// How long processes of a killed server may hold its memory.
const REMNANTS: Duration = Duration::from_secs(30);
/// How long a lock may be held by nobody in particular; see `lock_patiently`.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Longer than the supervisor needs in the worst case.
const STOP: Duration = Duration::from_secs(90);

/// How to start the embedded PostgreSQL.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds the cluster, its socket, lock and log. Created if missing.
    pub dir: PathBuf,
    /// Where `initdb` and `postgres` are; `None` searches for them.
    pub bin_dir: Option<PathBuf>,
    /// Server settings on top of the defaults.
    pub settings: Vec<(String, String)>,
    /// Whether the directory is deleted when the server ends.
    pub temporary: bool,
    /// Our environment: `PATH` and `XDG_RUNTIME_DIR` are read. The server
    /// inherits next to nothing of it.
    pub environment: Vec<(OsString, OsString)>,
}

impl Options {
    /// A lasting cluster in `dir`. Give `std::env::vars_os()` as `environment`.
    pub fn new(dir: impl Into<PathBuf>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            dir: dir.into(),
            bin_dir: None,
            settings: Vec::new(),
            temporary: false,
            environment: environment.into_iter().collect(),
        }
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

/// A running PostgreSQL that is ours. Dropping it stops the server without
/// waiting; [`Embedded::stop`] waits.
#[derive(Debug)]
pub struct Embedded {
    supervisor: Supervisor,
    account: Account,
    programs: Programs,
    /// Last, so that the lock is let go last.
    place: Place,
}

/// Starts the server and returns when it lets us in.
///
/// A second start on the same directory is refused. A server or a pid file of
/// an earlier run that was killed is dealt with.
pub async fn start(options: Options) -> Result<Embedded, EmbeddedError> {
    let dir = options.dir.clone();
    let locked = lock_patiently(dir).await?;
    start_locked(options, locked).await
}

async fn start_locked(options: Options, locked: (PathBuf, File)) -> Result<Embedded, EmbeddedError> {
    let began = Instant::now();
    let (options, (mut place, account, programs)) = spawn_blocking(move || {
        let prepared = prepare(&options, locked);
        prepared.map(|prepared| (options, prepared))
    })
    .await??;
    let supervisor = run(&options, &mut place, &account, &programs).await?;
    let embedded = Embedded {
        supervisor,
        account,
        programs,
        place,
    };
    ready::ensure_database(&embedded.config_of("postgres"), DATABASE).await?;
    tracing::info!(
        postgres.version = %embedded.programs.version,
        duration_ms = began.elapsed().as_millis(),
        "embedded PostgreSQL is ready: psql {}",
        embedded.url(),
    );
    Ok(embedded)
}

/// Everything before the server itself. Blocks: runs `initdb`.
fn prepare(options: &Options, locked: (PathBuf, File)) -> Result<(Place, Account, Programs), EmbeddedError> {
    let account = Account::choose(&locked.0.join("data"), &options.environment)?;
    let runtime_dir = options.variable("XDG_RUNTIME_DIR");
    let place = Place::prepare(locked, &account, options.temporary, runtime_dir)?;
    let programs = programs::find(&Search {
        setting: options.bin_dir.as_deref(),
        path: options.variable("PATH").map(OsString::as_os_str),
        root: Path::new("/"),
        existing: cluster::major(&place.data)?.map(|major| (place.data.as_path(), major)),
    })?;
    cluster::ensure(&place, &account, &programs, options.temporary)?;
    Ok((place, account, programs))
}

/// Starts the server, again for a while when it stumbles over processes of a
/// killed predecessor: they go as soon as they notice that it is gone.
async fn run(
    options: &Options,
    place: &mut Place,
    account: &Account,
    programs: &Programs,
) -> Result<Supervisor, EmbeddedError> {
    let began = Instant::now();
    loop {
        let stale_pid = leftover::settle(&place.data, account).await?;
        place.renew_sockets(account)?;
        let config = config_at(&place.sockets, "postgres");
        let run = Run {
            stale_pid,
            temporary: options.temporary,
        };
        let supervisor = supervise::spawn(place, account, programs, &options.settings, &run)?;
        match ready::wait(&config, &supervisor).await {
            Ok(()) => return Ok(supervisor),
            Err(EmbeddedError::Ended { tail, .. })
                if tail.contains("pre-existing shared memory block")
                    && began.elapsed() < REMNANTS
                    && !options.temporary =>
            {
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes the directory's lock. A process that is just being spawned holds a copy
/// of every open file until it runs its own program, a lock given back a moment
/// ago included; a true owner holds it longer.
async fn lock_patiently(dir: PathBuf) -> Result<(PathBuf, File), EmbeddedError> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        let wanted = dir.clone();
        match spawn_blocking(move || place::lock(&wanted)).await? {
            Err(EmbeddedError::InUse { .. }) if Instant::now() < give_up => {
                sleep(Duration::from_millis(20)).await;
            }
            outcome => return outcome,
        }
    }
}

impl Embedded {
    /// Connects to the daemon's database.
    pub fn config(&self) -> Config {
        self.config_of(DATABASE)
    }

    /// The same for `psql`.
    pub fn url(&self) -> String {
        let host = percent_encode(self.place.sockets.as_os_str().as_bytes(), ESCAPED);
        format!("postgres://{}@/{DATABASE}?host={host}", cluster::USER)
    }

    /// The server's version, such as `15.18`.
    pub fn version(&self) -> &str {
        &self.programs.version
    }

    /// Resolves when the server has ended, with the end of its log. Whoever did
    /// not ask for that should exit non-zero: the next start recovers.
    pub fn ended(&self) -> impl Future<Output = EmbeddedError> + Send + use<> {
        self.supervisor.ended()
    }

    /// Stops the server and waits. Open connections are cut, their transactions
    /// rolled back.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        self.supervisor.release();
        let Ok(status) = timeout(STOP, self.supervisor.exited()).await else {
            return Err(self.supervisor.silent(STOP));
        };
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        // The supervisor itself may have been killed, and the server not.
        leftover::settle(&self.place.data, &self.account).await?;
        Err(self.supervisor.ended().await)
    }

    fn config_of(&self, database: &str) -> Config {
        config_at(&self.place.sockets, database)
    }
}

fn config_at(sockets: &Path, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(sockets).user(cluster::USER).dbname(database);
    config.connect_timeout(Duration::from_secs(5));
    config
}
