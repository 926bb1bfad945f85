//! The lanes in flight of one running engine: claimed, kept, given back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::{Claimed, ClaimedLane, claim};
use super::complete::FinishedLane;
use super::dispatch::Engine;
use super::lane;
use super::lease::renew;
use super::stops::Stops;
use super::storing::{Stored, store, store_singly};
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
/// How long a claim may take. What was claimed unheard runs when its lease is over.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// Pause between two tries to store results while PostgreSQL is away.
pub(super) const STORE_PAUSE: Duration = Duration::from_millis(250);

/// One in so many places may be held by a lane on trial, of which one runs at a time.
const PLACES_PER_SUSPECT: usize = 4;
/// How long further ones are let go for.
const SUSPECT_WAIT: Duration = Duration::from_secs(1);

/// A lane in flight: written by the loop, cancelled by renewal or shutdown.
struct Running {
    epoch: i64,
    suspect: bool,
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
    /// Run, and somebody holds a row of one of them: stored one by one, so that
    /// what finishes meanwhile need not wait for them.
    blocked: Vec<FinishedLane>,
    unblocking: Option<JoinHandle<Stored>>,
    /// How many of them that is at work on.
    unblocking_lanes: usize,
    unblock_at: Instant,
    claiming: Option<JoinHandle<Taken>>,
    renewing: Option<JoinHandle<Renewed>>,
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

/// How a renewal ended.
struct Renewed {
    /// What it was asked for.
    lanes: Vec<(i64, i64)>,
    valid_until: Instant,
    outcome: Result<HashSet<i64>, StoreError>,
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
            blocked: Vec::new(),
            unblocking: None,
            unblocking_lanes: 0,
            unblock_at: Instant::now(),
            claiming: None,
            renewing: None,
            backlog: false,
            watermark: DateTime::UNIX_EPOCH,
            full_scan_at: Instant::now(),
        }
    }

    /// Whether nothing runs, is claimed or waits to be stored.
    pub(super) fn is_empty(&self) -> bool {
        let stored = self.finished.is_empty() && self.storing.is_none();
        let unblocked = self.blocked.is_empty() && self.unblocking.is_none();
        self.running.is_empty() && stored && unblocked && self.claiming.is_none()
    }

    fn places(&self) -> usize {
        let per_slot = if self.engine.session.is_shared() {
            1
        } else {
            LANES_PER_SLOT
        };
        self.engine.limits.concurrency * per_slot
    }

    /// Places for further lanes. Results that cannot be stored take places too.
    fn room(&self) -> usize {
        let unstored = self.finished.len() + self.blocked.len() + self.unblocking_lanes;
        self.places().saturating_sub(self.running.len() + unstored)
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
                    self.admit(lane, taken.valid_until);
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

    /// Runs a lane, or lets it go for a while: after a crash loop there may be
    /// more suspects than places, and everybody else would wait for them.
    fn admit(&mut self, lane: ClaimedLane, valid_until: Instant) {
        let held = self.running.values().filter(|running| running.suspect).count();
        if lane.is_suspect() && held >= (self.places() / PLACES_PER_SUSPECT).max(1) {
            self.finished.push(lane::postpone(lane, SUSPECT_WAIT));
        } else {
            self.start(lane, valid_until);
        }
    }

    fn start(&mut self, lane: ClaimedLane, valid_until: Instant) {
        let abort = CancellationToken::new();
        let (valid_until, lease) = watch::channel(valid_until);
        let running = Running {
            epoch: lane.epoch,
            suspect: lane.is_suspect(),
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

    /// Waits for a lane, a claim, a renewal or a storing to end. True when a claim may find
    /// more than before.
    pub(super) async fn next(&mut self) -> bool {
        let (store_at, unblock_at) = (self.store_at, self.unblock_at);
        let held_back = self.storing.is_none() && !self.finished.is_empty();
        let held_up = self.unblocking.is_none() && !self.blocked.is_empty();
        tokio::select! {
            Some(lane) = self.inbox.recv() => {
                self.finished.push(lane);
                self.backlog
            }
            Some(stored) = ended(&mut self.storing) => self.stored(stored),
            Some(stored) = ended(&mut self.unblocking) => {
                self.unblocking_lanes = 0;
                self.unblock_at = Instant::now() + STORE_PAUSE;
                self.stored(stored)
            }
            Some(taken) = ended(&mut self.claiming) => self.took(taken),
            Some(renewed) = ended(&mut self.renewing) => {
                self.renewed(renewed);
                false
            }
            () = tokio::time::sleep_until(store_at), if held_back => false,
            () = tokio::time::sleep_until(unblock_at), if held_up => false,
        }
    }

    /// Keeps what could not be stored; answers whether a claim may find more.
    fn stored(&mut self, stored: Stored) -> bool {
        if !stored.unstored.is_empty() {
            self.finished.extend(stored.unstored);
            self.store_at = Instant::now() + STORE_PAUSE;
        }
        self.blocked.extend(stored.blocked);
        stored.more || self.backlog
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
        if self.unblocking.is_none() && !self.blocked.is_empty() && Instant::now() >= self.unblock_at {
            let lanes = std::mem::take(&mut self.blocked);
            self.unblocking_lanes = lanes.len();
            let engine = Arc::clone(self.engine);
            self.unblocking = Some(tokio::spawn(async move { store_singly(&engine, lanes).await }));
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
        let engine = Arc::clone(self.engine);
        self.storing = Some(tokio::spawn(async move { store(&engine, batch).await }));
    }

    /// Begins to extend the leases, unless that is under way.
    pub(super) fn start_renewing(&mut self) {
        let lanes: Vec<(i64, i64)> = self.running.iter().map(|(key, lane)| (*key, lane.epoch)).collect();
        if lanes.is_empty() || self.renewing.is_some() {
            return;
        }
        let valid_until = self.valid_from_now();
        let engine = Arc::clone(self.engine);
        self.renewing = Some(tokio::spawn(async move {
            let lease = engine.limits.lease;
            let renewing = async { renew(&engine.db.client().await?, &lanes, lease).await };
            // There must be time for another try before the leases end.
            let outcome = within(ANSWER.min(lease / 2), renewing).await;
            Renewed {
                lanes,
                valid_until,
                outcome,
            }
        }));
    }

    /// Ends what is no longer surely ours.
    fn renewed(&self, renewed: Renewed) {
        let ours = match renewed.outcome {
            Ok(ours) => ours,
            Err(error) => return tracing::warn!(%error, "lease renewal failed; trying again"),
        };
        for (key, epoch) in renewed.lanes {
            // Given back meanwhile, and perhaps taken again.
            let Some(lane) = self.running.get(&key).filter(|lane| lane.epoch == epoch) else {
                continue;
            };
            if ours.contains(&key) {
                lane.valid_until.send_replace(renewed.valid_until);
            } else {
                lane.abort.cancel();
            }
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
            tracing::error!(%error, "a task of the engine ended badly; leases will run out");
            None
        }
    }
}
