//! Storing the results of many lanes in one commit, and one by one when a lane
//! of them would keep the others from it.

use std::collections::HashSet;
use std::time::Duration;

use super::complete::{Completed, FinishedLane, complete};
use super::dispatch::Engine;
use crate::store::{StoreError, within};

/// How long the storing of results may take; it bears repeating.
const ANSWER: Duration = Duration::from_secs(10);

/// How the storing of a batch ended.
#[derive(Default)]
pub(super) struct Stored {
    /// To be tried again.
    pub(super) unstored: Vec<FinishedLane>,
    /// To be tried again one by one: somebody holds a row of one of them.
    pub(super) blocked: Vec<FinishedLane>,
    /// Which runs, by `(key, epoch)`, were still ours and are stored.
    pub(super) runs: HashSet<(i64, i64)>,
    /// Whether a lane of the batch has more to do at once.
    pub(super) more: bool,
}

impl Stored {
    fn add(&mut self, completed: Completed) {
        self.runs.extend(completed.runs);
        self.more |= completed.more;
    }
}

/// Tries once to store a batch.
pub(super) async fn store(engine: &Engine, batch: Vec<FinishedLane>) -> Stored {
    let mut all = Stored::default();
    match try_complete(engine, &batch).await {
        Ok(completed) => all.add(completed),
        Err(error) if error.is_blocked() => {
            tracing::warn!(lanes = batch.len(), "somebody holds a row; storing results one by one");
            all.blocked = batch;
        }
        Err(error) if error.is_retryable() => {
            tracing::warn!(%error, "storing results failed; trying again");
            all.unstored = batch;
        }
        Err(error) => {
            tracing::error!(%error, lanes = batch.len(), "results refused; storing them one by one");
            return store_singly(engine, batch).await;
        }
    }
    all
}

/// One bad row must not take the others' results with it.
pub(super) async fn store_singly(engine: &Engine, batch: Vec<FinishedLane>) -> Stored {
    let mut all = Stored::default();
    for lane in batch {
        match try_complete(engine, std::slice::from_ref(&lane)).await {
            Ok(completed) => all.add(completed),
            Err(error) if error.is_blocked() => all.blocked.push(lane),
            Err(error) if error.is_retryable() => all.unstored.push(lane),
            Err(error) => tracing::error!(%error, lane = lane.key, "result not stored; the lane will run again"),
        }
    }
    all
}

async fn try_complete(engine: &Engine, batch: &[FinishedLane]) -> Result<Completed, StoreError> {
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
    Ok(ours)
}
