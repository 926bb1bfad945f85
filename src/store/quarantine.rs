//! Events an operator set aside: they are closed unrun.

use deadpool_postgres::GenericClient;

use super::StoreError;
use crate::domain::EventTable;

const ADD: &str = "
INSERT INTO quarantine_events (event_id, event_source, reason, quarantined_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (event_id, event_source) DO UPDATE SET reason = excluded.reason, quarantined_by = excluded.quarantined_by";
const REMOVE: &str = "DELETE FROM quarantine_events WHERE event_id = $1 AND event_source = $2";

/// Sets an event aside; a second time replaces the reason.
///
/// # Errors
/// Any statement failure.
pub async fn add<C: GenericClient>(
    client: &C,
    event_id: &str,
    table: EventTable,
    reason: &str,
    by: Option<&str>,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(ADD).await?;
    client
        .execute(&statement, &[&event_id, &table.as_str(), &reason, &by])
        .await?;
    Ok(())
}

/// Lets an event run again; answers whether it had been set aside.
///
/// # Errors
/// Any statement failure.
pub async fn remove<C: GenericClient>(client: &C, event_id: &str, table: EventTable) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(REMOVE).await?;
    Ok(client.execute(&statement, &[&event_id, &table.as_str()]).await? > 0)
}
