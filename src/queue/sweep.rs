//! Rows typed by hand: an `INSERT` or `UPDATE … SET status = 'pending'` in psql
//! makes no lane; the sweep makes it.

use std::sync::Arc;

use deadpool_postgres::GenericClient;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::EventTable;
use crate::store::StoreError;

/// Computes the lane of a stored delivery: source, entity type, entity id, payload.
pub type KeyOf = Arc<dyn Fn(&str, &str, &str, &Value) -> i64 + Send + Sync>;

const KEYLESS: &str = "
SELECT 'webhook' AS tbl, id, source, entity_type, entity_id, payload_json FROM webhook_events
 WHERE processed_at IS NULL AND order_key IS NULL AND status IN ('pending', 'processing')
UNION ALL
SELECT 'texting', id, 'texting', entity_type, coalesce(entity_id, ''), payload_json FROM texting_webhook_events
 WHERE processed_at IS NULL AND order_key IS NULL AND status IN ('pending', 'processing')
 LIMIT 500";

const SET_KEYS_WEB: &str = "
UPDATE webhook_events e SET order_key = k.key FROM unnest($1::uuid[], $2::bigint[]) AS k(id, key)
 WHERE e.id = k.id AND e.order_key IS NULL";
const SET_KEYS_TXT: &str = "
UPDATE texting_webhook_events e SET order_key = k.key FROM unnest($1::uuid[], $2::bigint[]) AS k(id, key)
 WHERE e.id = k.id AND e.order_key IS NULL";

const LANELESS: &str = "
INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq)
SELECT o.order_key, now(), min(o.seq), max(o.seq) FROM (
    SELECT order_key, seq FROM webhook_events
     WHERE processed_at IS NULL AND order_key IS NOT NULL AND status IN ('pending', 'processing')
    UNION ALL
    SELECT order_key, seq FROM texting_webhook_events
     WHERE processed_at IS NULL AND order_key IS NOT NULL AND status IN ('pending', 'processing')) o
 WHERE NOT EXISTS (SELECT 1 FROM event_lanes l WHERE l.key = o.order_key)
 GROUP BY o.order_key ORDER BY o.order_key
ON CONFLICT (key) DO UPDATE SET tail_seq = greatest(event_lanes.tail_seq, excluded.tail_seq),
                                head_seq = least(event_lanes.head_seq, excluded.head_seq),
                                arrivals = event_lanes.arrivals + 1";

/// Gives every open row a key and every key with open rows a lane. Answers the
/// number of lanes made.
///
/// # Errors
/// Any statement failure.
pub(crate) async fn sweep<C: GenericClient>(client: &C, key_of: &KeyOf) -> Result<u64, StoreError> {
    let keyless = client.prepare_cached(KEYLESS).await?;
    let rows = client.query(&keyless, &[]).await?;
    for (table, text) in [(EventTable::Webhook, SET_KEYS_WEB), (EventTable::Texting, SET_KEYS_TXT)] {
        let (ids, keys): (Vec<Uuid>, Vec<i64>) = rows
            .iter()
            .filter(|row| row.get::<_, &str>(0) == table.as_str())
            .map(|row| {
                // jsonb holds what we do not read: such a row runs, too, and fails there.
                let payload: Value = row.try_get(5).unwrap_or(Value::Null);
                (
                    row.get::<_, Uuid>(1),
                    key_of(row.get(2), row.get(3), row.get(4), &payload),
                )
            })
            .unzip();
        if !ids.is_empty() {
            let statement = client.prepare_cached(text).await?;
            client.execute(&statement, &[&ids, &keys]).await?;
        }
    }
    let laneless = client.prepare_cached(LANELESS).await?;
    Ok(client.execute(&laneless, &[]).await?)
}
