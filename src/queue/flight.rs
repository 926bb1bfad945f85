//! The lanes in flight of one running engine: claimed, kept, given back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::{Claimed, ClaimedLane, claim};
use super::complete::{FinishedLane, complete};
use super::dispatch::Engine;
use super::lease::renew;
use super::stops::Stops;
use crate::store::{StoreError, within};

/// Events one claim may take of a lane.
pub(super) const EVENTS_PER_LANE: i64 = 16;
/// Lanes held per running event: the next ones are at hand when one ends. With
/// other daemons there it is one: what waits here could run there.
const LANES_PER_SLOT: usize = 4;
/// How often the claim looks further back than its watermark.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(30);
/// Slow commits may make a lane ready this far in the past.
pub(super) const WATERMARK_SLACK: chrono::Duration = chrono::Duration::seconds(5);
/// How long a claim or the storing of results may take. What was claimed unheard
/// runs when its lease is over; storing results bears repeating.
const ANSWER: Duration = Duration::from_secs(10);
/// Pause between two tries to store results while PostgreSQL is away.
const STORE_PAUSE: Duration = Duration::from_millis(250);

/// A lane in flight: written by the loop, cancelled by renewal or shutdown.
struct Running {
    epoch: i64,
    /// By our own clock the lease holds this long: started before the statement
    /// that took or renewed it. Past it the lane may be somebody else's. The
    /// lane's run looks at it.
    valid_until: watch::Sender<Instant>,
    abort: CancellationToken,
}

/// The lanes in flight of one [`Engine::run`]. One claim and one storing of
/// results may be under way at the same time, and lanes run meanwhile: what
/// finishes during a commit makes up the next one.
pub(super) struct Flight<'a> {
    engine: &'a Arc<Engine>,
    draining: CancellationToken,
    running: HashMap<i64, Running>,
    tasks: JoinSet<()>,
    results: mpsc::UnboundedSender<FinishedLane>,
    inbox: mpsc::UnboundedReceiver<FinishedLane>,
    /// Run, and not yet being stored.
    finished: Vec<FinishedLane>,
    storing: Option<JoinHandle<Stored>>,
    store_at: Instant,
    claiming: Option<JoinHandle<Taken>>,
    /// Whether the last claim left lanes behind.
    backlog: bool,
    watermark: DateTime<Utc>,
    full_scan_at: Instant,
}

/// How a claim ended.
struct Taken {
    places: usize,
    valid_until: Instant,
    outcome: Result<Claimed, StoreError>,
}

