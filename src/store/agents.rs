//! The names of the dialer's users, as Aloware last listed them.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;

use super::StoreError;

// Who left the account keeps the name: the calls stay.
const SAVE: &str = "
INSERT INTO aloware_users (id, name) SELECT DISTINCT ON (id) id, name FROM unnest($1::text[], $2::text[]) AS u(id, name)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = now()";

const ALL: &str = "SELECT id, name FROM aloware_users";

/// Remembers these `(id, name)`.
///
/// # Errors
/// Any statement failure.
pub async fn save<C: GenericClient>(client: &C, users: &[(String, String)]) -> Result<(), StoreError> {
    let (ids, names): (Vec<&str>, Vec<&str>) = users.iter().map(|(id, name)| (id.as_str(), name.as_str())).unzip();
    let statement = client.prepare_cached(SAVE).await?;
    client.execute(&statement, &[&ids, &names]).await?;
    Ok(())
}

/// Every known name by id.
///
/// # Errors
/// Any statement failure.
pub async fn all<C: GenericClient>(client: &C) -> Result<HashMap<String, String>, StoreError> {
    let statement = client.prepare_cached(ALL).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
