//! One round of the engine by hand, its two statements timed: what the bench
//! `claim_flat` watches while tables grow. The running engine overlaps them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::claim;
use super::complete::complete;
use super::dispatch::Engine;
use super::flight::{EVENTS_PER_LANE, WATERMARK_SLACK};
use super::lane::Stops;
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
    /// Events closed.
    pub events: usize,
    /// Where the running engine would have its next claim begin.
    pub next_since: DateTime<Utc>,
}

impl Engine {
    /// Claims up to `lanes` lanes that became ready after `since`, runs them and
    /// stores the results, with the statements of the running engine.
    ///
    /// # Errors
    /// When one of the statements fails.
    pub async fn timed_round(&self, lanes: i64, since: DateTime<Utc>) -> Result<Round, StoreError> {
        let client = self.db.client().await?;
        let began = Instant::now();
        let claimed = claim(&client, self.session.id(), self.want(lanes, EVENTS_PER_LANE, since)).await?;
        let claim = began.elapsed();
        drop(client);
        let next_since = claimed.oldest.map_or(since, |oldest| oldest - WATERMARK_SLACK);
        let stops = Stops {
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let runs = claimed.lanes.into_iter().map(|lane| self.run_lane(lane, &stops));
        let finished = futures_util::future::join_all(runs).await;
        let client = self.db.client().await?;
        let began = Instant::now();
        complete(&client, &finished).await?;
        Ok(Round {
            claim,
            complete: began.elapsed(),
            lanes: finished.len(),
            events: finished.iter().map(|lane| lane.events.len()).sum(),
            next_since,
        })
    }
}
