//! That another system was told of an opt-out, and what it answered: a row per
//! event and system, open until the vendor showed that it is in place.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use serde_json::Value;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Event, Move, Phone, Source};

const REQUEST: &str = "
INSERT INTO optout_deliveries (event_id, system, phone_number, action, requested_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (event_id, system) DO NOTHING";

const CONFIRM: &str = "
UPDATE optout_deliveries SET confirmed_at = now(), confirmation = $3, waived = NULL WHERE event_id = $1 AND system = $2";

const WAIVE: &str = "
UPDATE optout_deliveries SET waived = $2 WHERE event_id = $1 AND confirmed_at IS NULL AND system = coalesce($3, system)";

const DIALER: &str = "
SELECT coalesce((SELECT confirmation @> '{\"isDnc\": true}' FROM optout_deliveries
                  WHERE phone_number = $1 AND system = 'aloware' AND action = 'block' AND confirmed_at IS NOT NULL
                  ORDER BY confirmed_at DESC LIMIT 1), false)";

const OPEN: &str = "SELECT count(*) FROM optout_deliveries WHERE confirmed_at IS NULL AND waived IS NULL";

/// Notes that a system is to be told, since the event came.
///
/// # Errors
/// Any statement failure.
pub async fn request<C: GenericClient>(
    client: &C,
    event: &Event,
    system: Source,
    phone: &Phone,
    action: Move,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(REQUEST).await?;
    let since: DateTime<Utc> = event.received_at;
    let columns = (system.as_str(), phone.as_str(), action.as_str());
    client
        .execute(&statement, &[&event.id, &columns.0, &columns.1, &columns.2, &since])
        .await?;
    Ok(())
}

/// Notes what the system showed; `proof` is free of personal data.
///
/// # Errors
/// Any statement failure.
pub async fn confirm<C: GenericClient>(
    client: &C,
    event: Uuid,
    system: Source,
    proof: &Value,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(CONFIRM).await?;
    client.execute(&statement, &[&event, &system.as_str(), proof]).await?;
    Ok(())
}

/// Notes why a system (all of them: `None`) need not be told after all.
///
/// # Errors
/// Any statement failure.
pub async fn waive<C: GenericClient>(
    client: &C,
    event: Uuid,
    system: Option<Source>,
    why: &str,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(WAIVE).await?;
    client
        .execute(&statement, &[&event, &why, &system.map(Source::as_str)])
        .await?;
    Ok(())
}

/// Whether do-not-call was set in Aloware when it was last told of this number.
///
/// # Errors
/// Any statement failure.
pub async fn dialer_was_told<C: GenericClient>(client: &C, phone: &Phone) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(DIALER).await?;
    Ok(client.query_one(&statement, &[&phone.as_str()]).await?.get(0))
}

/// How many systems have yet to show that they know.
///
/// # Errors
/// Any statement failure.
pub async fn unconfirmed<C: GenericClient>(client: &C) -> Result<i64, StoreError> {
    let statement = client.prepare_cached(OPEN).await?;
    Ok(client.query_one(&statement, &[]).await?.get(0))
}
