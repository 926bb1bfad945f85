//! The pieces of texts that a vendor delivers in pieces. They share an
//! `entity_id`, which senders use again after a while.

use chrono::{DateTime, TimeDelta, Utc};
use deadpool_postgres::GenericClient;
use serde_json::Value;
use uuid::Uuid;

use super::StoreError;

/// Pieces that came further apart are not of one text.
const APART: TimeDelta = TimeDelta::hours(1);

// Two daemons that each store one piece must not overlook each other's. Sorted, so
// that two batches cannot deadlock.
const LOCK: &str = "
SELECT pg_advisory_xact_lock(hashtextextended(e, 1)) FROM (SELECT DISTINCT e FROM unnest($1::text[]) e ORDER BY e) s";

const AROUND: &str = "
SELECT id, entity_id, received_at, payload_json::text, dedupe_key FROM texting_webhook_events
 WHERE entity_id = ANY ($1) AND received_at BETWEEN $2 AND $3 ORDER BY seq";

/// One stored piece.
#[derive(Clone, Debug)]
pub struct StoredPiece {
    /// The event's id.
    pub id: Uuid,
    /// What the pieces of one text have in common.
    pub entity_id: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// The event's payload.
    pub payload: Value,
    /// What makes a redelivery the same one.
    pub dedupe_key: String,
}

/// Holds the texts of these ids to the transaction's end.
///
/// # Errors
/// Any statement failure.
pub async fn lock<C: GenericClient>(transaction: &C, texts: &[&str]) -> Result<(), StoreError> {
    let statement = transaction.prepare_cached(LOCK).await?;
    transaction.execute(&statement, &[&texts]).await?;
    Ok(())
}

/// The stored pieces of these texts that came around this time, oldest first.
///
/// # Errors
/// Any statement failure.
pub async fn around<C: GenericClient>(
    client: &C,
    texts: &[&str],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<StoredPiece>, StoreError> {
    let statement = client.prepare_cached(AROUND).await?;
    let rows = client
        .query(&statement, &[&texts, &(from - APART), &(to + APART)])
        .await?;
    let pieces = rows.iter().filter_map(|row| {
        Some(StoredPiece {
            id: row.get(0),
            entity_id: row.get(1),
            received_at: row.get(2),
            // What we cannot read is no piece that we stored.
            payload: serde_json::from_str(row.get(3)).ok()?,
            dedupe_key: row.get(4),
        })
    });
    Ok(pieces.collect())
}
