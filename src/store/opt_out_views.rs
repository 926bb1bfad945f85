//! Consent as people look at it: one number with everything about it, the texts
//! that wait for a decision, all blocked numbers, and the whole evidence.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

use super::StoreError;
use crate::domain::Phone;

/// What one source said for one cause, as it stands now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Why.
    pub cause: String,
    /// Who said so.
    pub source: String,
    /// Whether it blocks now.
    pub active: bool,
    /// Of the block, or of the lift if it was lifted.
    pub reason: Option<String>,
    /// Who lifted it.
    pub lifted_by: Option<String>,
    /// When it was blocked or lifted.
    pub changed_at: DateTime<Utc>,
}

const BLOCKS: &str = "
SELECT cause, source, active, reason, lifted_by, changed_at FROM optout_blocks WHERE phone_number = $1
 ORDER BY active DESC, changed_at DESC, cause, source";

/// Every block of a number, the active ones first.
///
/// # Errors
/// Any statement failure.
pub async fn blocks<C: GenericClient>(client: &C, phone: &Phone) -> Result<Vec<Block>, StoreError> {
    let statement = client.prepare_cached(BLOCKS).await?;
    let rows = client.query(&statement, &[&phone.as_str()]).await?;
    let read = |row: &Row| Block {
        cause: row.get(0),
        source: row.get(1),
        active: row.get(2),
        reason: row.get(3),
        lifted_by: row.get(4),
        changed_at: row.get(5),
    };
    Ok(rows.iter().map(read).collect())
}

/// The effective row of a number, as the seed's readers see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// Whose.
    pub phone: String,
    /// `opted_out` or `opted_in`.
    pub status: String,
    /// Who said so.
    pub source: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub last_event_at: DateTime<Utc>,
}

// By the index on status: there are far more numbers than anybody reads.
const BLOCKED: &str = "
SELECT phone_number, status, source, reason, last_event_at FROM optout_registry
 WHERE status = 'opted_out' ORDER BY last_event_at DESC, phone_number LIMIT $1";

fn effective(row: &Row) -> Effective {
    Effective {
        phone: row.get(0),
        status: row.get(1),
        source: row.get(2),
        reason: row.get(3),
        last_event_at: row.get(4),
    }
}

/// The numbers that are opted out, the latest first.
///
/// # Errors
/// Any statement failure.
pub async fn blocked<C: GenericClient>(client: &C, limit: i64) -> Result<Vec<Effective>, StoreError> {
    let statement = client.prepare_cached(BLOCKED).await?;
    let rows = client.query(&statement, &[&limit]).await?;
    Ok(rows.iter().map(effective).collect())
}

const LAST_CHANGE: &str = "
SELECT greatest((SELECT max(changed_at) FROM optout_blocks WHERE phone_number = $1),
                (SELECT last_event_at FROM optout_registry WHERE phone_number = $1))";

/// The newest of all events of a number's consent, by the provider's clock.
///
/// # Errors
/// Any statement failure.
pub async fn last_change<C: GenericClient>(client: &C, phone: &Phone) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement = client.prepare_cached(LAST_CHANGE).await?;
    Ok(client.query_one(&statement, &[&phone.as_str()]).await?.get(0))
}

/// One event of somebody's consent.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// Order of writing.
    #[serde(skip)]
    pub id: i64,
    /// Whose.
    #[serde(skip)]
    pub phone: String,
    /// Why.
    pub cause: String,
    /// `block` or `lift`.
    pub action: String,
    /// Who said so.
    pub source: String,
    /// In short.
    pub reason: Option<String>,
    /// In the consumer's own words, or the evidence a person gave.
    pub evidence: Option<String>,
    /// The people who decided.
    pub decided_by: Option<String>,
    /// By the provider's clock.
    pub occurred_at: DateTime<Utc>,
    /// By the database's.
    pub recorded_at: DateTime<Utc>,
}

const HISTORY: &str = "
SELECT id, phone_number, cause, action, source, reason, evidence, decided_by, occurred_at, recorded_at FROM optout_history
 WHERE phone_number = $1 ORDER BY occurred_at, id";
const EVIDENCE: &str = "
SELECT id, phone_number, cause, action, source, reason, evidence, decided_by, occurred_at, recorded_at FROM optout_history
 WHERE id > $1 ORDER BY id LIMIT $2";

fn past(row: &Row) -> Past {
    Past {
        id: row.get(0),
        phone: row.get(1),
        cause: row.get(2),
        action: row.get(3),
        source: row.get(4),
        reason: row.get(5),
        evidence: row.get(6),
        decided_by: row.get(7),
        occurred_at: row.get(8),
        recorded_at: row.get(9),
    }
}

/// The history of a number, oldest first.
///
/// # Errors
/// Any statement failure.
pub async fn history<C: GenericClient>(client: &C, phone: &Phone) -> Result<Vec<Past>, StoreError> {
    let statement = client.prepare_cached(HISTORY).await?;
    let rows = client.query(&statement, &[&phone.as_str()]).await?;
    Ok(rows.iter().map(past).collect())
}

/// A page of everybody's history in the order of its writing, after the row `after`.
///
/// # Errors
/// Any statement failure.
pub async fn evidence<C: GenericClient>(client: &C, after: i64, limit: i64) -> Result<Vec<Past>, StoreError> {
    let statement = client.prepare_cached(EVIDENCE).await?;
    let rows = client.query(&statement, &[&after, &limit]).await?;
    Ok(rows.iter().map(past).collect())
}

/// A system that was to be told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// `ghl` or `aloware`.
    pub system: String,
    /// `block` or `lift`.
    pub action: String,
    /// Since when.
    pub requested_at: DateTime<Utc>,
    /// Since when it is known to be in place.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// What the vendor showed.
    pub confirmation: Option<Value>,
    /// Why it was not needed.
    pub waived: Option<String>,
}

const TOLD: &str = "
SELECT system, action, requested_at, confirmed_at, confirmation, waived FROM optout_deliveries
 WHERE phone_number = $1 ORDER BY requested_at, system DESC";

/// Who was to be told of a number, oldest first.
///
/// # Errors
/// Any statement failure.
pub async fn told<C: GenericClient>(client: &C, phone: &Phone) -> Result<Vec<Told>, StoreError> {
    let statement = client.prepare_cached(TOLD).await?;
    let rows = client.query(&statement, &[&phone.as_str()]).await?;
    let read = |row: &Row| Told {
        system: row.get(0),
        action: row.get(1),
        requested_at: row.get(2),
        confirmed_at: row.get(3),
        confirmation: row.get(4),
        waived: row.get(5),
    };
    Ok(rows.iter().map(read).collect())
}
