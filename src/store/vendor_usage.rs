//! How many calls were made to each vendor today, by all daemons together: the
//! vendors' daily limits are the account's, and outlive a restart.

use chrono::NaiveDate;
use deadpool_postgres::GenericClient;

use super::StoreError;
use crate::domain::Source;

/// Calls to a vendor on a UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// The vendor.
    pub vendor: Source,
    /// The day.
    pub day: NaiveDate,
    /// How many.
    pub count: u64,
}

const ADD: &str = "
WITH made AS (
  SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[]) WITH ORDINALITY AS m(vendor, day, calls, nth)),
added AS (
  INSERT INTO vendor_usage (vendor, day, calls) SELECT vendor, day, calls FROM made WHERE calls > 0 ORDER BY vendor
  ON CONFLICT (vendor, day) DO UPDATE SET calls = vendor_usage.calls + excluded.calls
  RETURNING vendor, day, calls)
SELECT coalesce(a.calls, u.calls, 0)
  FROM made m LEFT JOIN added a USING (vendor, day) LEFT JOIN vendor_usage u USING (vendor, day) ORDER BY m.nth";

const TODAY: &str = "
SELECT coalesce(sum(calls), 0)::bigint FROM vendor_usage WHERE vendor = $1 AND day = (now() AT TIME ZONE 'UTC')::date";

/// How many calls all daemons have made to a vendor on the current UTC day.
///
/// # Errors
/// Any statement failure.
pub async fn today<C: GenericClient>(client: &C, vendor: Source) -> Result<u64, StoreError> {
    let statement = client.prepare_cached(TODAY).await?;
    let row = client.query_one(&statement, &[&vendor.as_str()]).await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// Adds calls that were made; answers what all daemons made on those days, in
/// the order of `made`.
///
/// # Errors
/// Any statement failure; nothing was added then.
pub async fn add<C: GenericClient>(client: &C, made: &[Calls]) -> Result<Vec<u64>, StoreError> {
    let statement = client.prepare_cached(ADD).await?;
    let rows = client
        .query(
            &statement,
            &[
                &made.iter().map(|calls| calls.vendor.as_str()).collect::<Vec<_>>(),
                &made.iter().map(|calls| calls.day).collect::<Vec<_>>(),
                &made
                    .iter()
                    .map(|calls| i64::try_from(calls.count).unwrap_or(i64::MAX))
                    .collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
        .collect())
}
