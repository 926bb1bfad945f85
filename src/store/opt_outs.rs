//! Consent: blocks by cause, the append-only history, and the effective
//! registry row that is derived from them.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;

use super::StoreError;
use crate::domain::{Cause, ConsentChange, Phone};

// A send of the same number waits its turn, and the other way round. Sorted, so
// that two batches cannot deadlock.
const LOCK: &str = "
SELECT pg_advisory_xact_lock(hashtextextended(p, 0)) FROM (SELECT DISTINCT p FROM unnest($1::text[]) p ORDER BY p) s";

// A number that an operator (or an import) set to opted_out by hand has no
// block of its own yet; as one, no other cause's lift can take it away.
const ADOPT: &str = "
INSERT INTO optout_blocks (phone_number, cause, active, source, reason, changed_at)
SELECT r.phone_number, 'manual', true, r.source, r.reason, r.last_event_at FROM optout_registry r
 WHERE r.phone_number = ANY ($1) AND r.status = 'opted_out'
   AND NOT EXISTS (SELECT 1 FROM optout_blocks b WHERE b.phone_number = r.phone_number AND b.active)
ON CONFLICT (phone_number, cause) DO UPDATE SET active = true, changed_at = excluded.changed_at";

const HISTORY: &str = "
INSERT INTO optout_history (phone_number, cause, action, source, reason, evidence, occurred_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
ON CONFLICT (phone_number, cause, action, source, occurred_at) DO NOTHING";

// The latest event of a cause decides; at the same instant the block wins.
const BLOCKS: &str = "
INSERT INTO optout_blocks (phone_number, cause, active, source, reason, changed_at)
SELECT DISTINCT ON (phone, cause) phone, cause, action = 'block', source, reason, at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
       AS c(phone, cause, action, source, reason, at)
 ORDER BY phone, cause, at DESC, action = 'block' DESC
ON CONFLICT (phone_number, cause) DO UPDATE
   SET active = excluded.active, source = excluded.source, reason = excluded.reason, changed_at = excluded.changed_at
 WHERE (excluded.changed_at, excluded.active) > (optout_blocks.changed_at, optout_blocks.active)";

// A number that was never blocked gets no row: nobody consented by not saying stop.
const REGISTRY: &str = "
INSERT INTO optout_registry (phone_number, status, source, reason, last_event_at)
SELECT DISTINCT ON (phone_number) phone_number,
       CASE WHEN bool_or(active) OVER w THEN 'opted_out' ELSE 'opted_in' END, source, reason, max(changed_at) OVER w
  FROM optout_blocks b
 WHERE phone_number = ANY ($1)
   AND (EXISTS (SELECT 1 FROM optout_blocks a WHERE a.phone_number = b.phone_number AND a.active)
        OR EXISTS (SELECT 1 FROM optout_registry r WHERE r.phone_number = b.phone_number))
WINDOW w AS (PARTITION BY phone_number)
 ORDER BY phone_number, active DESC, changed_at DESC
ON CONFLICT (phone_number) DO UPDATE
   SET status = excluded.status, source = excluded.source, reason = excluded.reason,
       last_event_at = excluded.last_event_at, updated_at = now()";

const CAUSES: &str = "
SELECT cause FROM optout_blocks WHERE phone_number = $1 AND active
UNION ALL
SELECT 'manual' FROM optout_registry r WHERE r.phone_number = $1 AND r.status = 'opted_out'
   AND NOT EXISTS (SELECT 1 FROM optout_blocks b WHERE b.phone_number = $1 AND b.active)";

const LATEST: &str = "SELECT active FROM optout_blocks WHERE phone_number = $1 AND cause = $2";

/// Applies consent events. In a transaction of the caller's it takes each
/// number's lock until that ends: history, blocks,
/// effective row. Repeats and late events change nothing they should not.
///
/// # Errors
/// Any statement failure.
pub async fn apply<C: GenericClient>(client: &C, changes: &[&ConsentChange]) -> Result<(), StoreError> {
    // One order for all writers, so that two batches cannot deadlock.
    let mut changes = changes.to_vec();
    changes.sort_by(|a, b| (&a.phone, a.cause, a.occurred_at).cmp(&(&b.phone, b.cause, b.occurred_at)));
    let phones: Vec<&str> = changes.iter().map(|c| c.phone.as_str()).collect();
    let causes: Vec<&str> = changes.iter().map(|c| c.cause.as_str()).collect();
    let moves: Vec<&str> = changes.iter().map(|c| c.action.as_str()).collect();
    let sources: Vec<&str> = changes.iter().map(|c| c.source).collect();
    let reasons: Vec<&str> = changes.iter().map(|c| c.reason.as_str()).collect();
    let evidence: Vec<Option<&str>> = changes.iter().map(|c| c.evidence.as_deref()).collect();
    let times: Vec<DateTime<Utc>> = changes.iter().map(|c| c.occurred_at).collect();

    for text in [LOCK, ADOPT] {
        let statement = client.prepare_cached(text).await?;
        client.execute(&statement, &[&phones]).await?;
    }
    let history = client.prepare_cached(HISTORY).await?;
    client
        .execute(
            &history,
            &[&phones, &causes, &moves, &sources, &reasons, &evidence, &times],
        )
        .await?;
    let blocks = client.prepare_cached(BLOCKS).await?;
    client
        .execute(&blocks, &[&phones, &causes, &moves, &sources, &reasons, &times])
        .await?;
    let registry = client.prepare_cached(REGISTRY).await?;
    client.execute(&registry, &[&phones]).await?;
    Ok(())
}

/// The causes that block this number now; empty means it may be texted. A
/// registry row that an operator set by hand to `opted_out` counts as `manual`.
///
/// # Errors
/// Any statement failure: the caller must then not send.
pub async fn active_causes<C: GenericClient>(client: &C, phone: &Phone) -> Result<Vec<Cause>, StoreError> {
    let statement = client.prepare_cached(CAUSES).await?;
    client
        .query(&statement, &[&phone.as_str()])
        .await?
        .iter()
        .map(|row| Cause::parse(row.get(0)).ok_or(StoreError::Corrupt("optout_blocks.cause")))
        .collect()
}

/// Whether a cause blocks this number, by the latest event about it; `None`
/// when there was none.
///
/// # Errors
/// Any statement failure.
pub async fn latest<C: GenericClient>(client: &C, phone: &Phone, cause: Cause) -> Result<Option<bool>, StoreError> {
    let statement = client.prepare_cached(LATEST).await?;
    let row = client
        .query_opt(&statement, &[&phone.as_str(), &cause.as_str()])
        .await?;
    Ok(row.map(|row| row.get(0)))
}
