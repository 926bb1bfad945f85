//! What else a vendor has told about the same thing: the other deliveries of a
//! call. They are the memory of its story, so there is no table of calls.

use deadpool_postgres::GenericClient;
use serde_json::Value;
use uuid::Uuid;

use super::StoreError;

/// Another delivery about the same thing.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// The vendor's name for it.
    pub event_type: String,
    /// The delivery.
    pub payload: Value,
    /// Whether it has not been run to its end.
    pub open: bool,
}

// The newest ones: a call has half a dozen. `+ 0`: the planner shall not walk down
// the index of `seq` in search of them. What an operator set aside tells nothing.
const OF_THING: &str = "
SELECT seq, event_type, payload_json, processed_at IS NULL FROM webhook_events e
 WHERE entity_type = ANY ($1) AND entity_id = $2 AND source = $3 AND id <> $4
   AND NOT EXISTS (SELECT 1 FROM quarantine_events q WHERE q.event_id = e.id::text AND q.event_source = 'webhook')
 ORDER BY seq + 0 DESC LIMIT 24";

/// The other deliveries of a source about a thing, under any of its entity types.
///
/// # Errors
/// Any statement failure.
pub async fn of_thing<C: GenericClient>(
    client: &C,
    source: &str,
    entity_types: &[&str],
    entity_id: &str,
    except: Uuid,
) -> Result<Vec<Sibling>, StoreError> {
    let statement = client.prepare_cached(OF_THING).await?;
    let rows = client
        .query(&statement, &[&entity_types, &entity_id, &source, &except])
        .await?;
    // A payload beyond what can be read ends its own event, not this one.
    Ok(rows
        .iter()
        .filter_map(|row| {
            Some(Sibling {
                seq: row.get(0),
                event_type: row.get(1),
                payload: row.try_get(2).ok()?,
                open: row.get(3),
            })
        })
        .collect())
}
