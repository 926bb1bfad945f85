//! The effect ledger: an outbound write is a row before the vendor is called,
//! and carries the vendor's id after. A lane's epoch fences it: a worker that
//! lost its lease can no longer announce a write ([`super::announcer`]).

use std::time::Duration;

use deadpool_postgres::GenericClient;

use super::StoreError;

/// Who may announce writes: the claim of a lane. `None` for work that a person
/// asked for outside any lane.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    /// The lane's key.
    pub key: i64,
    /// The epoch of the claim.
    pub epoch: i64,
}

/// What the ledger knew about a step when it was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prior {
    /// Never announced before.
    Fresh,
    /// Announced, outcome unknown: look it up at the vendor before repeating it.
    Unconfirmed {
        /// How long ago it was last announced.
        ago: Duration,
    },
    /// Done.
    Done {
        /// The vendor's id of what was written.
        vendor_id: Option<String>,
        /// Fingerprint of what was written.
        fingerprint: Option<String>,
    },
}

/// A finished write, to be confirmed with the next statement of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The step's key.
    pub step: String,
    /// The vendor's id of what was written.
    pub vendor_id: Option<String>,
    /// Fingerprint of what was written.
    pub fingerprint: Option<String>,
}

/// An echo that a write will cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whose webhook it will come through.
    pub vendor: &'static str,
    /// The entity it will name.
    pub entity_id: String,
    /// What it will say, as the `loops` room spells it.
    pub fingerprint: String,
    /// The opposite write's fingerprint, which can no longer come back after this one.
    pub replaces: String,
}

const CONFIRM: &str = "
UPDATE effects f SET state = 'done', vendor_id = c.vendor_id, fingerprint = c.fingerprint, done_at = now()
  FROM unnest($1::text[], $2::text[], $3::text[]) AS c(step, vendor_id, fingerprint) WHERE f.step = c.step AND f.step = ANY ($1)";

/// Confirms finished writes on their own, for work outside any lane.
///
/// # Errors
/// Any statement failure; the steps then stay unconfirmed and are looked up at
/// the vendor before they are repeated.
pub async fn confirm<C: GenericClient>(client: &C, confirmed: &[Confirmed]) -> Result<(), StoreError> {
    let statement = client.prepare_cached(CONFIRM).await?;
    let (steps, ids, prints) = columns(confirmed);
    client.execute(&statement, &[&steps, &ids, &prints]).await?;
    Ok(())
}

const YOUNGEST: &str = "
SELECT min(extract(epoch FROM now() - created_at))::float8 FROM effects WHERE step = ANY ($1) AND state = 'intended'";

/// How long ago the last of these steps was announced that has not been confirmed.
///
/// # Errors
/// Any statement failure.
pub async fn youngest<C: GenericClient>(client: &C, steps: &[&str]) -> Result<Option<Duration>, StoreError> {
    let statement = client.prepare_cached(YOUNGEST).await?;
    let seconds: Option<f64> = client.query_one(&statement, &[&steps]).await?.get(0);
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

const DONE: &str = "SELECT step, vendor_id, fingerprint FROM effects WHERE step = ANY ($1) AND state = 'done'";

/// Those of the steps that are in place, as they were confirmed.
///
/// # Errors
/// Any statement failure.
pub async fn done<C: GenericClient>(client: &C, steps: &[&str]) -> Result<Vec<Confirmed>, StoreError> {
    let statement = client.prepare_cached(DONE).await?;
    let rows = client.query(&statement, &[&steps]).await?;
    Ok(rows
        .iter()
        .map(|row| Confirmed {
            step: row.get(0),
            vendor_id: row.get(1),
            fingerprint: row.get(2),
        })
        .collect())
}

/// The columns of `confirmed`, as the statements take them.
pub(crate) fn columns(confirmed: &[Confirmed]) -> (Vec<&str>, Vec<Option<&str>>, Vec<Option<&str>>) {
    (
        confirmed.iter().map(|c| c.step.as_str()).collect(),
        confirmed.iter().map(|c| c.vendor_id.as_deref()).collect(),
        confirmed.iter().map(|c| c.fingerprint.as_deref()).collect(),
    )
}
