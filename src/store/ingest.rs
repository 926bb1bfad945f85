//! The ingest statement: many deliveries, one round trip, one commit.
//!
//! Sequence numbers are drawn in arrival order, rows are inserted in dedupe
//! order: overlapping batches of two daemons then lock in one order and cannot
//! deadlock, and a person's events keep the order they came in.

use chrono::{DateTime, Utc};
use deadpool_postgres::{Client, GenericClient};
use uuid::Uuid;

use super::{StoreError, opt_outs, quarantine};
use crate::domain::{ConsentChange, EventTable, Move};

/// One delivery, ready to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Time-ordered primary key, made by the daemon.
    pub id: Uuid,
    /// Which table it goes to.
    pub table: EventTable,
    /// `aloware`, `ghl` or `texting`.
    pub source: &'static str,
    /// The vendor's event name.
    pub event_type: String,
    /// Text form of [`crate::domain::Entity`].
    pub entity_type: &'static str,
    /// The thing's id.
    pub entity_id: String,
    /// Whose lane it joins.
    pub order_key: i64,
    /// What makes a redelivery the same delivery.
    pub dedupe_key: String,
    /// The key the same content had in the window before this one, and the
    /// moment from which on such a row makes this delivery a repeat.
    pub earlier: Option<(String, DateTime<Utc>)>,
    /// Texting only: the vendor's conversation.
    pub conversation_id: Option<String>,
    /// Texting only: the sender as normalised.
    pub from_number: Option<String>,
    /// Texting only: the recipient as normalised.
    pub to_number: Option<String>,
    /// The body as JSON text without NUL characters.
    pub payload: String,
    /// When the delivery was accepted.
    pub received_at: DateTime<Utc>,
    /// Consent events found in it, stored in the same commit.
    pub consent: Vec<ConsentChange>,
    /// Why it is set aside in the same commit, if it is.
    pub quarantine: Option<&'static str>,
}

const FIRST_RECEIVED: &str = "
SELECT received_at FROM webhook_events WHERE dedupe_key = $1
UNION ALL SELECT received_at FROM texting_webhook_events WHERE dedupe_key = $1 LIMIT 1";

/// Stores a batch of deliveries. Public for tests that look at its plan.
pub const INSERT: &str = "
WITH input AS MATERIALIZED (
  SELECT nextval('event_seq') AS seq, t.* FROM (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[])
      WITH ORDINALITY AS t(id, tbl, okey, source, etype, ent, ent_id, payload, dedupe, earlier, conv, nfrom, nto, at, since, ord)
      ORDER BY ord) t),
-- `= ANY` of an array is an index scan whatever the planner guesses; a NOT EXISTS here became a scan of the table.
seen AS MATERIALIZED (
  SELECT dedupe_key, received_at FROM webhook_events WHERE dedupe_key = ANY ($10)
  UNION ALL
  SELECT dedupe_key, received_at FROM texting_webhook_events WHERE dedupe_key = ANY ($10)),
fresh AS (
  SELECT i.* FROM input i LEFT JOIN seen s ON s.dedupe_key = i.earlier AND s.received_at >= i.since
   WHERE s.dedupe_key IS NULL),
web AS (
  INSERT INTO webhook_events (seq, id, order_key, received_at, source, event_type, entity_type, entity_id, payload_json, dedupe_key)
  SELECT seq, id, okey, at, source, etype, ent, ent_id, payload::jsonb, dedupe FROM fresh
   WHERE tbl = 'webhook' ORDER BY dedupe, seq
  ON CONFLICT (dedupe_key) DO NOTHING RETURNING seq, order_key, dedupe_key),
txt AS (
  INSERT INTO texting_webhook_events (seq, id, order_key, received_at, event_type, entity_type, entity_id, payload_json,
                                      dedupe_key, conversation_id, from_number, to_number)
  SELECT seq, id, okey, at, etype, ent, ent_id, payload::jsonb, dedupe, conv, nfrom, nto FROM fresh
   WHERE tbl = 'texting' ORDER BY dedupe, seq
  ON CONFLICT (dedupe_key) DO NOTHING RETURNING seq, order_key, dedupe_key),
ins AS (SELECT * FROM web UNION ALL SELECT * FROM txt),
lanes AS (
  INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq)
  SELECT order_key, clock_timestamp(), min(seq), max(seq) FROM ins GROUP BY order_key ORDER BY order_key
  ON CONFLICT (key) DO UPDATE SET tail_seq = greatest(event_lanes.tail_seq, excluded.tail_seq),
                                  head_seq = least(event_lanes.head_seq, excluded.head_seq),
                                  arrivals = event_lanes.arrivals + 1)
