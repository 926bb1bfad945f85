//! Consent: the append-only history, and what follows from it: blocks by cause and
//! source, and the effective registry row. The rules stand in the views of the schema.

use chrono::{DateTime, Utc};
use deadpool_postgres::{Client, GenericClient};

use super::{StoreError, echoes};
use crate::domain::{Cause, ConsentChange, Phone};

// A send of the same number waits its turn, and the other way round. Sorted, so
// that two batches cannot deadlock.
const LOCK: &str = "
SELECT pg_advisory_xact_lock(hashtextextended(p, 0)) FROM (SELECT DISTINCT p FROM unnest($1::text[]) p ORDER BY p) s";

// A number that an operator (or an import) set to opted_out by hand has no
// block of its own yet; as one, no other cause's lift can take it away.
const ADOPT: &str = "
INSERT INTO optout_history (phone_number, cause, action, source, reason, occurred_at)
SELECT phone_number, 'manual', 'block', source, reason, last_event_at FROM optout_typed WHERE phone_number = ANY ($1)
ON CONFLICT (phone_number, cause, action, source, occurred_at) DO NOTHING";

const HISTORY: &str = "
INSERT INTO optout_history (phone_number, cause, action, source, reason, evidence, decided_by, occurred_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
ON CONFLICT (phone_number, cause, action, source, occurred_at) DO NOTHING";

const BLOCKS: &str = "
INSERT INTO optout_blocks (phone_number, cause, source, active, reason, lifted_by, changed_at)
SELECT phone_number, cause, source, active, reason, lifted_by, changed_at FROM optout_state WHERE phone_number = ANY ($1)
ON CONFLICT (phone_number, cause, source) DO UPDATE
   SET active = excluded.active, reason = excluded.reason, lifted_by = excluded.lifted_by, changed_at = excluded.changed_at";

// A number that was never blocked gets no row: nobody consented by not saying stop.
const REGISTRY: &str = "
INSERT INTO optout_registry (phone_number, status, source, reason, last_event_at)
SELECT phone_number, status, source, reason, last_event_at FROM optout_effective WHERE phone_number = ANY ($1)
ON CONFLICT (phone_number) DO UPDATE
   SET status = excluded.status, source = excluded.source, reason = excluded.reason,
       last_event_at = excluded.last_event_at, updated_at = now()";

const CAUSES: &str = "SELECT cause FROM optout_active WHERE phone_number = $1 ORDER BY 1";

const LATEST: &str = "SELECT bool_or(active) FROM optout_blocks WHERE phone_number = $1 AND cause = $2";

/// Applies consent events in the caller's transaction, which holds each number's
/// lock from here to its end. What follows from the history is derived anew, so
/// repeats and late events change nothing they should not.
///
/// # Errors
/// Any statement failure.
pub async fn apply<C: GenericClient>(client: &C, changes: &[&ConsentChange]) -> Result<(), StoreError> {
    lock(client, changes.iter().map(|change| &change.phone)).await?;
    apply_locked(client, changes).await
}

/// As [`apply`], where the caller holds the numbers' locks already.
///
/// # Errors
/// Any statement failure.
pub(super) async fn apply_locked<C: GenericClient>(client: &C, changes: &[&ConsentChange]) -> Result<(), StoreError> {
    // One order for all writers, so that two batches cannot deadlock.
    let mut changes = changes.to_vec();
    changes.sort_by(|a, b| (&a.phone, a.cause, a.occurred_at).cmp(&(&b.phone, b.cause, b.occurred_at)));
    let phones: Vec<&str> = changes.iter().map(|c| c.phone.as_str()).collect();
    let causes: Vec<&str> = changes.iter().map(|c| c.cause.as_str()).collect();
    let moves: Vec<&str> = changes.iter().map(|c| c.action.as_str()).collect();
    let sources: Vec<&str> = changes.iter().map(|c| c.source).collect();
    let reasons: Vec<&str> = changes.iter().map(|c| c.reason.as_str()).collect();
    let evidence: Vec<Option<&str>> = changes.iter().map(|c| c.evidence.as_deref()).collect();
    let deciders: Vec<Option<&str>> = changes.iter().map(|c| c.decided_by.as_deref()).collect();
    let times: Vec<DateTime<Utc>> = changes.iter().map(|c| c.occurred_at).collect();

    let adopt = client.prepare_cached(ADOPT).await?;
    client.execute(&adopt, &[&phones]).await?;
    let history = client.prepare_cached(HISTORY).await?;
    client
        .execute(
            &history,
            &[
                &phones, &causes, &moves, &sources, &reasons, &evidence, &deciders, &times,
            ],
        )
        .await?;
    for text in [BLOCKS, REGISTRY] {
        let statement = client.prepare_cached(text).await?;
        client.execute(&statement, &[&phones]).await?;
    }
    Ok(())
}

/// Holds the locks of these numbers to the transaction's end: a STOP, a send and a
/// decision about one number take turns.
///
/// # Errors
/// Any statement failure.
pub async fn lock<'p, C: GenericClient>(
    client: &C,
    phones: impl IntoIterator<Item = &'p Phone>,
) -> Result<(), StoreError> {
    let phones: Vec<&str> = phones.into_iter().map(Phone::as_str).collect();
    if phones.is_empty() {
        return Ok(());
    }
    let statement = client.prepare_cached(LOCK).await?;
    client.execute(&statement, &[&phones]).await?;
    Ok(())
}

/// Applies one consent event on its own, unless it is our own write coming back.
///
/// # Errors
/// Any statement failure.
pub async fn record(client: &mut Client, change: &ConsentChange) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    if !is_own_echo(&transaction, change).await? {
        apply(&transaction, &[change]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Whether the change is our own write coming back through its source. Each comes
/// back once: asking uses the echo up.
///
/// # Errors
/// Any statement failure.
pub async fn is_own_echo<C: GenericClient>(client: &C, change: &ConsentChange) -> Result<bool, StoreError> {
    let Some((id, print)) = &change.unless_echo else {
        return Ok(false);
    };
    Ok(echoes::take(client, change.source, id, &[print]).await? > 0)
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

/// As [`active_causes`], without the texts that wait for a person: those hold our
/// own texts back and are no opt-out that other systems would be told of.
///
/// # Errors
/// Any statement failure.
pub async fn opted_out<C: GenericClient>(client: &C, phone: &Phone) -> Result<Vec<Cause>, StoreError> {
    let mut causes = active_causes(client, phone).await?;
    causes.retain(|cause| *cause != Cause::PendingReview);
    Ok(causes)
}

/// Whether a cause blocks this number, by the latest event about it; `None`
/// when nothing ever blocked it for that cause.
///
/// # Errors
/// Any statement failure.
pub async fn latest<C: GenericClient>(client: &C, phone: &Phone, cause: Cause) -> Result<Option<bool>, StoreError> {
    let statement = client.prepare_cached(LATEST).await?;
    let row = client
        .query_one(&statement, &[&phone.as_str(), &cause.as_str()])
        .await?;
    Ok(row.get(0))
}
