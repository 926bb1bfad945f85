//! Servers for tests and benches, and isolated databases in them.
//!
//! One [`Throwaway`] per test binary, kept in a static that is never dropped:
//! when the process ends in any way, the server stops and its directory goes.
//! What a kill in the wrong moment leaves, the next start sweeps.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_postgres::Config;
use uuid::Uuid;

use super::account::Account;
use super::error::EmbeddedError;
use super::ready::with_client;
use super::{Embedded, Options, leftover, place, start_locked};

/// How names of test directories begin.
const PREFIX: &str = "df-postgres-";
/// Memory that looks like a disk.
const SHARED_MEMORY: &str = "/dev/shm";
/// Docker gives 64 MB, which a few databases fill.
const ENOUGH_MEMORY: u64 = 1 << 30;
/// Closing a connection is asynchronous; this is how long it may take.
const LAST_CONNECTION: Duration = Duration::from_secs(10);
/// PostgreSQL 14 copies files anyway and does not know the word.
const KNOWS_STRATEGY: u32 = 15;

/// Many tests connect at once.
const ALWAYS: [(&str, &str); 1] = [("max_connections", "300")];
/// A test cluster that nobody needs after a crash.
const NOT_DURABLE: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    // In the directory, so that it goes with it even after a kill.
    ("dynamic_shared_memory_type", "mmap"),
];

/// A server for one test binary.
#[derive(Debug)]
pub struct Throwaway {
    /// `None` when somebody else's server was given.
    server: Option<Embedded>,
    /// Connects as superuser to a database that is not copied.
    admin: Config,
    /// Major version of the server.
    major: u32,
    /// Part of every database name, so that two runs on a given server do not
    /// meet.
    run: String,
    /// Numbers the databases.
    next: AtomicU32,
    /// Names of databases to drop: [`Database`] adds, [`Throwaway::create`] takes.
    finished: Arc<Mutex<Vec<String>>>,
}

/// A database of one test. It is dropped some time after this guard.
#[derive(Debug)]
pub struct Database {
    name: String,
    config: Config,
    finished: Arc<Mutex<Vec<String>>>,
}

impl Database {
    /// Connects to it.
    pub fn config(&self) -> Config {
        self.config.clone()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.push(std::mem::take(&mut self.name));
    }
}