SELECT dedupe_key FROM ins";

/// Stores a batch with its consent events, and those of `repeats` of its rows, in
/// one commit and answers the dedupe keys that were new. A key that is missing was stored before, durably: the
/// conflict clause waits for the other transaction.
///
/// # Errors
/// Any statement failure; nothing of the batch is stored then.
pub async fn insert(
    client: &mut Client,
    batch: &[&NewEvent],
    repeats: &[&NewEvent],
) -> Result<Vec<String>, StoreError> {
    let plain = |event: &&NewEvent| event.consent.is_empty() && event.quarantine.is_none();
    if batch.iter().chain(repeats).all(plain) {
        return insert_rows(&*client, batch).await;
    }
    let transaction = client.transaction().await?;
    let stored = insert_within(&transaction, batch, repeats).await?;
    transaction.commit().await?;
    Ok(stored)
}

/// As [`insert`], in the caller's transaction.
///
/// # Errors
/// Any statement failure; the caller must then not commit.
pub async fn insert_within<C: GenericClient>(
    transaction: &C,
    batch: &[&NewEvent],
    repeats: &[&NewEvent],
) -> Result<Vec<String>, StoreError> {
    // Numbers before lanes, as whoever decides by hand has them.
    let consent = batch.iter().chain(repeats).flat_map(|event| &event.consent);
    opt_outs::lock(transaction, consent.map(|change| &change.phone)).await?;
    let stored = insert_rows(transaction, batch).await?;
    for event in batch {
        if let (Some(reason), true) = (event.quarantine, stored.contains(&event.dedupe_key)) {
            quarantine::add(transaction, &event.id.to_string(), event.table, reason, Some("ingest")).await?;
        }
    }
    let changes = applicable(transaction, batch.iter().chain(repeats).copied(), &stored).await?;
    if !changes.is_empty() {
        opt_outs::apply_locked(transaction, &changes.iter().collect::<Vec<_>>()).await?;
    }
    Ok(stored)
}

/// The consent events to apply. A block holds even when its delivery is a
/// repeat: a bug in telling repeats must not lose a STOP. A lift, and what may be
/// our own write coming back, counts only once. A repeat tells of the moment at which
/// the first delivery came, if its vendor tells no time.
async fn applicable<C: GenericClient>(
    client: &C,
    batch: impl Iterator<Item = &NewEvent>,
    stored: &[String],
) -> Result<Vec<ConsentChange>, StoreError> {
    let mut changes = Vec::new();
    for event in batch {
        let new = stored.contains(&event.dedupe_key);
        for change in &event.consent {
            let own = match &change.unless_echo {
                Some(_) if new => opt_outs::is_own_echo(client, change).await?,
                Some(_) => true,
                None => false,
            };
            if own || !(new || change.action == Move::Block) {
                continue;
            }
            let mut change = change.clone();
            if !new && change.occurred_at == event.received_at {
                change.occurred_at = first_received(client, event).await?;
            }
            changes.push(change);
        }
    }
    Ok(changes)
}

async fn first_received<C: GenericClient>(client: &C, repeat: &NewEvent) -> Result<DateTime<Utc>, StoreError> {
    let statement = client.prepare_cached(FIRST_RECEIVED).await?;
    let first = client.query_opt(&statement, &[&repeat.dedupe_key]).await?;
    Ok(first.map_or(repeat.received_at, |row| row.get(0)))
}

async fn insert_rows<C: GenericClient>(client: &C, batch: &[&NewEvent]) -> Result<Vec<String>, StoreError> {
    fn column<'a, T>(batch: &[&'a NewEvent], pick: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
        batch.iter().map(|event| pick(event)).collect()
    }
    let statement = client.prepare_cached(INSERT).await?;
    let rows = client
        .query(
            &statement,
            &[
                &column(batch, |e| e.id),
                &column(batch, |e| e.table.as_str()),
                &column(batch, |e| e.order_key),
                &column(batch, |e| e.source),
                &column(batch, |e| e.event_type.as_str()),
                &column(batch, |e| e.entity_type),
                &column(batch, |e| e.entity_id.as_str()),
                &column(batch, |e| e.payload.as_str()),
                &column(batch, |e| e.dedupe_key.as_str()),
                &column(batch, |e| e.earlier.as_ref().map(|(key, _)| key.as_str())),
                &column(batch, |e| e.conversation_id.as_deref()),
                &column(batch, |e| e.from_number.as_deref()),
                &column(batch, |e| e.to_number.as_deref()),
                &column(batch, |e| e.received_at),
                &column(batch, |e| e.earlier.as_ref().map(|(_, since)| *since)),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
