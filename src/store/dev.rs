//! What `df-middleware dev` shows of the tables, and how it begins with empty
//! ones. Only that command may use this: it owns its whole database.

use deadpool_postgres::GenericClient;
use serde_json::Value;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Phone, TextDirection};

/// A stored delivery, without its payload.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Primary key; `sync_log.correlation_id` of its runs.
    pub id: Uuid,
    /// Arrival order over both tables.
    pub seq: i64,
    /// The vendor it came from.
    pub source: String,
    /// The vendor's own event name.
    pub event_type: String,
    /// `pending`, `processing`, `done` or `error`.
    pub status: String,
    /// GHL's id of the delivery, where there is one.
    pub webhook_id: Option<String>,
}

/// One row of `sync_log`.
#[derive(Clone, Debug)]
pub struct LogRow {
    /// Primary key.
    pub id: Uuid,
    /// The event whose run it tells of.
    pub event: String,
    /// Which way data went.
    pub direction: String,
    /// What was synchronised.
    pub entity_type: String,
    /// `success`, `error` or `skipped`.
    pub status: String,
    /// The id of the written counterpart.
    pub target_id: Option<String>,
    /// Reason or information.
    pub message: Option<String>,
    /// Field decisions of a merge.
    pub decisions: Option<Value>,
}

/// What the registry says of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// `opted_out` or `opted_in`; `None` for a number without a row.
    pub status: Option<String>,
    /// The causes that block it now, in alphabetical order.
    pub causes: Vec<String>,
}

const EMPTY: &str = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";

const EVENTS: &str = "
SELECT id, seq, source, event_type, status, payload_json ->> 'webhookId' FROM webhook_events WHERE seq > $1
UNION ALL
SELECT id, seq, 'texting', event_type, status, NULL FROM texting_webhook_events WHERE seq > $1
 ORDER BY seq";

const LOG: &str = "
SELECT id, correlation_id, direction, entity_type, status, target_id, error_message, decisions
  FROM sync_log WHERE correlation_id = ANY ($1) ORDER BY finished_at, entity_id";

const BY_STATUS: &str = "
SELECT status, count(*) FROM (SELECT status FROM webhook_events UNION ALL SELECT status FROM texting_webhook_events) e
 GROUP BY status ORDER BY status";

const CONSENT: &str = "
SELECT (SELECT status FROM optout_registry WHERE phone_number = $1),
       ARRAY(SELECT cause FROM optout_blocks WHERE phone_number = $1 AND active ORDER BY cause)";

const MESSAGE: &str = "
SELECT direction FROM message_mappings WHERE texting_message_id = $1 AND ghl_contact_id = $2 AND ghl_message_id IS NOT NULL";

/// Throws everything in the connected database away.
///
/// # Errors
/// Any statement failure.
pub async fn start_over<C: GenericClient>(client: &C) -> Result<(), StoreError> {
    Ok(client.batch_execute(EMPTY).await?)
}

/// Every event stored after `seq`, in order of arrival.
///
/// # Errors
/// Any statement failure.
pub async fn events_after<C: GenericClient>(client: &C, seq: i64) -> Result<Vec<StoredEvent>, StoreError> {
    let statement = client.prepare_cached(EVENTS).await?;
    let rows = client.query(&statement, &[&seq]).await?;
    Ok(rows
        .iter()
        .map(|row| StoredEvent {
            id: row.get(0),
            seq: row.get(1),
            source: row.get(2),
            event_type: row.get(3),
            status: row.get(4),
            webhook_id: row.get(5),
        })
        .collect())
}

/// What the runs of these events logged, first one first.
///
/// # Errors
/// Any statement failure.
pub async fn log_of<C: GenericClient>(client: &C, events: &[StoredEvent]) -> Result<Vec<LogRow>, StoreError> {
    let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
    let statement = client.prepare_cached(LOG).await?;
    let rows = client.query(&statement, &[&ids]).await?;
    Ok(rows
        .iter()
        .map(|row| LogRow {
            id: row.get(0),
            event: row.get(1),
            direction: row.get(2),
            entity_type: row.get(3),
            status: row.get(4),
            target_id: row.get(5),
            message: row.get(6),
            decisions: row.get(7),
        })
        .collect())
}

/// How many events of both tables are in which state.
///
/// # Errors
/// Any statement failure.
pub async fn by_status<C: GenericClient>(client: &C) -> Result<Vec<(String, i64)>, StoreError> {
    let statement = client.prepare_cached(BY_STATUS).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What the registry says of a number.
///
/// # Errors
/// Any statement failure.
pub async fn consent<C: GenericClient>(client: &C, phone: &Phone) -> Result<Consent, StoreError> {
    let statement = client.prepare_cached(CONSENT).await?;
    let row = client.query_one(&statement, &[&phone.as_str()]).await?;
    Ok(Consent {
        status: row.get(0),
        causes: row.get(1),
    })
}

/// Which way a text went that is mapped to a message or note of this contact.
///
/// # Errors
/// Any statement failure.
pub async fn mapped_text<C: GenericClient>(
    client: &C,
    text: &str,
    ghl_contact: &str,
) -> Result<Option<TextDirection>, StoreError> {
    let statement = client.prepare_cached(MESSAGE).await?;
    let row = client.query_opt(&statement, &[&text, &ghl_contact]).await?;
    Ok(row.and_then(|row| TextDirection::parse(row.get::<_, Option<&str>>(0)?)))
}
