//! Who of several daemons runs what is due: the one that stores the run first.

use deadpool_postgres::GenericClient;

use super::StoreError;

// Schedules fire on whole minutes. Rounded, the database's clock names the same
// minute to daemons whose own clocks are less than half a minute apart.
const TAKE: &str = "
INSERT INTO scheduled_runs (name, due_at) VALUES ($1, date_trunc('minute', now() + interval '30 seconds'))
ON CONFLICT DO NOTHING";

/// Takes the run that is due now; false when another daemon has it.
///
/// # Errors
/// Any statement failure; the run is not taken then.
pub async fn take<C: GenericClient>(client: &C, name: &str) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(TAKE).await?;
    Ok(client.execute(&statement, &[&name]).await? == 1)
}
