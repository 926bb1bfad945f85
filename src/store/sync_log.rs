//! `sync_log` rows of work outside the queue; the queue writes its own with
//! the results it stores.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::StoreError;
use crate::domain::LogEntry;

const INSERT: &str = "
INSERT INTO sync_log (id, direction, entity_type, entity_id, source_id, target_id, status, started_at, finished_at,
                      error_message, correlation_id, decisions)
VALUES ($10, $1, $2, $3, $3, $4, $5, $6, now(), $7, $8, $9)";

/// Stores what a piece of work did.
///
/// # Errors
/// Any statement failure.
pub async fn insert<C: GenericClient>(
    client: &C,
    entries: &[LogEntry],
    correlation_id: &str,
    started_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(INSERT).await?;
    for entry in entries {
        client
            .execute(
                &statement,
                &[
                    &entry.flow.as_str(),
                    &entry.entity_type,
                    &entry.entity_id,
                    &entry.target_id,
                    &entry.status.as_str(),
                    &started_at,
                    &entry.message,
                    &correlation_id,
                    &entry.decisions,
                    // Time-ordered: retention finds the old ones by it.
                    &Uuid::now_v7(),
                ],
            )
            .await?;
    }
    Ok(())
}
