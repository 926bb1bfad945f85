//! Looking at stored events: pages for the operator's lists, and what waits,
//! for health and meters. Reads only.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::StoreError;
use crate::domain::EventTable;

/// Which rows of `webhook_events` are wanted; `None` is "any".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Exact `source`.
    pub source: Option<&'static str>,
    /// Exact `status`.
    pub status: Option<&'static str>,
    /// Exact `entity_id`.
    pub entity_id: Option<String>,
    /// Only rows that arrived before this one.
    pub before_seq: Option<i64>,
    /// Received at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Received before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// One row of `webhook_events`.
#[derive(Clone, Debug)]
pub struct WebhookRow {
    /// Primary key.
    pub id: Uuid,
    /// Arrival order.
    pub seq: i64,
    /// When it was accepted.
    pub received_at: DateTime<Utc>,
    /// Who sent it.
    pub source: String,
    /// The vendor's event name.
    pub event_type: String,
    /// What kind of thing it is about.
    pub entity_type: String,
    /// The thing's id.
    pub entity_id: String,
    /// Where it stands.
    pub status: String,
    /// Why it failed last.
    pub error_message: Option<String>,
    /// When it was closed.
    pub processed_at: Option<DateTime<Utc>>,
    /// The body; `None` when it is larger than a list should carry.
    pub payload: Option<Value>,
}

/// One row of `texting_webhook_events`.
#[derive(Clone, Debug)]
pub struct TextingRow {
    /// Primary key.
    pub id: Uuid,
    /// When it was accepted.
    pub received_at: DateTime<Utc>,
    /// The vendor's event name.
    pub event_type: String,
    /// The message's or conversation's id.
    pub entity_id: Option<String>,
    /// Where it stands.
    pub status: String,
    /// Why it failed last.
    pub error_message: Option<String>,
    /// The sender.
    pub from_number: Option<String>,
    /// The recipient.
    pub to_number: Option<String>,
    /// The body, when it was asked for.
    pub payload: Option<Value>,
}

/// What waits in one table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog {
    /// Unfinished events, counted up to a hundred thousand.
    pub pending: i64,
    /// Age of the oldest that waits, in seconds.
    pub oldest_waiting: Option<f64>,
    /// Age of the oldest that is being processed, in seconds.
    pub oldest_processing: Option<f64>,
}

impl Backlog {
    /// Age of the oldest unfinished event, in seconds.
    pub fn oldest_seconds(&self) -> Option<f64> {
        [self.oldest_waiting, self.oldest_processing]
            .into_iter()
            .flatten()
            .reduce(f64::max)
    }
}

/// Lanes by state, counted up to a hundred thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Held by a worker.
    pub leased: i64,
    /// Runnable now.
    pub ready: i64,
    /// Waiting for their time.
    pub waiting: i64,
}

// 64 KiB a payload and 500 rows bound the memory of one answer.
const WEBHOOK: &str = "
SELECT id, seq, received_at, source, event_type, entity_type, entity_id, status, error_message, processed_at,
       CASE WHEN octet_length(payload_json::text) <= 65536 THEN payload_json END
  FROM webhook_events
 WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR status = $2)
   AND ($3::text IS NULL OR entity_id = $3) AND ($4::bigint IS NULL OR seq < $4)
   AND ($5::timestamptz IS NULL OR received_at >= $5) AND ($6::timestamptz IS NULL OR received_at < $6)
 ORDER BY seq DESC LIMIT $7";

const TEXTING: &str = "
SELECT id, received_at, event_type, entity_id, status, error_message, from_number, to_number,
       CASE WHEN $2 THEN payload_json END
  FROM texting_webhook_events WHERE ($1::text IS NULL OR status = $1)
 ORDER BY seq DESC LIMIT $3";

// Bounded, so that looking stays cheap however much waits. Differences of epochs,
// for a subtraction of times fails on an infinite one that somebody typed.
const BACKLOG: &str = "
SELECT count(*), (extract(epoch FROM now()) - extract(epoch FROM min(received_at) FILTER (WHERE status = 'pending')))::float8,
       (extract(epoch FROM now()) - extract(epoch FROM min(received_at) FILTER (WHERE status = 'processing')))::float8
  FROM (SELECT received_at, status FROM webhook_events
         WHERE processed_at IS NULL AND status IN ('pending', 'processing') LIMIT 100000) open";
