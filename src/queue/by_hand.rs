//! One round of the engine, here and now: what the jobs route asks for, and what
//! the bench `claim_flat` times while tables grow. The running engine overlaps
//! claims, runs and the storing of results; a round does one after the other.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::{ClaimedLane, Want, claim};
use super::complete::{FinishedLane, complete};
use super::dispatch::Engine;
use super::flight::{EVENTS_PER_LANE, WATERMARK_SLACK};
use super::stops::Stops;
use crate::domain::EventStatus;
use crate::store::StoreError;

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
    /// their runs failed.
    ///
    /// # Errors
    /// When the claim or the storing of results fails.
    pub async fn run_once(&self, limit: u32) -> Result<(u64, u64), StoreError> {
        // Rows typed by hand a moment ago are asked for, too.
        self.pick_up_typed_rows().await?;
        let slots = u32::try_from(self.limits.concurrency).unwrap_or(u32::MAX);
        let want = self.want(i64::from(limit.min(slots)), 1, DateTime::<Utc>::MIN_UTC);
        let round = self.round(want).await?;
        Ok((round.done, round.failed))
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
        let client = self.db.client().await?;
        let began = Instant::now();
        let claimed = claim(&client, self.session().id(), want).await?;
        let claim = began.elapsed();
        drop(client);
        let next_since = claimed.oldest.map_or(want.since, |oldest| oldest - WATERMARK_SLACK);
        let finished = self.run_all(claimed.lanes, lease_ends).await;
        let (mut complete_took, mut ours) = (Duration::ZERO, HashSet::new());
        if !finished.is_empty() {
            let client = self.db.client().await?;
            let began = Instant::now();
            ours = complete(&client, &finished).await?.runs;
            complete_took = began.elapsed();
        }
        let (done, failed) = count(&finished, &ours);
        Ok(Round {
            claim,
            complete: complete_took,
            lanes: finished.len(),
            done,
            failed,
            next_since,
        })
    }

    async fn run_all(&self, lanes: Vec<ClaimedLane>, lease_ends: Instant) -> Vec<FinishedLane> {
        let stops = Stops {
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
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

/// The runs that were stored: done and failed. A lane that was taken over
/// meanwhile is another worker's to count.
fn count(finished: &[FinishedLane], ours: &HashSet<(i64, i64)>) -> (u64, u64) {
    let ran = finished
        .iter()
        .filter(|lane| ours.contains(&(lane.key, lane.epoch)))
        .flat_map(|lane| &lane.events)
        .filter(|event| !event.log.is_empty());
    ran.fold((0, 0), |(done, failed), event| match event.status {
        EventStatus::Done => (done + 1, failed),
        EventStatus::Error | EventStatus::Pending | EventStatus::Processing => (done, failed + 1),
    })
}
