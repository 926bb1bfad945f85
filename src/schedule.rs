//! What runs at a time of day rather than on an event.

use anyhow::Context;
use tokio_cron_scheduler::{Job, JobScheduler};
use tokio_util::sync::CancellationToken;

use crate::store::{Db, StoreError, echoes};

/// Every ten minutes: echoes that can no longer come back are removed. Harmless
/// when several daemons do it.
const PRUNE: &str = "0 */10 * * * *";

/// Runs the schedule until `stop`.
///
/// # Errors
/// When the scheduler cannot be started.
pub async fn run(db: Db, stop: CancellationToken) -> anyhow::Result<()> {
    let mut scheduler = JobScheduler::new().await.context("starting the scheduler")?;
    let prune = Job::new_async(PRUNE, move |_, _| {
        let db = db.clone();
        Box::pin(async move {
            if let Err(error) = prune_echoes(&db).await {
                tracing::warn!(%error, "old echoes were not removed; trying again later");
            }
        })
    })
    .context("reading a schedule")?;
    scheduler.add(prune).await.context("adding a schedule")?;
    scheduler.start().await.context("starting the scheduler")?;
    stop.cancelled().await;
    scheduler.shutdown().await.context("stopping the scheduler")
}

async fn prune_echoes(db: &Db) -> Result<u64, StoreError> {
    echoes::prune(&db.client().await?).await
}
