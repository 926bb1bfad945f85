//! The composition root: settings and a database in, a running daemon out.
//! Every long-lived task is named here, and one that ends early ends the daemon.

mod bridges;
mod predecessor;
mod pulse;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Settings;
use crate::ingest::{Ingest, Outbox, Rules as IngestRules, stored_order_key};
use crate::ops::checks::Checks;
use crate::queue::{EVENT_DEADLINE, Engine, Limits, RetryPolicy};
use crate::router::Router;
use crate::store::announcer::Announcer;
use crate::store::notice::Notice;
use crate::store::spool::Spool;
use crate::store::{self, Db};
use crate::sync::{Agents, Desk, Rules, send_policy};
use crate::vendors::Vendors;
use crate::{http, ops, schedule};

use bridges::{Outgoing, Requests};
use predecessor::Predecessor;
use pulse::Pulse;

/// How long the database may take to answer at boot.
pub const DATABASE_WAIT: Duration = Duration::from_secs(30);

/// The database did not answer at boot: exit code 69.
#[derive(Debug, thiserror::Error)]
#[error("the database could not be reached within {} seconds", DATABASE_WAIT.as_secs())]
pub struct DatabaseUnreachable;

/// A running daemon.
pub struct App {
    address: SocketAddr,
    db: Db,
    engine: Arc<Engine>,
    closing: http::Closing,
    stops: Stops,
    tasks: Vec<Task>,
}

/// One long-lived task, by name.
struct Task {
    name: &'static str,
    handle: JoinHandle<()>,
}

impl Task {
    fn spawn(name: &'static str, work: BoxFuture<'static, ()>) -> Self {
        Self {
            name,
            handle: tokio::spawn(work),
        }
    }
}

