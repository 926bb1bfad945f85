//! The effect ledger: an outbound write is a row before the vendor is called,
//! and carries the vendor's id after. A lane's epoch fences it: a worker that
//! lost its lease can no longer announce a write.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use uuid::Uuid;

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
    Unconfirmed,
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

/// How long an echo may take to come back: GHL redelivers for over an hour, and
/// the spool may hold a delivery longer.
const ECHO_TTL: Duration = Duration::from_secs(24 * 3600);

// `later`: several events may need one step; it stays as long as the last of them.
const ANNOUNCE: &str = "
WITH fence AS (
  SELECT 1 WHERE $2::bigint IS NULL
  UNION ALL
  SELECT 1 FROM event_lanes WHERE key = $2 AND epoch = $3),
old AS (SELECT state, vendor_id, fingerprint FROM effects WHERE step = $1),
ins AS (
  INSERT INTO effects (step, state, event_id) SELECT $1, 'intended', $4 FROM fence
  WHERE NOT EXISTS (SELECT 1 FROM old) ON CONFLICT (step) DO NOTHING),
later AS (
  UPDATE effects f SET event_id = $4 FROM fence
   WHERE f.step = $1 AND $4::uuid IS NOT NULL AND (f.event_id IS NULL OR f.event_id < $4)),
echo AS (
  INSERT INTO echoes (vendor, entity_id, fingerprint, expires_at)
  SELECT DISTINCT e.vendor, e.entity_id, e.fingerprint, now() + $8::float8 * interval '1 second'
    FROM fence, unnest($5::text[], $6::text[], $7::text[]) AS e(vendor, entity_id, fingerprint)
  ON CONFLICT (vendor, entity_id, fingerprint) DO UPDATE SET expires_at = excluded.expires_at),
opposite AS (
  DELETE FROM echoes x USING fence, unnest($5::text[], $6::text[], $12::text[]) AS e(vendor, entity_id, replaces)
   WHERE x.vendor = e.vendor AND x.entity_id = e.entity_id AND x.fingerprint = e.replaces),
confirm AS (
  UPDATE effects f SET state = 'done', vendor_id = c.vendor_id, fingerprint = c.fingerprint, done_at = now()
    FROM unnest($9::text[], $10::text[], $11::text[]) AS c(step, vendor_id, fingerprint) WHERE f.step = c.step AND f.step = ANY ($9))
SELECT EXISTS (SELECT 1 FROM fence), (SELECT state FROM old), (SELECT vendor_id FROM old), (SELECT fingerprint FROM old)";

const CONFIRM: &str = "
UPDATE effects f SET state = 'done', vendor_id = c.vendor_id, fingerprint = c.fingerprint, done_at = now()
  FROM unnest($1::text[], $2::text[], $3::text[]) AS c(step, vendor_id, fingerprint) WHERE f.step = c.step AND f.step = ANY ($1)";

/// Announces a write together with the echoes it will cause, and confirms the
/// run's earlier writes, in one round trip.
///
/// # Errors
/// [`StoreError::LeaseLost`] when the lane is no longer the caller's: the
/// write must not be made. Else any statement failure.
pub async fn announce<C: GenericClient>(
    client: &C,
    step: &str,
    fence: Option<Fence>,
    event_id: Option<Uuid>,
    echoes: &[Echo],
    confirmed: &[Confirmed],
) -> Result<Prior, StoreError> {
    let statement = client.prepare_cached(ANNOUNCE).await?;
    let (steps, ids, prints) = columns(confirmed);
    let row = client
        .query_one(
            &statement,
            &[
                &step,
                &fence.map(|f| f.key),
                &fence.map(|f| f.epoch),
                &event_id,
                &echoes.iter().map(|e| e.vendor).collect::<Vec<_>>(),
                &echoes.iter().map(|e| e.entity_id.as_str()).collect::<Vec<_>>(),
                &echoes.iter().map(|e| e.fingerprint.as_str()).collect::<Vec<_>>(),
                &ECHO_TTL.as_secs_f64(),
                &steps,
                &ids,
                &prints,
                &echoes.iter().map(|e| e.replaces.as_str()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    if !row.get::<_, bool>(0) {
        return Err(StoreError::LeaseLost);
    }
    Ok(match row.get::<_, Option<&str>>(1) {
        None => Prior::Fresh,
        Some("done") => Prior::Done {
            vendor_id: row.get(2),
            fingerprint: row.get(3),
        },
        Some(_) => Prior::Unconfirmed,
    })
}

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

/// The columns of `confirmed`, as the statements take them.
pub(crate) fn columns(confirmed: &[Confirmed]) -> (Vec<&str>, Vec<Option<&str>>, Vec<Option<&str>>) {
    (
        confirmed.iter().map(|c| c.step.as_str()).collect(),
        confirmed.iter().map(|c| c.vendor_id.as_deref()).collect(),
        confirmed.iter().map(|c| c.fingerprint.as_deref()).collect(),
    )
}
