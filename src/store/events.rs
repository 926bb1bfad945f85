//! Reading and steering stored events, for the operator's routes. The queue's
//! own statements are in `queue/`.

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{EventStatus, EventTable};

/// Whether a guarded change found the row in a fitting state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Done.
    Yes,
    /// The row exists and its state forbids the change.
    Conflict(EventStatus),
    /// No such row.
    Missing,
}

const PENDING: &str = "
SELECT count(*) FROM webhook_events WHERE processed_at IS NULL AND status IN ('pending', 'processing')";
const TEXTING_PENDING: &str = "
SELECT count(*) FROM texting_webhook_events WHERE processed_at IS NULL AND status IN ('pending', 'processing')";

// Waiting lanes become due; lanes that a worker holds are left alone. A lane
// belongs to every table that has an open event in it.
const DUE_NOW: &str = "
WITH due AS (UPDATE event_lanes l SET ready_at = now() WHERE l.owner IS NULL AND l.ready_at > now()
   AND EXISTS (SELECT 1 FROM webhook_events e WHERE e.order_key = l.key AND e.processed_at IS NULL
                  AND e.status IN ('pending', 'processing')) RETURNING l.key)
SELECT count(*) FROM webhook_events e JOIN due ON e.order_key = due.key
 WHERE e.processed_at IS NULL AND e.status IN ('pending', 'processing')";
const TEXTING_DUE_NOW: &str = "
WITH due AS (UPDATE event_lanes l SET ready_at = now() WHERE l.owner IS NULL AND l.ready_at > now()
   AND EXISTS (SELECT 1 FROM texting_webhook_events e WHERE e.order_key = l.key AND e.processed_at IS NULL
                  AND e.status IN ('pending', 'processing')) RETURNING l.key)
SELECT count(*) FROM texting_webhook_events e JOIN due ON e.order_key = due.key
 WHERE e.processed_at IS NULL AND e.status IN ('pending', 'processing')";

const UNBLOCK: &str = "
UPDATE event_lanes l SET ready_at = now()
  FROM (SELECT order_key, seq FROM webhook_events WHERE id = $1 AND processed_at IS NULL
        UNION ALL SELECT order_key, seq FROM texting_webhook_events WHERE id = $1 AND processed_at IS NULL) e
 WHERE l.key = e.order_key AND l.owner IS NULL AND l.ready_at > now()
   AND NOT EXISTS (SELECT 1 FROM webhook_events o WHERE o.order_key = e.order_key AND o.seq < e.seq
                      AND o.processed_at IS NULL AND o.status IN ('pending', 'processing'))
   AND NOT EXISTS (SELECT 1 FROM texting_webhook_events o WHERE o.order_key = e.order_key AND o.seq < e.seq
                      AND o.processed_at IS NULL AND o.status IN ('pending', 'processing'))";

/// Unfinished events of one table.
///
/// # Errors
/// Any statement failure.
pub async fn pending<C: GenericClient>(client: &C, table: EventTable) -> Result<i64, StoreError> {
    let text = match table {
        EventTable::Webhook => PENDING,
        EventTable::Texting => TEXTING_PENDING,
    };
    let statement = client.prepare_cached(text).await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

/// Ends every back-off of one table's lanes now; answers how many of its events
/// had been waiting.
///
/// # Errors
/// Any statement failure.
pub async fn make_due<C: GenericClient>(client: &C, table: EventTable) -> Result<i64, StoreError> {
    let text = match table {
        EventTable::Webhook => DUE_NOW,
        EventTable::Texting => TEXTING_DUE_NOW,
    };
    let statement = client.prepare_cached(text).await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}

/// Which table holds this event, and its state.
///
/// # Errors
/// Any statement failure.
pub async fn locate<C: GenericClient>(client: &C, id: Uuid) -> Result<Option<(EventTable, EventStatus)>, StoreError> {
    let statement = client
        .prepare_cached(
            "SELECT 'webhook', status FROM webhook_events WHERE id = $1
             UNION ALL SELECT 'texting', status FROM texting_webhook_events WHERE id = $1",
        )
        .await?;
    let Some(row) = client.query_opt(&statement, &[&id]).await? else {
        return Ok(None);
    };
    let table = EventTable::parse(row.get(0)).ok_or(StoreError::Corrupt("table"))?;
    let status = EventStatus::parse(row.get(1)).ok_or(StoreError::Corrupt("status"))?;
    Ok(Some((table, status)))
}

// The lane is locked before the event, as the claim and the storing of results do.
/// Sets a finished event to pending, with its lane, so that it runs again; one
/// that waits for its next attempt is made due.
///
/// # Errors
/// Any statement failure.
pub async fn replay<C: GenericClient>(client: &C, id: Uuid) -> Result<Changed, StoreError> {
    let Some((table, status)) = locate(client, id).await? else {
        return Ok(Changed::Missing);
    };
    let name = table_name(table);
    let source = table.as_str();
    let text = format!(
        "WITH e AS MATERIALIZED (
           SELECT id, order_key, seq FROM {name} WHERE id = $1 AND status IN ('pending', 'done', 'error')
              AND NOT EXISTS (SELECT 1 FROM quarantine_events WHERE event_id = $1::text AND event_source = '{source}')),
         lane AS (
           INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq)
           SELECT order_key, now(), seq, seq FROM e WHERE order_key IS NOT NULL
           ON CONFLICT (key) DO UPDATE SET tail_seq = greatest(event_lanes.tail_seq, excluded.tail_seq),
                  head_seq = least(event_lanes.head_seq, excluded.head_seq), arrivals = event_lanes.arrivals + 1,
                  ready_at = CASE WHEN event_lanes.owner IS NULL THEN least(event_lanes.ready_at, excluded.ready_at)
                                  ELSE event_lanes.ready_at END
           RETURNING key),
         opened AS (
           UPDATE {name} SET status = 'pending'
            WHERE id = ANY (ARRAY(SELECT id FROM e WHERE (SELECT count(*) FROM lane) >= 0))
              AND status IN ('pending', 'done', 'error')
           RETURNING id)
         SELECT count(*) FROM opened"
    );
    let statement = client.prepare_cached(&text).await?;
    let changed: i64 = client.query_one(&statement, &[&id]).await?.get(0);
    Ok(if changed > 0 {
        Changed::Yes
    } else {
        Changed::Conflict(status)
    })
}

/// Ends the back-off of a lane that waits for this very event: it is not going
/// to run. The wait of an older event is left alone.
///
/// # Errors
/// Any statement failure.
pub async fn unblock<C: GenericClient>(client: &C, id: Uuid) -> Result<(), StoreError> {
    let statement = client.prepare_cached(UNBLOCK).await?;
    client.execute(&statement, &[&id]).await?;
    Ok(())
}

/// Closes an event unrun.
///
/// # Errors
/// Any statement failure.
pub async fn mark_done<C: GenericClient>(client: &C, id: Uuid) -> Result<Changed, StoreError> {
    let Some((table, _)) = locate(client, id).await? else {
        return Ok(Changed::Missing);
    };
    let text = format!(
        "UPDATE {} SET status = 'done', processed_at = now(), error_message = NULL WHERE id = $1",
        table_name(table)
    );
    let statement = client.prepare_cached(&text).await?;
    client.execute(&statement, &[&id]).await?;
    Ok(Changed::Yes)
}

fn table_name(table: EventTable) -> &'static str {
    match table {
        EventTable::Webhook => "webhook_events",
        EventTable::Texting => "texting_webhook_events",
    }
}
