//! The echo ledger: what we wrote, for as long as its webhook may come back.
//! Rows are written by [`super::announcer`].

use deadpool_postgres::GenericClient;

use super::StoreError;

const LIVE: &str = "SELECT fingerprint FROM echoes WHERE vendor = $1 AND entity_id = $2 AND expires_at > now()";
const PRUNE: &str = "DELETE FROM echoes WHERE expires_at < now()";

/// Fingerprints of our recent writes to this entity.
///
/// # Errors
/// Any statement failure.
pub async fn live<C: GenericClient>(client: &C, vendor: &str, entity_id: &str) -> Result<Vec<String>, StoreError> {
    let statement = client.prepare_cached(LIVE).await?;
    let rows = client.query(&statement, &[&vendor, &entity_id]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

const TAKE: &str =
    "DELETE FROM echoes WHERE vendor = $1 AND entity_id = $2 AND fingerprint = ANY ($3) AND expires_at > now()";

/// Uses echoes up: each comes back once, and the same change after that is
/// somebody else's. Answers how many there were.
///
/// # Errors
/// Any statement failure.
pub async fn take<C: GenericClient>(
    client: &C,
    vendor: &str,
    entity_id: &str,
    fingerprints: &[&String],
) -> Result<u64, StoreError> {
    let statement = client.prepare_cached(TAKE).await?;
    Ok(client
        .execute(&statement, &[&vendor, &entity_id, &fingerprints])
        .await?)
}

/// Removes echoes that can no longer come back; answers how many.
///
/// # Errors
/// Any statement failure.
pub async fn prune<C: GenericClient>(client: &C) -> Result<u64, StoreError> {
    let statement = client.prepare_cached(PRUNE).await?;
    Ok(client.execute(&statement, &[]).await?)
}