impl Throwaway {
    /// A server of its own: in shared memory, or with `durable` on a disk and
    /// with the durability of the real one.
    pub async fn start(durable: bool) -> Result<Self, EmbeddedError> {
        let environment: Vec<_> = std::env::vars_os().collect();
        sweep(&environment).await?;
        let locked = spawn_blocking(move || fresh_directory(durable)).await??;
        let dir = locked.0.clone();
        let quick: &[_] = if durable { &[] } else { &NOT_DURABLE };
        let settings = ALWAYS.iter().chain(quick);
        let mut options = Options::new(&dir, environment);
        options.temporary = true;
        options.settings = settings.map(|&(name, value)| (name.into(), value.into())).collect();
        match start_locked(options, locked).await {
            Ok(server) => {
                let (admin, major) = (server.config_of("postgres"), server.programs.major);
                Ok(Self {
                    server: Some(server),
                    ..Self::with(admin, major)
                })
            }
            Err(error) => {
                // A supervisor that was started has deleted it already.
                let _ = fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    /// Databases on a server that is there already (`TEST_DATABASE_URL`), whose
    /// user may create databases. The last ones stay there.
    pub async fn on(admin: Config) -> Result<Self, EmbeddedError> {
        let row = with_client(&admin, |client| async move {
            client
                .query_one("SELECT current_setting('server_version_num')::int4", &[])
                .await
        })
        .await?;
        let number: i32 = row.try_get(0)?;
        Ok(Self::with(admin, number.unsigned_abs() / 10_000))
    }

    fn with(admin: Config, major: u32) -> Self {
        Self {
            server: None,
            admin,
            major,
            run: random_part(),
            next: AtomicU32::new(0),
            finished: Arc::default(),
        }
    }

    /// Makes the database that [`Throwaway::create_database`] copies: `prepare`
    /// is given an empty one and brings it up to date. To be called once.
    pub async fn template<F, E>(&self, prepare: impl FnOnce(Config) -> F) -> Result<(), EmbeddedError>
    where
        F: Future<Output = Result<(), E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let name = self.template_name();
        self.execute(format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await?;
        prepare(self.config_of(&name))
            .await
            .map_err(|e| EmbeddedError::Template(e.into()))?;
        self.execute(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            .await?;
        self.until_unused(&name).await
    }

    /// A copy of the template, in a few milliseconds.
    pub async fn create_database(&self) -> Result<Database, EmbeddedError> {
        self.create(&self.template_name()).await
    }

    /// A database without anything in it.
    pub async fn create_empty_database(&self) -> Result<Database, EmbeddedError> {
        self.create("template0").await
    }

    /// Stops the server and waits until its directory is gone. Databases on a
    /// given server are only forgotten.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        match self.server {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }

    /// The directory of a server of its own.
    pub fn dir(&self) -> Option<&Path> {
        self.server.as_ref().map(|server| server.place.dir.as_path())
    }

    async fn create(&self, template: &str) -> Result<Database, EmbeddedError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("df_test_{}_{number}", self.run);
        let mut create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        if self.major >= KNOWS_STRATEGY {
            // Three times as fast as writing every page to the log.
            create.push_str(" STRATEGY file_copy");
        }
        let finished = self.take_finished();
        with_client(&self.admin, |client| async move {
            for old in finished {
                // A test may have forgotten a connection.
                let drop = format!("DROP DATABASE IF EXISTS {old} WITH (FORCE)");
                client.batch_execute(&drop).await?;
            }
            client.batch_execute(&create).await
        })
        .await?;
        let config = self.config_of(&name);
        Ok(Database {
            name,
            config,
            finished: Arc::clone(&self.finished),
        })
    }

    fn take_finished(&self) -> Vec<String> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *finished)
    }

    /// Waits until nobody is connected to `database`: PostgreSQL copies no
    /// database that is in use.
    async fn until_unused(&self, database: &str) -> Result<(), EmbeddedError> {
        let deadline = Instant::now() + LAST_CONNECTION;
        loop {
            let name = database.to_owned();
            let row = with_client(&self.admin, |client| async move {
                let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
                client.query_one(count, &[&name]).await
            });
            let connections: i64 = row.await?.try_get(0)?;
            if connections == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(EmbeddedError::TemplateBusy { connections });
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn execute(&self, statement: String) -> Result<(), EmbeddedError> {
        with_client(
            &self.admin,
            |client| async move { client.batch_execute(&statement).await },
        )
        .await?;
        Ok(())
    }

    fn template_name(&self) -> String {
        format!("df_test_{}_template", self.run)
    }

    fn config_of(&self, database: &str) -> Config {
        let mut config = self.admin.clone();
        config.dbname(database);
        config
    }
}

/// Random, because a predictable name on a shared machine can be taken.
fn random_part() -> String {
    let id = Uuid::new_v4().simple().to_string();
    id.get(..12).unwrap_or(&id).to_owned()
}

/// A new directory and its lock.
fn fresh_directory(durable: bool) -> Result<(PathBuf, File), EmbeddedError> {
    let memory = Path::new(SHARED_MEMORY);
    let free = rustix::fs::statvfs(memory).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize));
    let disk = std::env::temp_dir();
    let base = if !durable && free >= ENOUGH_MEMORY {
        memory
    } else {
        &disk
    };
    loop {
        let dir = base.join(format!("{PREFIX}{}", random_part()));
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(EmbeddedError::files("create", &dir))?;
        match place::lock(&dir) {
            // The sweep of another run was quicker than we.
            Err(EmbeddedError::InUse { .. }) => {}
            locked => return locked,
        }
    }
}

/// Removes the directories of runs that are dead. What cannot be removed is
/// left alone: it may be another user's.
async fn sweep(environment: &[(OsString, OsString)]) -> Result<(), EmbeddedError> {
    let account = Account::choose(Path::new(""), environment)?;
    let users = [account.uid(), rustix::process::geteuid().as_raw()];
    for (dir, lock) in spawn_blocking(move || dead_runs(users)).await? {
        let settled = leftover::settle(&dir.join("data"), &account).await;
        let removed = spawn_blocking(move || fs::remove_dir_all(&dir)).await?;
        tracing::debug!(?settled, ?removed, "swept an old test directory");
        drop(lock);
    }
    Ok(())
}

/// Test directories of these users whose lock is free, and the lock. Without a
/// lock file it is a run that is just beginning.
fn dead_runs(users: [u32; 2]) -> Vec<(PathBuf, File)> {
    let bases = [PathBuf::from(SHARED_MEMORY), std::env::temp_dir()];
    let entries = bases
        .iter()
        .filter_map(|base| fs::read_dir(base).ok())
        .flatten()
        .flatten();
    let ours = entries.filter(|entry| {
        entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry
                .metadata()
                .is_ok_and(|found| found.is_dir() && users.contains(&found.uid()))
    });
    ours.filter_map(|entry| {
        let dir = entry.path();
        let lock = File::options().write(true).open(dir.join("lock")).ok()?;
        lock.try_lock().ok()?;
        Some((dir, lock))
    })
    .collect()
}
