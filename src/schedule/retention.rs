//! Retention: what is finished and older than `retention.done_events` goes, in
//! batches with a rest in between. What has not ended stays whatever its age,
//! and so does every proof of consent: no statement of `store::retention` names
//! those tables.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::EventTable;
use crate::store::retention::{Aged, BATCH, aged, events, horizon};
use crate::store::{Db, StoreError};

/// Rest between two batches: deliveries and claims come first.
const REST: Duration = Duration::from_millis(200);

/// Removes everything that is due; answers how many rows. Ends early, between
/// two batches, when `stop` is called.
///
/// # Errors
/// Any statement failure; what was removed until then stays removed.
pub async fn run(db: &Db, keep: Duration, stop: &CancellationToken) -> Result<u64, StoreError> {
    let due = horizon(&db.client().await?, keep).await?;
    let mut removed = 0;
    // What a kept event may still need to know (was this text sent already?) is
    // never younger than the event.
    let mut guards_due = due;
    for table in EventTable::ALL {
        let mut after = Some(0);
        while let Some(from) = after {
            let batch = events(&db.client().await?, *table, from, due).await?;
            for (name, count) in batch.removed {
                removed += count;
                count_removed(name, count);
            }
            guards_due = batch.oldest_kept.map_or(guards_due, |oldest| oldest.min(guards_due));
            after = batch.next;
            if rested(stop).await {
                return Ok(removed);
            }
        }
    }
    for rows in Aged::ALL {
        let before = match rows {
            Aged::OutboundMessages | Aged::Effects => guards_due,
            Aged::SyncLog | Aged::ScheduledRuns | Aged::VendorUsage => due,
        };
        loop {
            let count = aged(&db.client().await?, rows, before).await?;
            removed += count;
            count_removed(rows.table(), count);
            if count < BATCH.unsigned_abs() {
                break;
            }
            if rested(stop).await {
                return Ok(removed);
            }
        }
    }
    Ok(removed)
}

fn count_removed(table: &'static str, count: u64) {
    metrics::counter!("retention_deleted_total", "table" => table).increment(count);
}

/// Rests; true when the daemon stops.
async fn rested(stop: &CancellationToken) -> bool {
    tokio::time::timeout(REST, stop.cancelled()).await.is_ok()
}