/// How the storing of a batch ended.
#[derive(Default)]
struct Stored {
    /// To be tried again.
    unstored: Vec<FinishedLane>,
    /// Whether a lane of the batch has more to do at once.
    more: bool,
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
            storing: None,
            store_at: Instant::now(),
            claiming: None,
            backlog: false,
            watermark: DateTime::UNIX_EPOCH,
            full_scan_at: Instant::now(),
        }
    }

    /// Whether nothing runs, is claimed or waits to be stored.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.finished.is_empty() && self.storing.is_none() && self.claiming.is_none()
    }

    /// Places for further lanes. Results that cannot be stored take places too.
    fn room(&self) -> usize {
        let taken = self.running.len() + self.finished.len();
        let per_slot = if self.engine.session.is_shared() {
            1
        } else {
            LANES_PER_SLOT
        };
        (self.engine.limits.concurrency * per_slot).saturating_sub(taken)
    }

    /// Begins to take lanes into the free places, unless that is under way or
    /// not worth a statement yet: as long as lanes wait for their turn, places
    /// are filled by the dozen. Answers whether it began.
    pub(super) fn start_claiming(&mut self) -> bool {
        let (places, slots) = (self.room(), self.engine.limits.concurrency);
        let worthwhile = places >= slots || (places > 0 && self.running.len() < slots);
        if self.claiming.is_some() || !worthwhile || !self.engine.session.may_claim(Instant::now()) {
            return false;
        }
        if Instant::now() >= self.full_scan_at {
            self.watermark = DateTime::UNIX_EPOCH;
            self.full_scan_at = Instant::now() + FULL_SCAN_EVERY;
        }
        let lanes = i64::try_from(places).unwrap_or(i64::MAX);
        let want = self.engine.want(lanes, EVENTS_PER_LANE, self.watermark);
        let valid_until = self.valid_from_now();
        let engine = Arc::clone(self.engine);
        self.claiming = Some(tokio::spawn(async move {
            let claiming = async { claim(&engine.db.client().await?, engine.session.id(), want).await };
            let outcome = within(ANSWER, claiming).await;
            Taken {
                places,
                valid_until,
                outcome,
            }
        }));
        true
    }

    /// Runs what a claim took; answers whether more may be waiting.
    fn took(&mut self, taken: Taken) -> bool {
        match taken.outcome {
            Ok(mut claimed) => {
                // Who was tried and not cleared goes last: the others' turns come first.
                claimed.lanes.sort_by_key(|lane| lane.claims);
                // The database's clock throughout: ours may be wrong.
                if let Some(oldest) = claimed.oldest {
                    self.watermark = oldest - WATERMARK_SLACK;
                }
                self.backlog = claimed.lanes.len() >= taken.places;
                for lane in claimed.lanes {
                    self.start(lane, taken.valid_until);
                }
                self.backlog
            }
            Err(error) => {
                tracing::warn!(%error, "claim failed; trying again");
                false
            }
        }
    }

    /// How long a lease taken now holds by our clock, with a margin for the call
    /// that may just be leaving.
    fn valid_from_now(&self) -> Instant {
        Instant::now() + self.engine.limits.lease.mul_f64(0.9)
    }

    fn start(&mut self, lane: ClaimedLane, valid_until: Instant) {
        let abort = CancellationToken::new();
        let (valid_until, lease) = watch::channel(valid_until);
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
            lease,
            session: self.engine.session(),
        };
        let engine = Arc::clone(self.engine);
        let results = self.results.clone();
        self.tasks.spawn(async move {
            let finished = engine.run_lane(lane, &stops).await;
            // The receiver lives as long as the loop that spawned this task.
            results.send(finished).ok();
        });
    }

    /// Waits for a lane, a claim or a storing to end. True when a claim may find
    /// more than before.
    pub(super) async fn next(&mut self) -> bool {
        let wait = self.store_at;
        let held_back = self.storing.is_none() && !self.finished.is_empty();
        tokio::select! {
            Some(lane) = self.inbox.recv() => {
                self.finished.push(lane);
                self.backlog
            }
            Some(stored) = ended(&mut self.storing) => {
                if !stored.unstored.is_empty() {
                    self.finished.extend(stored.unstored);
                    self.store_at = Instant::now() + STORE_PAUSE;
                }
                stored.more || self.backlog
            }
            Some(taken) = ended(&mut self.claiming) => self.took(taken),
            () = tokio::time::sleep_until(wait), if held_back => false,
        }
    }

    /// Begins to store the results at hand, unless that is under way. While
    /// PostgreSQL is away they are kept: the leases may run out meanwhile, and
    /// then the fence decides.
    pub(super) fn start_storing(&mut self) {
        while let Ok(lane) = self.inbox.try_recv() {
            self.finished.push(lane);
        }
        while let Some(result) = self.tasks.try_join_next() {
            if let Err(error) = result {
                tracing::error!(%error, "a lane ended badly; its lease will run out");
            }
        }
        if self.finished.is_empty() || self.storing.is_some() || Instant::now() < self.store_at {
            return;
        }
        let mut batch = std::mem::take(&mut self.finished);
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
        batch.sort_unstable_by_key(|lane| lane.key);
        self.storing = Some(tokio::spawn(store(Arc::clone(self.engine), batch)));
    }

    /// Extends the leases; ends what is no longer surely ours.
    pub(super) async fn renew(&mut self) {
        let lanes: Vec<(i64, i64)> = self.running.iter().map(|(key, lane)| (*key, lane.epoch)).collect();
        if lanes.is_empty() {
            return;
        }
        let valid_until = self.valid_from_now();
        let lease = self.engine.limits.lease;
        let renewing = async { renew(&self.engine.db.client().await?, &lanes, lease).await };
        // The loop stands still meanwhile; it must be back before the leases end.
        match within(lease / 2, renewing).await {
            Ok(ours) => {
                for (key, lane) in &self.running {
                    if ours.contains(key) {
                        lane.valid_until.send_replace(valid_until);
                    } else {
                        lane.abort.cancel();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "lease renewal failed; trying again"),
        }
    }

    /// Ends runs whose lease, or whose process's session, has run out by our own
    /// clock: a frozen process or a lost database must not go on writing to vendors.
    pub(super) fn abort_overdue(&self) {
        let now = Instant::now();
        if self.engine.session.holds_until().is_some_and(|until| until <= now) {
            return self.abort_all();
        }
        for lane in self.running.values().filter(|lane| *lane.valid_until.borrow() <= now) {
            lane.abort.cancel();
        }
    }

    /// When the next lease, or the session, runs out by our own clock.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        let leases = self.running.values().filter(|lane| !lane.abort.is_cancelled());
        let next = leases.map(|lane| *lane.valid_until.borrow()).min()?;
        Some(self.engine.session.holds_until().map_or(next, |until| until.min(next)))
    }

    pub(super) fn abort_all(&self) {
        for lane in self.running.values() {
            lane.abort.cancel();
        }
    }
}

/// The result of a task, once it ends; never, when there is none. `None` when it
/// ended badly.
async fn ended<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(handle) = task else {
        return std::future::pending().await;
    };
    let result = handle.await;
    *task = None;
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(%error, "a claim or the storing of results ended badly; leases will run out");
            None
        }
    }
}

/// Tries once to store a batch.
async fn store(engine: Arc<Engine>, batch: Vec<FinishedLane>) -> Stored {
    match try_complete(&engine, &batch).await {
        Ok(more) => Stored {
            unstored: Vec::new(),
            more,
        },
        Err(error) if error.is_retryable() => {
            tracing::warn!(%error, "storing results failed; trying again");
            Stored {
                unstored: batch,
                more: false,
            }
        }
        Err(error) => {
            tracing::error!(%error, lanes = batch.len(), "results refused; storing them one by one");
            store_singly(&engine, batch).await
        }
    }
}

/// One bad row must not take the others' results with it.
async fn store_singly(engine: &Engine, batch: Vec<FinishedLane>) -> Stored {
    let mut all = Stored::default();
    for lane in batch {
        match try_complete(engine, std::slice::from_ref(&lane)).await {
            Ok(more) => all.more |= more,
            Err(error) if error.is_retryable() => all.unstored.push(lane),
            Err(error) => tracing::error!(%error, lane = lane.key, "result not stored; the lane will run again"),
        }
    }
    all
}

async fn try_complete(engine: &Engine, batch: &[FinishedLane]) -> Result<bool, StoreError> {
    let completing = async { complete(&engine.db.client().await?, batch).await };
    let ours = within(ANSWER, completing).await?;
    let fenced = batch
        .iter()
        .filter(|lane| !ours.runs.contains(&(lane.key, lane.epoch)))
        .count();
    if fenced > 0 {
        metrics::counter!("lanes_fenced_total").increment(u64::try_from(fenced).unwrap_or(0));
        tracing::warn!(fenced, "lanes were taken over meanwhile; their results were dropped");
    }
    Ok(ours.more)
}