/// Who is told to stop, in this order.
#[derive(Clone, Debug, Default)]
struct Stops {
    ingest: CancellationToken,
    workers: CancellationToken,
    /// After the workers: their last calls and results are this daemon's.
    ledger: CancellationToken,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Connects to the database, waiting for it, and migrates it.
///
/// # Errors
/// [`DatabaseUnreachable`] after [`DATABASE_WAIT`]; otherwise a failed migration.
pub async fn open_database(config: Config, pool_size: usize) -> anyhow::Result<Db> {
    let db = Db::new(config, pool_size)?;
    let give_up = Instant::now() + DATABASE_WAIT;
    while let Err(error) = db.client().await {
        if Instant::now() >= give_up {
            return Err(anyhow::Error::new(DatabaseUnreachable).context(error));
        }
        tracing::warn!(%error, "waiting for the database");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    store::migrate(&db).await.context("migrating the database")?;
    Ok(db)
}

impl App {
    /// Starts listener, ingest and task pool over an open, migrated database.
    ///
    /// # Errors
    /// When the spool cannot be opened, a vendor client cannot be made, or the
    /// listener cannot be used.
    pub async fn start(settings: Settings, db: Db, door: impl Into<http::Door>) -> anyhow::Result<Self> {
        let door = door.into();
        let settings = Arc::new(settings);
        // The word lists take some milliseconds to load: not in a delivery's time.
        crate::compliance::classify("");
        let address = door.address()?;
        let rules = Rules::from_settings(&settings);
        let intake = IngestRules {
            hint: rules.hint.clone(),
            own: rules.own.clone(),
            allowed: settings.aloware.allowed_events.clone(),
            location: settings.ghl.location_id.clone(),
            vendor: settings.texting.vendor,
        };
        let key_of = Arc::new(stored_order_key(&rules.hint, &rules.own));
        let vendors = Vendors::from_settings(&settings)?;
        let spool = open_spool(&settings).await.context("opening the spool")?;
        let (announcer, announcements) = Announcer::new(db.clone());
        let desk = Desk {
            db: db.clone(),
            announcer,
            agents: Agents::default(),
            vendors: vendors.clone(),
            spool: spool.clone(),
            rules,
            policy: send_policy(&settings),
            daemon: Uuid::new_v4(),
        };
        let router = Arc::new(Router::new(desk.clone()));
        let engine = Engine::new(db.clone(), router, limits(&settings), key_of).of_daemon(desk.daemon);
        let engine = Arc::new(engine);
        let checks = Checks::of_daemon(Arc::clone(&settings), db.clone(), vendors.clone());
        let stops = Stops::default();
        let scheduled = schedule::run(
            db.clone(),
            vendors.aloware.clone(),
            settings.retention_done,
            stops.workers.clone(),
        );
        let notice = Notice::default();
        let pulse = Pulse::new(
            db.clone(),
            &engine,
            vendors,
            (spool.clone(), notice.clone()),
            Predecessor::on(&settings.database.data_dir),
        );
        let (ingest, outbox) = Ingest::new(db.clone(), spool.clone(), notice, intake.clone(), engine.wake());
        let metrics = ops::metrics::install();
        let state = http::State {
            settings: Arc::clone(&settings),
            db: db.clone(),
            ingest,
            engine: Arc::clone(&engine),
            rules: intake,
            sender: Arc::new(Outgoing { desk: desk.clone() }),
            desk: Arc::new(Requests { desk }),
            metrics: metrics.clone(),
            checks,
        };
        let (server, closing) = http::server(state, door)?;
        let mut tasks = spawn_all(server, outbox, &engine, scheduled, &stops, &settings);
        tasks.push(Task::spawn("ledger", announcements.run(stops.ledger.clone()).boxed()));
        tasks.push(Task::spawn("session", pulse.run(stops.ledger.clone()).boxed()));
        if let Some(handle) = metrics {
            tasks.push(Task::spawn(
                "metrics",
                ops::metrics::run_upkeep(handle, stops.workers.clone()).boxed(),
            ));
        }
        tasks.push(Task::spawn("spool", keep_spool(spool, stops.workers.clone()).boxed()));
        Ok(Self {
            address,
            db,
            engine,
            closing,
            stops,
            tasks,
        })
    }

    /// Where the daemon listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its connections, for whoever shows its state.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Its task pool.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Waits until a task ends that should not; answers its name.
    pub async fn ended_early(&mut self) -> &'static str {
        let ends = self.tasks.iter_mut().map(|task| (&mut task.handle).boxed());
        let (_, index, _) = futures_util::future::select_all(ends).await;
        // A task is awaited once: what has ended is not joined again.
        self.tasks.remove(index).name
    }

    /// Drains: listener, ingest, workers, pool. What is not finished within the
    /// grace is handed back and runs again after the next start.
    pub async fn stop(self) {
        self.closing.close().await;
        self.stops.ingest.cancel();
        join(self.tasks, &self.stops).await;
        self.db.close();
    }
}

/// Opens the spool. A process that is just being spawned holds a copy of every
/// open file for a moment, the lock of a daemon that has just stopped included.
async fn open_spool(settings: &Settings) -> std::io::Result<Spool> {
    let (dir, limit) = (settings.database.data_dir.join("spool"), settings.database.spool_limit);
    if settings.server.reuse_port {
        // The daemon that hands over to us has it until it is done.
        return Spool::behind(&dir, limit);
    }
    let give_up = Instant::now() + Duration::from_secs(1);
    loop {
        match Spool::open(&dir, limit) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Takes the spool over from the daemon before us, if it still has it.
async fn keep_spool(spool: Spool, stop: CancellationToken) {
    tokio::select! {
        () = spool.wait_turn() => stop.cancelled().await,
        () = stop.cancelled() => {}
    }
}

/// Ends the tasks in the order in which they need each other: what comes in,
/// what works, and what the last runs still announce their writes to.
async fn join(mut tasks: Vec<Task>, stops: &Stops) {
    let wave = |task: &Task| match task.name {
        "listener" | "ingest" => 0,
        "ledger" | "session" => 2,
        _ => 1,
    };
    for (nth, next) in [(0, Some(&stops.workers)), (1, Some(&stops.ledger)), (2, None)] {
        for task in tasks.extract_if(.., |task| wave(task) == nth) {
            report(task).await;
        }
        if let Some(next) = next {
            next.cancel();
        }
    }
}

async fn report(task: Task) {
    if let Err(error) = task.handle.await {
        tracing::error!(%error, task = task.name, "a task ended badly");
    }
}

fn spawn_all(
    server: actix_web::dev::Server,
    outbox: Outbox,
    engine: &Arc<Engine>,
    scheduled: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    stops: &Stops,
    settings: &Settings,
) -> Vec<Task> {
    let listener = async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the listener failed");
        }
    };
    let schedule = async move {
        if let Err(error) = scheduled.await {
            tracing::error!(%error, "the schedule failed");
        }
    };
    let workers = Arc::clone(engine).run(stops.workers.clone(), settings.server.shutdown_grace);
    vec![
        Task::spawn("listener", listener.boxed()),
        Task::spawn("ingest", outbox.run(stops.ingest.clone()).boxed()),
        Task::spawn("workers", workers.boxed()),
        Task::spawn("schedule", schedule.boxed()),
    ]
}

fn limits(settings: &Settings) -> Limits {
    let jobs = &settings.jobs;
    Limits {
        concurrency: jobs.concurrency,
        lease: jobs.lease,
        poll: jobs.poll_interval,
        retry: RetryPolicy {
            limit: jobs.retry_limit,
            base: jobs.retry_delay,
            cap: jobs.retry_max_delay,
            max_age: jobs.max_head_age,
            deadline: EVENT_DEADLINE,
        },
    }
}
