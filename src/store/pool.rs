//! The one connection pool, and the migrations that run at boot under a lock.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Metrics, Object, Pool, RecyclingMethod, Runtime,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls};

use super::StoreError;

/// How long a caller waits for a connection before the database counts as away.
const WAIT: Duration = Duration::from_secs(5);
/// A connection that was last handed out longer ago than this is asked whether
/// it lives before it is handed out again: whoever had it may have given it up
/// because nothing came back. Shorter than any limit given to [`within`].
const RESTED: Duration = Duration::from_secs(1);
/// How long it may take to answer that.
const PROOF: Duration = Duration::from_secs(1);
/// Every statement of ours looks rows up by an index, and is prepared once per
/// connection. Left to itself the server plans anew at each execution, because it
/// takes a list parameter for longer than it is (0.3 to 2 ms, more than most
/// statements run); and a plan made while a table is empty scans the whole table,
/// and would go on doing so when the table is full.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off";
/// What the server may think of a client that went away without a word: its
/// locks would keep everybody else from the same rows, for hours by default.
///
/// A row that somebody holds, an operator in psql say, must hold up nobody who
/// waits for another: a statement locks many rows and would keep them meanwhile.
const LIMITS: &str =
    "SET statement_timeout = '60s'; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '15s';
SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";
/// Serialises migrations of daemons that boot at the same moment.
const MIGRATION_LOCK: i64 = 0x6466_6d77;

mod embedded_migrations {
    refinery::embed_migrations!("migrations");
}

/// The pool shared by listener, task pool and scheduler. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

impl Db {
    /// Prepares a pool of `size` connections; connects on first use. Must be
    /// called on the daemon's runtime, where the connections will live.
    ///
    /// # Errors
    /// When the pool cannot be built at all (never for an unreachable server).
    pub fn new(mut config: Config, size: usize) -> anyhow::Result<Self> {
        config
            .application_name("df-middleware")
            .connect_timeout(WAIT)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        let manager = Manager::from_connect(
            config,
            AtHome(Handle::try_current()?),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .pre_recycle(Hook::async_fn(|client, metrics| proved(client, metrics).boxed()))
            .build()?;
        Ok(Self { pool })
    }

    /// A connection from the pool.
    ///
    /// # Errors
    /// [`StoreError::Pool`] when none can be had within five seconds.
    pub async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// Closes the pool; later calls of [`Db::client`] fail.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Ends work whose database says nothing. What it had begun may have been done
/// all the same, so it must bear repeating.
///
/// # Errors
/// [`StoreError::Silent`] after `limit`, else what the work fails with.
pub async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(StoreError::Silent))
}

/// Refuses a rested connection that does not answer.
async fn proved(client: &mut ClientWrapper, metrics: &Metrics) -> Result<(), HookError> {
    if metrics.last_used() < RESTED {
        return Ok(());
    }
    match tokio::time::timeout(PROOF, client.simple_query("")).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(HookError::Backend(error)),
        Err(_) => Err(HookError::message("the connection is silent")),
    }
}

/// Connects on one runtime, whoever asks. The listener's threads have runtimes
/// of their own that end before the task pool does: a connection that lived
/// there would break under a worker at every shutdown.
struct AtHome(Handle);

impl Connect for AtHome {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let config = config.clone();
        let connecting = self.0.spawn(async move {
            let (client, connection) = config.connect(NoTls).await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    // Its text may quote the server's.
                    tracing::warn!(closed = error.is_closed(), "database connection ended");
                }
            });
            client.batch_execute(&format!("{PLANS}; {LIMITS}")).await?;
            Ok((client, task))
        });
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected,
                // The runtime ends: no connection comes any more, and the
                // pool's own time limit tells the caller.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// The schema this program works on.
pub fn newest_schema() -> i32 {
    let runner = embedded_migrations::migrations::runner();
    let versions = runner.get_migrations().iter().map(|migration| migration.version());
    versions.max().unwrap_or_default()
}

/// Brings the schema up to date; safe to call from several daemons at once.
///
/// # Errors
/// When the database cannot be reached or a migration fails.
pub async fn migrate(db: &Db) -> anyhow::Result<()> {
    let mut client = db.client().await?;
    // A migration may take long, and so may waiting for another daemon's.
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK])
        .await?;
    let outcome = embedded_migrations::migrations::runner()
        .run_async(&mut **client.as_mut())
        .await;
    client
        .execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK])
        .await?;
    client.batch_execute(LIMITS).await?;
    outcome?;
    Ok(())
}
