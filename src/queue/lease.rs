//! Keeping lanes while they run: one statement renews them all, and says which
//! were taken over.

use std::collections::HashSet;
use std::time::Duration;

use deadpool_postgres::GenericClient;

use crate::store::StoreError;

// Locks in the order in which results and deliveries lock, too.
/// Renews leases. Public as `CLAIM` is.
pub const RENEW: &str = "
WITH ours AS MATERIALIZED (
  SELECT l.key FROM event_lanes l JOIN unnest($1::bigint[], $2::bigint[]) AS r(key, epoch)
      ON l.key = r.key AND l.epoch = r.epoch
   WHERE l.key = ANY ($1) ORDER BY l.key FOR UPDATE OF l)
UPDATE event_lanes l SET ready_at = now() + $3::float8 * interval '1 second'
 WHERE l.key = ANY (ARRAY(SELECT key FROM ours))
RETURNING l.key, (SELECT set_config('synchronous_commit', 'off', true))";

/// Extends the leases of `(key, epoch)` pairs and answers the keys still ours.
///
/// # Errors
/// Any statement failure; the leases then run on as they are.
pub(crate) async fn renew<C: GenericClient>(
    client: &C,
    lanes: &[(i64, i64)],
    lease: Duration,
) -> Result<HashSet<i64>, StoreError> {
    let (keys, epochs): (Vec<i64>, Vec<i64>) = lanes.iter().copied().unzip();
    let statement = client.prepare_cached(RENEW).await?;
    let rows = client
        .query(&statement, &[&keys, &epochs, &lease.as_secs_f64()])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
