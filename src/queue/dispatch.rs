//! The task pool's heart: claim, run, store, again. One loop per process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backoff::RetryPolicy;
use super::claim::{Claimed, ClaimedLane, Want, claim};
use super::complete::{FinishedLane, complete};
use super::lane::{self, Handler, Stops};
use super::lease::renew;
use super::sweep::{KeyOf, sweep};
use crate::domain::EventStatus;
use crate::store::{Db, StoreError};

/// Events one claim may take of a lane.
const EVENTS_PER_LANE: i64 = 16;
/// Lanes held per running event: the next ones are at hand when one ends.
const LANES_PER_SLOT: usize = 4;
/// How often hand-made rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// How often the claim looks further back than its watermark.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(30);
/// Slow commits may make a lane ready this far in the past.
const WATERMARK_SLACK: chrono::Duration = chrono::Duration::seconds(5);

/// The settings of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Events in flight.
    pub concurrency: usize,
    /// How long a claim holds without renewal.
    pub lease: Duration,
    /// Fallback poll.
    pub poll: Duration,
    /// Back-off.
    pub retry: RetryPolicy,
}

/// The engine of one process.
pub struct Engine {
    db: Db,
    handler: Arc<dyn Handler>,
    limits: Limits,
    key_of: KeyOf,
    /// Random per process start, never the host's name.
    owner: Uuid,
    /// Ingest, replay and the jobs routes ring it; the loop waits on it.
    wake: Arc<Notify>,
    /// One permit per running event; lanes wait here for their turn.
    slots: Arc<Semaphore>,
}

/// A lane in flight: written by the loop, cancelled by renewal or shutdown.
struct Running {
    epoch: i64,
    abort: CancellationToken,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that is not yet running.
    pub fn new(db: Db, handler: Arc<dyn Handler>, limits: Limits, key_of: KeyOf) -> Self {
        Self {
            db,
            handler,
            limits,
            key_of,
            owner: Uuid::new_v4(),
            wake: Arc::new(Notify::new()),
            slots: Arc::new(Semaphore::new(limits.concurrency)),
        }
    }

    /// Ring it after storing events: they run at once instead of at the next poll.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Runs until `draining`, then finishes what is in flight; what is not
    /// finished after `grace` is handed back.
    pub async fn run(self: Arc<Self>, draining: CancellationToken, grace: Duration) {
        let sweeper = tokio::spawn(Arc::clone(&self).sweep_loop(draining.clone()));
        let mut pool = Pool::new(&self, draining.clone());
        let mut due = true;
        let mut renew_at = Instant::now() + self.limits.lease / 3;
        let mut grace_ends: Option<Instant> = None;
        loop {
            pool.store_finished().await;
            if draining.is_cancelled() {
                let ends = *grace_ends.get_or_insert_with(|| Instant::now() + grace);
                if pool.running.is_empty() {
                    break;
                }
                if Instant::now() >= ends {
                    pool.abort_all();
                }
            } else if due {
                due = pool.claim_more().await;
            }
            if Instant::now() >= renew_at {
                pool.renew().await;
                renew_at = Instant::now() + self.limits.lease / 3;
            }
            if due && !draining.is_cancelled() && pool.room() > 0 {
                continue;
            }
            let poll = self.limits.poll.mul_f64(0.75 + rand::random::<f64>() / 2.0);
            let pause = poll.min(renew_at.saturating_duration_since(Instant::now()));
            tokio::select! {
                more = pool.next_finished() => due |= more,
                () = self.wake.notified() => due = true,
                () = tokio::time::sleep(pause) => due = true,
                () = draining.cancelled(), if grace_ends.is_none() => {}
            }
        }
        if let Err(error) = sweeper.await {
            tracing::error!(%error, "sweep task ended badly");
        }
    }

