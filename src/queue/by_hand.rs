//! One round of the engine, here and now: what the jobs route asks for, and what
//! the bench `claim_flat` times while tables grow. The running engine overlaps
//! claims, runs and the storing of results; a round does one after the other.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::claim::{ClaimedLane, Want, claim};
use super::complete::FinishedLane;
use super::dispatch::Engine;
use super::flight::{ANSWER, EVENTS_PER_LANE, STORE_PAUSE, WATERMARK_SLACK};
use super::stops::Stops;
use super::storing::{store, store_singly};
use crate::domain::EventStatus;
use crate::store::{StoreError, within};

/// What one round did.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Time of the claim's statement.
    pub claim: Duration,
    /// Time of the statement that stored the results.
    pub complete: Duration,
    /// Lanes taken and given back.
    pub lanes: usize,
    /// Events whose run ended and was stored.
    pub done: u64,
    /// Events whose run failed, and that was stored.
    pub failed: u64,
    /// Where the running engine would have its next claim begin.
    pub next_since: DateTime<Utc>,
}

impl Engine {
    /// Claims and runs up to `limit` lanes, no more than the slots can take
    /// within one lease; answers how many events were closed and how many of
    /// their runs failed. Takes nothing while the running engine would not.
    ///
    /// # Errors
    /// When the claim or the storing of results fails.
    pub async fn run_once(&self, limit: u32) -> Result<(u64, u64), StoreError> {
        let round = async {
            if self.draining.is_cancelled() || !self.session().may_claim(Instant::now()) {
                return Ok((0, 0));
            }
            // Rows typed by hand a moment ago are asked for, too.
            self.pick_up_typed_rows().await?;
            let slots = u32::try_from(self.limits.concurrency).unwrap_or(u32::MAX);
            let want = self.want(i64::from(limit.min(slots)), 1, DateTime::<Utc>::MIN_UTC);
            let round = self.round(want).await?;
            Ok((round.done, round.failed))
        };
        self.rounds.track_future(round).await
    }

    /// Waits for the rounds under way, which begin no further event by now:
    /// hurries them at `grace_ends` and gives up at `last`.
    pub(super) async fn rounds_end(&self, grace_ends: Instant, last: Instant) {
        self.rounds.close();
        tokio::select! {
            () = self.rounds.wait() => return,
            () = tokio::time::sleep_until(grace_ends) => self.abort.cancel(),
        }
        tokio::time::timeout_at(last, self.rounds.wait()).await.ok();
    }

    /// Claims up to `lanes` lanes that became ready after `since`, with as many of
    /// their events as the running engine takes, and runs them.
    ///
    /// # Errors
    /// As [`Self::run_once`].
    pub async fn timed_round(&self, lanes: i64, since: DateTime<Utc>) -> Result<Round, StoreError> {
        self.round(self.want(lanes, EVENTS_PER_LANE, since)).await
    }

    async fn round(&self, want: Want) -> Result<Round, StoreError> {
        let lease_ends = Instant::now() + self.limits.lease.mul_f64(0.9);
        let began = Instant::now();
        let claiming = async { claim(&self.db.client().await?, self.session().id(), want).await };
        let claimed = within(ANSWER, claiming).await?;
        let claim = began.elapsed();
        let next_since = claimed.oldest.map_or(want.since, |oldest| oldest - WATERMARK_SLACK);
        let finished = self.run_all(claimed.lanes, lease_ends).await;
        let lanes = finished.len();
        let events = counts(&finished);
        let began = Instant::now();
        let runs = self.store_all(finished, lease_ends).await?;
        let complete = began.elapsed();
        let ours = events.into_iter().filter(|(run, ..)| runs.contains(run));
        let (done, failed) = ours.fold((0, 0), |sum, (_, done, failed)| (sum.0 + done, sum.1 + failed));
        Ok(Round {
            claim,
            complete,
            lanes,
            done,
            failed,
            next_since,
        })
    }

    /// Stores the results, however often it takes until the leases end; answers
    /// which runs were still ours.
    async fn store_all(&self, mut lanes: Vec<FinishedLane>, until: Instant) -> Result<HashSet<(i64, i64)>, StoreError> {
        let mut runs = HashSet::new();
        let mut singly = false;
        while !lanes.is_empty() {
            let stored = if singly {
                store_singly(self, lanes).await
            } else {
                store(self, lanes).await
            };
            runs.extend(stored.runs);
            singly = !stored.blocked.is_empty();
            lanes = stored.unstored;
            lanes.extend(stored.blocked);
            if lanes.is_empty() {
                break;
            }
            if Instant::now() >= until {
                return Err(StoreError::Unavailable);
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
        Ok(runs)
    }

    async fn run_all(&self, lanes: Vec<ClaimedLane>, lease_ends: Instant) -> Vec<FinishedLane> {
        let stops = Stops {
            draining: self.draining.clone(),
            abort: self.abort.child_token(),
            lease: watch::Sender::new(lease_ends).subscribe(),
            session: self.session(),
        };
        let runs = lanes.into_iter().map(|lane| async {
            let finished = self.run_lane(lane, &stops).await;
            // All of them are stored together: a suspect would wait for ever.
            FinishedLane {
                trial: None,
                ..finished
            }
        });
        let mut all = std::pin::pin!(join_all(runs));
        tokio::select! {
            finished = &mut all => finished,
            () = tokio::time::sleep_until(lease_ends) => {
                stops.abort.cancel();
                all.await
            }
        }
    }
}

/// How many events of each run, by `(key, epoch)`, were done and how many failed.
/// A run that was taken over meanwhile is another worker's to count.
fn counts(finished: &[FinishedLane]) -> Vec<((i64, i64), u64, u64)> {
    let lanes = finished.iter().map(|lane| {
        let ran = lane.events.iter().filter(|event| !event.log.is_empty());
        let (done, failed) = ran.fold((0, 0), |(done, failed), event| match event.status {
            EventStatus::Done => (done + 1, failed),
            EventStatus::Error | EventStatus::Pending | EventStatus::Processing => (done, failed + 1),
        });
        ((lane.key, lane.epoch), done, failed)
    });
    lanes.collect()
}
