//! The event engine: its invariants by name, and the engine by itself with a
//! scripted handler on the real PostgreSQL.

mod ages;
mod coalescing;
mod desk;
mod durability;
mod held_rows;
mod invariants;
mod jobs;
mod plans;
mod refreshes;
mod retries;
mod rounds;
mod suspects;
mod traps;
mod vendors_away;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use df_middleware::domain::{Entity, Event, Failure, Flow, LogEntry, Outcome};
use df_middleware::embedded::throwaway::Database;
use df_middleware::queue::{Engine, Handler, Limits, Report, RetryPolicy, RunContext, Session};
use df_middleware::store::Db;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, TestApp, cluster, query};

/// What a run of an event is to answer: the event, how often it ran before, and
/// how many others it carries.
type Script = Arc<dyn Fn(Event, usize, usize) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// Answers by script and remembers who ran: the entity's id, and how many it carried.
pub struct Scripted {
    script: Script,
    runs: Mutex<Vec<(String, usize)>>,
}

impl Scripted {
    fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            script,
            runs: Mutex::default(),
        })
    }

    /// Every run so far, in order.
    pub fn runs(&self) -> Vec<(String, usize)> {
        self.runs.lock().unwrap().clone()
    }

    /// The ids of [`Scripted::runs`].
    pub fn order(&self) -> Vec<String> {
        self.runs().into_iter().map(|(id, _)| id).collect()
    }
}

impl Handler for Scripted {
    fn handle<'a>(&'a self, event: &'a Event, context: &'a RunContext) -> BoxFuture<'a, Report> {
        let mut runs = self.runs.lock().unwrap();
        let before = runs.iter().filter(|(id, _)| *id == event.entity_id).count();
        runs.push((event.entity_id.clone(), context.carries));
        drop(runs);
        let answer = (self.script)(event.clone(), before, context.carries);
        async move {
            Report {
                verdict: answer.await.map(|()| Outcome {
                    log: vec![LogEntry::success(
                        Flow::AlowareToGhl,
                        Entity::Call,
                        &event.entity_id,
                        "there",
                    )],
                }),
                confirmed: Vec::new(),
            }
        }
        .boxed()
    }

    fn coalesces(&self, event: &Event) -> Option<String> {
        event.payload["refreshes"].as_str().map(str::to_owned)
    }

    fn must_arrive(&self, event: &Event) -> bool {
        event.payload["must_arrive"] == true
    }
}

/// A script that answers at once.
fn script(answer: impl Fn(&Event, usize) -> Result<(), Failure> + Send + Sync + 'static) -> Script {
    Arc::new(move |event, before, _| futures_util::future::ready(answer(&event, before)).boxed())
}

/// What the daemon's pulse does: no lane is taken by a process that may count as dead.
async fn keep_alive(session: Arc<Session>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    while !stop.is_cancelled() {
        beat.tick().await;
        session.touched(Instant::now(), Some(Instant::now()), false);
    }
}

/// An engine that is not running, in a process that is alive.
pub fn alive(engine: Arc<Engine>) -> Arc<Engine> {
    engine.session().touched(Instant::now(), Some(Instant::now()), false);
    tokio::spawn(keep_alive(engine.session(), CancellationToken::new()));
    engine
}

/// Short times, so that a test sees many of them.
pub fn limits() -> Limits {
    Limits {
        concurrency: 8,
        lease: Duration::from_secs(5),
        poll: Duration::from_millis(20),
        retry: RetryPolicy {
            limit: 4,
            base: Duration::from_millis(10),
            cap: Duration::from_millis(40),
            max_age: Duration::from_secs(86_400),
            deadline: Duration::from_secs(20),
        },
    }
}

/// A database and whatever engines a test runs on it.
pub struct Lab {
    database: Database,
    pub watcher: Client,
}

impl Lab {
    pub async fn new() -> Self {
        let database = cluster::database().await;
        let watcher = query::connect(&database.config()).await;
        Self { database, watcher }
    }

    /// An engine that is not running.
    pub fn engine(&self, handler: Arc<dyn Handler>, limits: Limits) -> Arc<Engine> {
        self.engine_on(Db::new(self.database.config(), 4).unwrap(), handler, limits)
    }

    /// An engine with these connections.
    pub fn engine_on(&self, db: Db, handler: Arc<dyn Handler>, limits: Limits) -> Arc<Engine> {
        let key_of = |_: &str, _: &str, _: &str, payload: &Value| payload["lane"].as_i64().unwrap_or(1);
        Arc::new(Engine::new(db, handler, limits, Arc::new(key_of)))
    }

    /// A running engine.
    pub fn start(&self, handler: &Arc<Scripted>, limits: Limits) -> Running {
        let engine = self.engine(Arc::clone(handler) as Arc<dyn Handler>, limits);
        let stop = CancellationToken::new();
        tokio::spawn(keep_alive(engine.session(), stop.clone()));
        let task = tokio::spawn(Arc::clone(&engine).run(stop.clone(), Duration::from_secs(1)));
        Running { engine, stop, task }
    }

    /// Types events as an operator would, all in one statement: `(id, payload)`.
    /// The payload's `lane` says whose they are.
    pub async fn type_events(&self, events: &[(&str, Value)]) {
        let (ids, payloads): (Vec<&str>, Vec<&Value>) = events.iter().map(|(id, payload)| (*id, payload)).unzip();
        self.watcher
            .execute(
                "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
                 SELECT 'aloware', 'Typed', 'call', id, payload, id FROM unnest($1::text[], $2::jsonb[]) AS t(id, payload)",
                &[&ids, &payloads],
            )
            .await
            .unwrap();
    }

    /// Waits until a condition of the tables holds.
    pub async fn until(&self, condition: &str) {
        until(&self.watcher, condition).await;
    }

    /// Waits until every event has ended.
    pub async fn idle(&self) {
        self.until("SELECT count(*) = 0 FROM webhook_events WHERE status IN ('pending', 'processing')")
            .await;
    }

    /// Rows of a query, each as JSON.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        query::rows(&self.watcher, sql).await
    }

    /// `status`, `attempts` and `error_message` of an event.
    pub async fn state(&self, id: &str) -> Value {
        let sql = format!("SELECT status, attempts, error_message FROM webhook_events WHERE entity_id = '{id}'");
        self.rows(&sql).await.remove(0)
    }
}

/// A running engine.
pub struct Running {
    pub engine: Arc<Engine>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Finds typed rows now instead of at the next sweep.
    pub async fn pick_up(&self) {
        self.engine.pick_up_typed_rows().await.unwrap();
        self.engine.wake().notify_one();
    }

    /// Drains and ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// An ordinary event of a lane.
fn on(lane: i64) -> Value {
    json!({"lane": lane})
}

/// Waits until a condition of the tables holds.
async fn until(watcher: &Client, condition: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let sql = format!("SELECT coalesce(({condition}), false)");
    while !watcher.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "never: {condition}; {}",
            query::describe(watcher).await
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As [`until`], for a whole daemon's tables.
async fn seen(app: &TestApp, condition: &str) {
    until(&query::connect(&app.config).await, condition).await;
}