    /// Claims and runs up to `limit` lanes here and now; answers how many
    /// events were closed and how many of their runs failed.
    ///
    /// # Errors
    /// When the claim or the storing of results fails.
    pub async fn run_once(&self, limit: u32) -> Result<(u64, u64), StoreError> {
        let client = self.db.client().await?;
        // Rows typed by hand a moment ago are asked for, too.
        sweep(&client, &self.key_of).await?;
        let want = self.want(i64::from(limit), 1, DateTime::<Utc>::MIN_UTC);
        let claimed = claim(&client, self.owner, want).await?;
        drop(client);
        let stops = Stops {
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let runs = claimed.lanes.into_iter().map(|lane| self.run_lane(lane, &stops));
        let finished: Vec<FinishedLane> = futures_util::future::join_all(runs).await;
        let ran = finished.iter().flat_map(|lane| &lane.events).filter(|event| !event.log.is_empty());
        let (processed, errors) = ran.fold((0, 0), |(done, failed), event| match event.status {
            EventStatus::Done => (done + 1, failed),
            EventStatus::Error | EventStatus::Pending | EventStatus::Processing => (done, failed + 1),
        });
        if !finished.is_empty() {
            complete(&self.db.client().await?, &finished).await?;
        }
        Ok((processed, errors))
    }

    async fn run_lane(&self, lane: ClaimedLane, stops: &Stops) -> FinishedLane {
        let _slot = self.slots.acquire().await.ok();
        lane::run(lane, self.handler.as_ref(), &self.limits.retry, stops).await
    }

    fn want(&self, lanes: i64, events_per_lane: i64, since: DateTime<Utc>) -> Want {
        Want {
            lanes,
            events_per_lane,
            lease: self.limits.lease,
            since: since.max(DateTime::UNIX_EPOCH),
        }
    }

    async fn sweep_loop(self: Arc<Self>, draining: CancellationToken) {
        loop {
            let pause = SWEEP_EVERY.mul_f64(0.75 + rand::random::<f64>() / 2.0);
            tokio::select! {
                () = draining.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let swept = match self.db.client().await {
                Ok(client) => sweep(&client, &self.key_of).await,
                Err(error) => Err(error),
            };
            match swept {
                Ok(0) => {}
                Ok(lanes) => {
                    tracing::info!(lanes, "picked up rows that had no lane");
                    self.wake.notify_one();
                }
                Err(error) => tracing::warn!(%error, "sweep failed; trying again"),
            }
        }
    }
}

/// The lanes in flight of one [`Engine::run`].
struct Pool<'a> {
    engine: &'a Arc<Engine>,
    draining: CancellationToken,
    running: HashMap<i64, Running>,
    tasks: JoinSet<()>,
    results: mpsc::UnboundedSender<FinishedLane>,
    inbox: mpsc::UnboundedReceiver<FinishedLane>,
    finished: Vec<FinishedLane>,
    watermark: DateTime<Utc>,
    full_scan_at: Instant,
}

impl<'a> Pool<'a> {
    fn new(engine: &'a Arc<Engine>, draining: CancellationToken) -> Self {
        let (results, inbox) = mpsc::unbounded_channel();
        Self {
            engine,
            draining,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            results,
            inbox,
            finished: Vec::new(),
            watermark: DateTime::UNIX_EPOCH,
            full_scan_at: Instant::now(),
        }
    }

    fn room(&self) -> usize {
        (self.engine.limits.concurrency * LANES_PER_SLOT).saturating_sub(self.running.len())
    }

    /// Takes lanes into every free place; answers whether more may be waiting.
    async fn claim_more(&mut self) -> bool {
        let room = self.room();
        if room == 0 {
            return true;
        }
        if Instant::now() >= self.full_scan_at {
            self.watermark = DateTime::UNIX_EPOCH;
            self.full_scan_at = Instant::now() + FULL_SCAN_EVERY;
        }
        let lanes = i64::try_from(room).unwrap_or(i64::MAX);
        let want = self.engine.want(lanes, EVENTS_PER_LANE, self.watermark);
        match self.try_claim(want).await {
            Ok(claimed) => {
                self.watermark = claimed.oldest.unwrap_or_else(Utc::now) - WATERMARK_SLACK;
                let full = claimed.lanes.len() == room;
                for lane in claimed.lanes {
                    self.start(lane);
                }
                full
            }
            Err(error) => {
                tracing::warn!(%error, "claim failed; trying again");
                false
            }
        }
    }