const TEXTING_BACKLOG: &str = "
SELECT count(*), (extract(epoch FROM now()) - extract(epoch FROM min(received_at) FILTER (WHERE status = 'pending')))::float8,
       (extract(epoch FROM now()) - extract(epoch FROM min(received_at) FILTER (WHERE status = 'processing')))::float8
  FROM (SELECT received_at, status FROM texting_webhook_events
         WHERE processed_at IS NULL AND status IN ('pending', 'processing') LIMIT 100000) open";
const LANES: &str = "
SELECT count(*) FILTER (WHERE owner IS NOT NULL AND ready_at > now()), count(*) FILTER (WHERE ready_at <= now()),
       count(*) FILTER (WHERE owner IS NULL AND ready_at > now())
  FROM (SELECT owner, ready_at FROM event_lanes LIMIT 100000) l";

const IS_QUARANTINED: &str =
    "SELECT EXISTS (SELECT 1 FROM quarantine_events WHERE event_id = $1 AND event_source = $2)";

/// A page of `webhook_events`, newest first.
///
/// # Errors
/// Any statement failure.
pub async fn webhook<C: GenericClient>(client: &C, wanted: &Wanted, limit: i64) -> Result<Vec<WebhookRow>, StoreError> {
    let statement = client.prepare_cached(WEBHOOK).await?;
    let rows = client
        .query(
            &statement,
            &[
                &wanted.source,
                &wanted.status,
                &wanted.entity_id,
                &wanted.before_seq,
                &wanted.since,
                &wanted.until,
                &limit,
            ],
        )
        .await?;
    Ok(rows.iter().map(webhook_row).collect())
}

fn webhook_row(row: &Row) -> WebhookRow {
    WebhookRow {
        id: row.get(0),
        seq: row.get(1),
        received_at: row.get(2),
        source: row.get(3),
        event_type: row.get(4),
        entity_type: row.get(5),
        entity_id: row.get(6),
        status: row.get(7),
        error_message: row.get(8),
        processed_at: row.get(9),
        payload: row.get(10),
    }
}

/// The latest of `texting_webhook_events`, newest first.
///
/// # Errors
/// Any statement failure.
pub async fn texting<C: GenericClient>(
    client: &C,
    status: Option<&'static str>,
    with_payload: bool,
    limit: i64,
) -> Result<Vec<TextingRow>, StoreError> {
    let statement = client.prepare_cached(TEXTING).await?;
    let rows = client.query(&statement, &[&status, &with_payload, &limit]).await?;
    Ok(rows
        .iter()
        .map(|row| TextingRow {
            id: row.get(0),
            received_at: row.get(1),
            event_type: row.get(2),
            entity_id: row.get(3),
            status: row.get(4),
            error_message: row.get(5),
            from_number: row.get(6),
            to_number: row.get(7),
            payload: row.get(8),
        })
        .collect())
}

/// Whether an event was set aside.
///
/// # Errors
/// Any statement failure.
pub async fn is_quarantined<C: GenericClient>(client: &C, id: Uuid, table: EventTable) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(IS_QUARANTINED).await?;
    let row = client
        .query_one(&statement, &[&id.to_string(), &table.as_str()])
        .await?;
    Ok(row.get(0))
}

/// What waits in one table.
///
/// # Errors
/// Any statement failure.
pub async fn backlog<C: GenericClient>(client: &C, table: EventTable) -> Result<Backlog, StoreError> {
    let text = match table {
        EventTable::Webhook => BACKLOG,
        EventTable::Texting => TEXTING_BACKLOG,
    };
    let statement = client.prepare_cached(text).await?;
    let row = client.query_one(&statement, &[]).await?;
    Ok(Backlog {
        pending: row.get(0),
        oldest_waiting: row.get::<_, Option<f64>>(1).map(|age| age.max(0.0)),
        oldest_processing: row.get::<_, Option<f64>>(2).map(|age| age.max(0.0)),
    })
}

/// The lanes by state.
///
/// # Errors
/// Any statement failure.
pub async fn lanes<C: GenericClient>(client: &C) -> Result<Lanes, StoreError> {
    let statement = client.prepare_cached(LANES).await?;
    let row = client.query_one(&statement, &[]).await?;
    Ok(Lanes {
        leased: row.get(0),
        ready: row.get(1),
        waiting: row.get(2),
    })
}

/// Sees whether PostgreSQL answers.
///
/// # Errors
/// Any statement failure.
pub async fn ping<C: GenericClient>(client: &C) -> Result<(), StoreError> {
    client.batch_execute("").await?;
    Ok(())
}
