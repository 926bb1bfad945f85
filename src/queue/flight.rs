//! The lanes in flight of one running engine: claimed, kept, given back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::{Claimed, ClaimedLane, Want, claim};
use super::complete::{FinishedLane, complete};
use super::dispatch::Engine;
use super::lane::Stops;
use super::lease::renew;
use crate::store::StoreError;

/// Events one claim may take of a lane.
const EVENTS_PER_LANE: i64 = 16;
/// Lanes held per running event: the next ones are at hand when one ends.
const LANES_PER_SLOT: usize = 4;
/// How often the claim looks further back than its watermark.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(30);
/// Slow commits may make a lane ready this far in the past.
const WATERMARK_SLACK: chrono::Duration = chrono::Duration::seconds(5);
/// Pause between two tries to store results while PostgreSQL is away.
const STORE_PAUSE: Duration = Duration::from_millis(250);

/// A lane in flight: written by the loop, cancelled by renewal or shutdown.
struct Running {
    epoch: i64,
    /// By our own clock the lease holds this long: started before the statement
    /// that took or renewed it. Past it the lane may be somebody else's.
    valid_until: Instant,
    abort: CancellationToken,
}

/// The lanes in flight of one [`Engine::run`].
pub(super) struct Flight<'a> {
    engine: &'a Arc<Engine>,
    draining: CancellationToken,
    running: HashMap<i64, Running>,
    tasks: JoinSet<()>,
    results: mpsc::UnboundedSender<FinishedLane>,
    inbox: mpsc::UnboundedReceiver<FinishedLane>,
    /// Run, and not yet stored.
    finished: Vec<FinishedLane>,
    store_at: Instant,
    watermark: DateTime<Utc>,
    full_scan_at: Instant,
}

impl<'a> Flight<'a> {
    pub(super) fn new(engine: &'a Arc<Engine>, draining: CancellationToken) -> Self {
        let (results, inbox) = mpsc::unbounded_channel();
        Self {
            engine,
            draining,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            results,
            inbox,
            finished: Vec::new(),
            store_at: Instant::now(),
            watermark: DateTime::UNIX_EPOCH,
            full_scan_at: Instant::now(),
        }
    }

    /// Whether nothing runs and nothing waits to be stored.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.finished.is_empty()
    }

    /// Places for further lanes. Results that cannot be stored take places too.
    pub(super) fn room(&self) -> usize {
        let taken = self.running.len() + self.finished.len();
        (self.engine.limits.concurrency * LANES_PER_SLOT).saturating_sub(taken)
    }

    /// Takes lanes into every free place; answers whether more may be waiting.
    pub(super) async fn claim_more(&mut self) -> bool {
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
        let valid_until = self.valid_from_now();
        match self.try_claim(want).await {
            Ok(claimed) => {
                // The database's clock throughout: ours may be wrong.
                if let Some(oldest) = claimed.oldest {
                    self.watermark = oldest - WATERMARK_SLACK;
                }
                let full = claimed.lanes.len() == room;
                for lane in claimed.lanes {
                    self.start(lane, valid_until);
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

    /// How long a lease taken now holds by our clock, with a margin for the call
    /// that may just be leaving.
    fn valid_from_now(&self) -> Instant {
        Instant::now() + self.engine.limits.lease.mul_f64(0.9)
    }

    fn start(&mut self, lane: ClaimedLane, valid_until: Instant) {
        let abort = CancellationToken::new();
        let running = Running {
            epoch: lane.epoch,
            valid_until,
            abort: abort.clone(),
        };
        if let Some(overtaken) = self.running.insert(lane.key, running) {
            overtaken.abort.cancel();
        }
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

    /// Waits for a lane to end. True when one did, for it may have freed room.
    pub(super) async fn next_finished(&mut self) -> bool {
        if !self.finished.is_empty() {
            tokio::time::sleep_until(self.store_at).await;
            return false;
        }
        if let Some(lane) = self.inbox.recv().await {
            self.finished.push(lane);
        }
        true
    }

    /// Tries once to store the results at hand. While PostgreSQL is away they
    /// are kept: the leases may run out meanwhile, and then the fence decides.
    pub(super) async fn store_finished(&mut self) {
        while let Ok(lane) = self.inbox.try_recv() {
            self.finished.push(lane);
        }
        while let Some(result) = self.tasks.try_join_next() {
            if let Err(error) = result {
                tracing::error!(%error, "a lane ended badly; its lease will run out");
            }
        }
        if self.finished.is_empty() || Instant::now() < self.store_at {
            return;
        }
        let batch = std::mem::take(&mut self.finished);
        for lane in &batch {
            // The key may be ours again under a newer epoch.
            if self
                .running
                .get(&lane.key)
                .is_some_and(|running| running.epoch == lane.epoch)
            {
                self.running.remove(&lane.key);
            }
        }
        match self.try_complete(&batch).await {
            Ok(()) => {}
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "storing results failed; trying again");
                self.finished = batch;
                self.store_at = Instant::now() + STORE_PAUSE;
            }
            Err(error) => {
                tracing::error!(%error, lanes = batch.len(), "results refused; storing them one by one");
                self.complete_singly(batch).await;
            }
        }
    }

    async fn try_complete(&self, batch: &[FinishedLane]) -> Result<(), StoreError> {
        let client = self.engine.db.client().await?;
        let ours = complete(&client, batch).await?;
        let fenced = batch
            .iter()
            .filter(|lane| !ours.contains(&(lane.key, lane.epoch)))
            .count();
        if fenced > 0 {
            metrics::counter!("lanes_fenced_total").increment(u64::try_from(fenced).unwrap_or(0));
            tracing::warn!(fenced, "lanes were taken over meanwhile; their results were dropped");
        }
        Ok(())
    }

    /// One bad row must not take the others' results with it.
    async fn complete_singly(&mut self, batch: Vec<FinishedLane>) {
        for lane in batch {
            match self.try_complete(std::slice::from_ref(&lane)).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => self.finished.push(lane),
                Err(error) => tracing::error!(%error, lane = lane.key, "result not stored; the lane will run again"),
            }
        }
    }

    /// Extends the leases; ends what is no longer surely ours.
    pub(super) async fn renew(&mut self) {
        let lanes: Vec<(i64, i64)> = self.running.iter().map(|(key, lane)| (*key, lane.epoch)).collect();
        if lanes.is_empty() {
            return;
        }
        let valid_until = self.valid_from_now();
        let renewed = match self.engine.db.client().await {
            Ok(client) => renew(&client, &lanes, self.engine.limits.lease).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(ours) => {
                for (key, lane) in &mut self.running {
                    if ours.contains(key) {
                        lane.valid_until = valid_until;
                    } else {
                        lane.abort.cancel();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "lease renewal failed; trying again"),
        }
    }

    /// Ends runs whose lease has run out by our own clock: a frozen process or a
    /// lost database must not go on writing to vendors.
    pub(super) fn abort_overdue(&self) {
        let now = Instant::now();
        for lane in self.running.values().filter(|lane| lane.valid_until <= now) {
            lane.abort.cancel();
        }
    }

    /// When the next lease runs out by our own clock.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        self.running
            .values()
            .filter(|lane| !lane.abort.is_cancelled())
            .map(|lane| lane.valid_until)
            .min()
    }

    pub(super) fn abort_all(&self) {
        for lane in self.running.values() {
            lane.abort.cancel();
        }
    }
}