    async fn try_claim(&self, want: Want) -> Result<Claimed, StoreError> {
        let client = self.engine.db.client().await?;
        claim(&client, self.engine.owner, want).await
    }

    fn start(&mut self, lane: ClaimedLane) {
        let abort = CancellationToken::new();
        let running = Running {
            epoch: lane.epoch,
            abort: abort.clone(),
        };
        self.running.insert(lane.key, running);
        let stops = Stops {
            draining: self.draining.clone(),
            abort,
        };
        let engine = Arc::clone(self.engine);
        let results = self.results.clone();
        self.tasks.spawn(async move {
            let finished = engine.run_lane(lane, &stops).await;
            // The receiver lives as long as the loop that spawned this task.
            results.send(finished).ok();
        });
    }

    /// Waits for a lane to end; answers true, for its end may have freed room.
    async fn next_finished(&mut self) -> bool {
        if let Some(lane) = self.inbox.recv().await {
            self.finished.push(lane);
        }
        true
    }

    /// Stores all results at hand. While PostgreSQL is away it keeps trying:
    /// the leases may run out meanwhile, and then the fence decides.
    async fn store_finished(&mut self) {
        while let Ok(lane) = self.inbox.try_recv() {
            self.finished.push(lane);
        }
        while let Some(result) = self.tasks.try_join_next() {
            if let Err(error) = result {
                tracing::error!(%error, "a lane ended badly; its lease will run out");
            }
        }
        if self.finished.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.finished);
        for lane in &batch {
            // The key may be ours again under a newer epoch.
            if self.running.get(&lane.key).is_some_and(|running| running.epoch == lane.epoch) {
                self.running.remove(&lane.key);
            }
        }
        let mut pause = Duration::from_millis(50);
        let give_up = Instant::now() + self.engine.limits.lease;
        loop {
            match self.try_complete(&batch).await {
                Ok(()) => return,
                Err(error) if error.is_retryable() && Instant::now() < give_up => {
                    tracing::warn!(%error, "storing results failed; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                Err(error) => {
                    tracing::error!(%error, lanes = batch.len(), "results not stored; the events will run again");
                    return self.complete_singly(&batch).await;
                }
            }
        }
    }

    async fn try_complete(&self, batch: &[FinishedLane]) -> Result<(), StoreError> {
        let client = self.engine.db.client().await?;
        let ours = complete(&client, batch).await?;
        let fenced = batch.iter().filter(|lane| !ours.contains(&lane.key)).count();
        if fenced > 0 {
            metrics::counter!("lanes_fenced_total").increment(u64::try_from(fenced).unwrap_or(0));
            tracing::warn!(fenced, "lanes were taken over meanwhile; their results were dropped");
        }
        Ok(())
    }

    /// One bad row must not take the others' results with it.
    async fn complete_singly(&self, batch: &[FinishedLane]) {
        for lane in batch {
            if let Err(error) = self.try_complete(std::slice::from_ref(lane)).await {
                tracing::error!(%error, lane = lane.key, "result not stored");
            }
        }
    }

    async fn renew(&mut self) {
        let lanes: Vec<(i64, i64)> = self.running.iter().map(|(key, lane)| (*key, lane.epoch)).collect();
        if lanes.is_empty() {
            return;
        }
        let renewed = match self.engine.db.client().await {
            Ok(client) => renew(&client, &lanes, self.engine.limits.lease).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(ours) => {
                for (key, lane) in &self.running {
                    if !ours.contains(key) {
                        lane.abort.cancel();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "lease renewal failed; trying again"),
        }
    }

    fn abort_all(&self) {
        for lane in self.running.values() {
            lane.abort.cancel();
        }
    }
}
