//! Who changed what by hand. Append-only.

use deadpool_postgres::GenericClient;
use serde_json::Value;

use super::StoreError;

const APPEND: &str = "INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)";

/// Notes a change. In the change's own transaction, so that neither exists
/// without the other; `detail` is free of personal data.
///
/// # Errors
/// Any statement failure.
pub async fn append<C: GenericClient>(
    client: &C,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &Value,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(APPEND).await?;
    client.execute(&statement, &[&actor, &action, &subject, detail]).await?;
    Ok(())
}
