//! The task pool's heart: claim, run, store, again. One loop per process.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::backoff::RetryPolicy;
use super::claim::{ClaimedLane, Want};
use super::complete::FinishedLane;
use super::flight::Flight;
use super::lane::{self, Handler};
use super::session::Session;
use super::stops::Stops;
use super::sweep::{KeyOf, sweep};
use super::trial::{self, Standing};
use crate::store::{Db, StoreError, within};

/// How often hand-made rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// A sweep that takes longer has lost its connection.
const SWEEP_LIMIT: Duration = Duration::from_secs(60);
/// The sweep looks at every open row: a deep backlog makes it rarer, not dearer.
const SWEEP_REST: u32 = 20;

/// How long the mark of a trial may take.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);
/// How long, after the grace, handed-back lanes may take to be stored.
const HAND_BACK: Duration = Duration::from_secs(2);

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
    pub(super) db: Db,
    handler: Arc<dyn Handler>,
    pub(super) limits: Limits,
    key_of: KeyOf,
    pub(super) session: Arc<Session>,
    /// Ingest, replay and the jobs routes ring it; the loop waits on it.
    wake: Arc<Notify>,
    /// One permit per running event; lanes wait here for their turn.
    slots: Arc<Semaphore>,
    /// One permit: suspects wait here, before they wait for a slot.
    trials: Arc<Semaphore>,
    /// The running engine drains, or its sweep has ended.
    pub(super) draining: CancellationToken,
    /// The grace is over.
    pub(super) abort: CancellationToken,
    /// Rounds asked for by hand: the engine ends after them.
    pub(super) rounds: TaskTracker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
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
            // Random per process start, never the host's name.
            session: Arc::new(Session::new(Uuid::new_v4())),
            wake: Arc::new(Notify::new()),
            slots: Arc::new(Semaphore::new(limits.concurrency)),
            trials: Arc::new(Semaphore::new(1)),
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
            rounds: TaskTracker::new(),
        }
    }

    /// The engine of the daemon that goes by this id elsewhere, too.
    #[must_use]
    pub fn of_daemon(mut self, id: Uuid) -> Self {
        self.session = Arc::new(Session::new(id));
        self
    }

    /// Ring it after storing events: they run at once instead of at the next poll.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// The session under which it claims. No lane is taken before it is touched.
    pub fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }

    /// Runs until `stop`, then finishes what is in flight; what is not
    /// finished after `grace` is handed back, and what cannot be stored then is
    /// left to its lease. It ends so, too, when its sweep has ended: the daemon
    /// must not go on without it.
    pub async fn run(self: Arc<Self>, stop: CancellationToken, grace: Duration) {
        // A lane at the door of its slot sees the stop as soon as anybody does.
        let draining = stop.child_token();
        let sweeper = tokio::spawn(Arc::clone(&self).sweep_loop(draining.clone()));
        let mut flight = Flight::new(&self, draining.clone());
        let mut due = true;
        let mut renew_at = Instant::now() + self.limits.lease / 3;
        let mut grace_ends: Option<Instant> = None;
        loop {
            // Lanes that are about to end join the batch.
            tokio::task::yield_now().await;
            flight.start_storing();
            if sweeper.is_finished() {
                draining.cancel();
            }
            if draining.is_cancelled() {
                self.draining.cancel();
                let ends = *grace_ends.get_or_insert_with(|| Instant::now() + grace);
                if flight.is_empty() || Instant::now() >= ends + HAND_BACK {
                    break;
                }
                if Instant::now() >= ends {
                    flight.abort_all();
                    self.abort.cancel();
                }
            } else if due && flight.start_claiming() {
                due = false;
            }
            if Instant::now() >= renew_at {
                flight.start_renewing();
                renew_at = Instant::now() + self.limits.lease / 3;
            }
            flight.abort_overdue();
            let poll = self.limits.poll.mul_f64(0.75 + rand::random::<f64>() / 2.0);
            let wake_at = [
                Some(Instant::now() + poll),
                Some(renew_at),
                flight.next_overdue(),
                grace_ends.map(|at| at + HAND_BACK),
            ]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(renew_at);
            tokio::select! {
                more = flight.next() => due |= more,
                () = self.wake.notified() => due = true,
                () = tokio::time::sleep_until(wake_at) => due = true,
                () = stop.cancelled(), if grace_ends.is_none() => {}
            }
        }
        let ends = grace_ends.unwrap_or_else(Instant::now);
        self.rounds_end(ends, ends + HAND_BACK).await;
        if let Err(error) = sweeper.await {
            tracing::error!(%error, "sweep task ended badly");
        }
    }

    /// Gives rows typed by hand their lanes now instead of at the next sweep.
    ///
    /// # Errors
    /// Any statement failure.
    pub async fn pick_up_typed_rows(&self) -> Result<u64, StoreError> {
        sweep(&self.db.client().await?, &self.key_of).await
    }

    pub(super) async fn run_lane(&self, lane: ClaimedLane, stops: &Stops) -> FinishedLane {
        let stops = Stops {
            draining: stops.draining.clone(),
            abort: stops.abort.child_token(),
            lease: stops.lease.clone(),
            session: self.session(),
        };
        let trial = match Standing::of(lane.claims) {
            Standing::Free | Standing::Condemned => None,
            Standing::Suspect => tokio::select! {
                biased;
                () = stops.abort.cancelled() => None,
                turn = Arc::clone(&self.trials).acquire_owned() => turn.ok(),
            },
        };
        let _slot = self.slots.acquire().await.ok();
        if trial.is_some()
            && !stops.are_set()
            && let Err(error) = self.begin_trial(&lane).await
        {
            tracing::warn!(%error, lane = lane.key, "a trial could not begin; the lane is handed back");
            stops.abort.cancel();
        }
        let mut finished = lane::run(lane, self.handler.as_ref(), &self.limits.retry, &stops).await;
        finished.trial = trial;
        finished
    }

    async fn begin_trial(&self, lane: &ClaimedLane) -> Result<(), StoreError> {
        within(TRIAL_LIMIT, async {
            trial::begin(&self.db.client().await?, lane).await
        })
        .await
    }

    pub(super) fn want(&self, lanes: i64, events_per_lane: i64, since: DateTime<Utc>) -> Want {
        Want {
            lanes,
            events_per_lane,
            lease: self.limits.lease,
            since: since.max(DateTime::UNIX_EPOCH),
        }
    }

    async fn sweep_loop(self: Arc<Self>, draining: CancellationToken) {
        let mut took = Duration::ZERO;
        loop {
            let usual = SWEEP_EVERY.mul_f64(0.75 + rand::random::<f64>() / 2.0);
            tokio::select! {
                () = draining.cancelled() => return,
                () = tokio::time::sleep(usual.max(took * SWEEP_REST)) => {}
            }
            let started = Instant::now();
            let swept = tokio::select! {
                () = draining.cancelled() => return,
                swept = within(SWEEP_LIMIT, self.pick_up_typed_rows()) => swept,
            };
            took = started.elapsed();
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
