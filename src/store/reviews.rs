//! Texts that may be a revocation and wait for a person.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use crate::domain::Phone;

/// A text that nobody has decided yet.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Whose.
    pub phone: Phone,
    /// Which channel brought it.
    pub source: String,
    /// Which rule sent it here.
    pub rule: Option<String>,
    /// The consumer's words.
    pub body: Option<String>,
    /// When it was written, by the provider's clock.
    pub occurred_at: DateTime<Utc>,
    /// When we got it: the time to decide runs from here.
    pub recorded_at: DateTime<Utc>,
}

const ALL: &str = "
SELECT phone_number, source, rule, body, occurred_at, recorded_at FROM optout_reviews ORDER BY recorded_at, phone_number";
const OF: &str = "
SELECT phone_number, source, rule, body, occurred_at, recorded_at FROM optout_reviews
 WHERE phone_number = $1 ORDER BY recorded_at";
const PENDING: &str = "
SELECT count(DISTINCT phone_number), extract(epoch FROM now() - min(recorded_at))::float8 FROM optout_reviews";

fn waiting(row: &Row) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        phone: Phone::from_e164(row.get(0)).ok_or(StoreError::Corrupt("optout_blocks.phone_number"))?,
        source: row.get(1),
        rule: row.get(2),
        body: row.get(3),
        occurred_at: row.get(4),
        recorded_at: row.get(5),
    })
}

/// Every text that waits, the oldest first.
///
/// # Errors
/// Any statement failure.
pub async fn all<C: GenericClient>(client: &C) -> Result<Vec<Waiting>, StoreError> {
    let statement = client.prepare_cached(ALL).await?;
    client.query(&statement, &[]).await?.iter().map(waiting).collect()
}

/// The texts of one number that wait, the oldest first.
///
/// # Errors
/// Any statement failure.
pub async fn of<C: GenericClient>(client: &C, phone: &Phone) -> Result<Vec<Waiting>, StoreError> {
    let statement = client.prepare_cached(OF).await?;
    let rows = client.query(&statement, &[&phone.as_str()]).await?;
    rows.iter().map(waiting).collect()
}

/// How many numbers wait, and for how many seconds the oldest text of theirs has.
///
/// # Errors
/// Any statement failure.
pub async fn pending<C: GenericClient>(client: &C) -> Result<(i64, f64), StoreError> {
    let statement = client.prepare_cached(PENDING).await?;
    let row = client.query_one(&statement, &[]).await?;
    Ok((row.get(0), row.get::<_, Option<f64>>(1).unwrap_or_default()))
}
