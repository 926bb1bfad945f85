//! What runs at a time of day rather than on an event. Of several daemons one
//! runs it: whoever stores the run first.

pub mod agents;
pub mod retention;
pub mod reviews;

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use futures_util::future::BoxFuture;
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::sync::CancellationToken;

use crate::store::{Db, echoes, scheduled_runs};
use crate::vendors::AlowareClient;

/// What is due at times of day.
#[derive(Clone, Debug)]
enum Due {
    /// Echoes that can no longer come back are removed.
    Echoes,
    /// What is finished and older than this is removed.
    Retention(Duration),
    /// The names of Aloware's users are fetched.
    Agents(AlowareClient),
    /// Texts that nobody decided about in time become a STOP.
    Reviews,
}

impl Due {
    fn name(&self) -> &'static str {
        match self {
            Self::Echoes => "echoes",
            Self::Retention(_) => "retention",
            Self::Agents(_) => "agents",
            Self::Reviews => "reviews",
        }
    }

    /// Six fields, UTC, always a whole minute (see `scheduled_runs`). Retention
    /// has a minute of its own, when nobody else's daily work begins.
    fn cron(&self) -> &'static str {
        match self {
            Self::Echoes => "0 */10 * * * *",
            Self::Retention(_) => "0 17 4 * * *",
            Self::Agents(_) => "0 5-55/10 * * * *",
            Self::Reviews => "0 2-52/10 * * * *",
        }
    }

    async fn run(&self, db: &Db, stop: &CancellationToken) -> anyhow::Result<()> {
        if !scheduled_runs::take(&db.client().await?, self.name()).await? {
            return Ok(());
        }
        match self {
            Self::Echoes => {
                let removed = echoes::prune(&db.client().await?).await?;
                tracing::debug!(removed, "old echoes removed");
            }
            Self::Retention(keep) => {
                let removed = retention::run(db, *keep, stop).await?;
                tracing::info!(removed, "finished rows beyond retention removed");
            }
            Self::Agents(aloware) => {
                let named = agents::run(db, aloware).await?;
                tracing::debug!(named, "aloware's users fetched");
            }
            Self::Reviews => {
                let stopped = reviews::run(db, Utc::now()).await?;
                tracing::info!(stopped, "undecided texts became a STOP");
            }
        }
        Ok(())
    }
}

/// Runs the schedule until `stop`. Finished rows are kept for `keep`.
///
/// # Errors
/// When the scheduler cannot be started.
pub async fn run(db: Db, aloware: AlowareClient, keep: Duration, stop: CancellationToken) -> anyhow::Result<()> {
    let mut scheduler = JobScheduler::new().await.context("starting the scheduler")?;
    for due in [Due::Echoes, Due::Retention(keep), Due::Agents(aloware), Due::Reviews] {
        let (db, stop) = (db.clone(), stop.clone());
        let cron = due.cron();
        let job = Job::new_async(cron, move |_, _| -> BoxFuture<'static, ()> {
            let (due, db, stop) = (due.clone(), db.clone(), stop.clone());
            Box::pin(async move {
                if let Err(error) = due.run(&db, &stop).await {
                    tracing::warn!(%error, job = due.name(), "scheduled work failed; trying again when it is due next");
                }
            })
        })
        .context("reading a schedule")?;
        scheduler.add(job).await.context("adding a schedule")?;
    }
    scheduler.start().await.context("starting the scheduler")?;
    stop.cancelled().await;
    scheduler.shutdown().await.context("stopping the scheduler")
}
