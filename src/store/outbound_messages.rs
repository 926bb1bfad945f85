//! Every text we were asked to send, written in the transaction that cleared it.

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::StoreError;
use crate::domain::Phone;

const OPEN: &str = "
INSERT INTO outbound_messages (id, to_number, from_number, state, reason, correlation_id, segments, created_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), CASE WHEN $4 = 'refused' THEN clock_timestamp() END)";
const CLOSE: &str = "
UPDATE outbound_messages SET state = $2, reason = $3, vendor_id = $4, finished_at = now()
 WHERE id = $1 AND state = 'sending'";

const UNDER_WAY: &str = "
SELECT EXISTS (SELECT 1 FROM outbound_messages WHERE to_number = ANY ($1) AND state = 'sending'
                  AND created_at > clock_timestamp() - interval '1 minute')";

const LATEST: &str = "
SELECT state, vendor_id FROM outbound_messages WHERE correlation_id = $1 ORDER BY created_at DESC LIMIT 1";

const REFERENCE: &str = "SELECT correlation_id FROM outbound_messages WHERE vendor_id = $1 LIMIT 1";

/// Our reference of the text that the vendor knows by this id.
///
/// # Errors
/// Any statement failure.
pub async fn reference_of<C: GenericClient>(client: &C, vendor_id: &str) -> Result<Option<String>, StoreError> {
    let statement = client.prepare_cached(REFERENCE).await?;
    let row = client.query_opt(&statement, &[&vendor_id]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// The state and vendor id of the latest send under a reference.
///
/// # Errors
/// Any statement failure.
pub async fn latest<C: GenericClient>(
    client: &C,
    correlation_id: &str,
) -> Result<Option<(String, Option<String>)>, StoreError> {
    let statement = client.prepare_cached(LATEST).await?;
    let row = client.query_opt(&statement, &[&correlation_id]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// A text that somebody wants sent, as it is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// Ours.
    pub id: Uuid,
    /// To whom.
    pub to: &'a Phone,
    /// Our number, if one was named.
    pub from: Option<&'a str>,
    /// Our reference of it.
    pub correlation_id: Option<&'a str>,
    /// Its parts.
    pub segments: u32,
}

/// Records a send that was cleared (`sending`) or `refused` for a reason.
///
/// # Errors
/// Any statement failure: the text must then not be sent.
pub async fn open<C: GenericClient>(client: &C, text: &Opened<'_>, refused: Option<&str>) -> Result<(), StoreError> {
    let state = if refused.is_some() { "refused" } else { "sending" };
    let segments = i32::try_from(text.segments).unwrap_or(i32::MAX);
    let statement = client.prepare_cached(OPEN).await?;
    client
        .execute(
            &statement,
            &[
                &text.id,
                &text.to.as_str(),
                &text.from,
                &state,
                &refused,
                &text.correlation_id,
                &segments,
            ],
        )
        .await?;
    Ok(())
}

/// Whether a text to one of these numbers is with the vendor right now. One
/// whose daemon died over it stays so in the table; no call takes that long.
///
/// # Errors
/// Any statement failure.
pub async fn under_way<C: GenericClient>(client: &C, phones: &[&str]) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(UNDER_WAY).await?;
    let row = client.query_one(&statement, &[&phones]).await?;
    Ok(row.get(0))
}

/// Records how a cleared send ended: `sent`, `failed`, or `unknown` when the
/// vendor may have taken it.
///
/// # Errors
/// Any statement failure.
pub async fn close<C: GenericClient>(
    client: &C,
    id: Uuid,
    state: &str,
    reason: Option<&str>,
    vendor_id: Option<&str>,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(CLOSE).await?;
    client.execute(&statement, &[&id, &state, &reason, &vendor_id]).await?;
    Ok(())
}
