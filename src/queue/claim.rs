//! Taking lanes: lanes that are ready, oldest first, with their next events.
//! The cost depends on the lanes taken, never on history or backlog depth.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::trial::Standing;
use crate::domain::{Event, EventTable};
use crate::store::StoreError;

/// A lane that is ours until its lease ends, with the events to run now.
#[derive(Debug)]
pub(crate) struct ClaimedLane {
    pub(crate) key: i64,
    pub(crate) epoch: i64,
    /// Newest event routed here as of the claim.
    pub(crate) tail_seq: i64,
    /// Batches routed here as of the claim.
    pub(crate) arrivals: i64,
    /// Claims in a row that nobody reported back, this one included.
    pub(crate) claims: i16,
    pub(crate) events: Vec<ClaimedEvent>,
}

impl ClaimedLane {
    /// Whether it runs on trial only.
    pub(super) fn is_suspect(&self) -> bool {
        Standing::of(self.claims) == Standing::Suspect
    }
}

/// One event of a claimed lane.
#[derive(Debug)]
pub(crate) struct ClaimedEvent {
    /// Without its payload.
    event: Event,
    payload: Vec<u8>,
    pub(crate) quarantined: bool,
    /// Its age by the database's clock.
    pub(crate) age: Duration,
    /// Whether a run of it has failed before.
    pub(crate) failed_before: bool,
}

impl ClaimedEvent {
    /// The event with its payload read: the work of the lane's own task, for the
    /// loop that claims has many to hand out. False, and an event without its
    /// payload, when that is beyond what we read (a number out of range, too deep).
    pub(crate) fn open(self) -> (Event, bool) {
        match serde_json::from_slice(&self.payload) {
            Ok(payload) => (Event { payload, ..self.event }, true),
            Err(_) => (self.event, false),
        }
    }
}

/// `jsonb` as it travels: a version byte, then text.
struct Unread<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Unread<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        raw.split_first()
            .filter(|(version, _)| **version == 1)
            .map(|(_, text)| Self(text))
            .ok_or_else(|| "jsonb of an unknown version".into())
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

/// What one claim may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) lanes: i64,
    pub(crate) events_per_lane: i64,
    pub(crate) lease: Duration,
    /// No lane became ready before this; keeps the scan off dead index entries.
    pub(crate) since: DateTime<Utc>,
}

/// What one claim took.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) lanes: Vec<ClaimedLane>,
    /// The oldest `ready_at` among them: the next claim's watermark.
    pub(crate) oldest: Option<DateTime<Utc>>,
}

// `= ANY (ARRAY(SELECT …))` is an InitPlan: it cannot turn into a scan of the whole table.
// A claim need not outlive the server: what is lost of it is claimed again. So
// its commit waits for no disk; announcements and results, which do, follow it.
// `processing` is for who looks: a row that an operator holds must not keep
// everybody's claim waiting, and runs as `pending`.
// Ages are differences of epochs: a subtraction of times fails on an infinite one
// that somebody typed, and everybody's claim with it.
/// Takes lanes with their next events. Public for tests that look at its plan.
pub const CLAIM: &str = "
WITH c AS (
  SELECT key, ready_at FROM event_lanes
   WHERE ready_at <= now() AND ready_at >= $5
   ORDER BY ready_at LIMIT $2 FOR UPDATE SKIP LOCKED),
u AS (
  UPDATE event_lanes l
     SET epoch = nextval('lane_epoch'), owner = $1, attempts = l.attempts + 1,
         ready_at = now() + $4::float8 * interval '1 second'
   WHERE l.key = ANY (ARRAY(SELECT key FROM c))
  RETURNING l.key, l.epoch, l.head_seq, l.tail_seq, l.attempts, l.arrivals),
e AS MATERIALIZED (
  SELECT u.key, u.epoch, u.tail_seq, u.attempts AS claims, u.arrivals, x.*
    FROM u LEFT JOIN LATERAL (
      SELECT * FROM (
        (SELECT 'webhook' AS tbl, w.id, w.seq, w.source, w.event_type, w.entity_type, w.entity_id, w.payload_json,
                w.received_at, w.attempts,
                extract(epoch FROM now()) - extract(epoch FROM coalesce(w.opened_at, w.received_at)) AS age,
                w.error_message IS NOT NULL AS failed_before
           FROM webhook_events w
          WHERE w.order_key = u.key AND w.seq >= u.head_seq AND w.processed_at IS NULL
            AND w.status IN ('pending', 'processing')
          ORDER BY w.seq LIMIT $3)
        UNION ALL
        (SELECT 'texting', t.id, t.seq, 'texting', t.event_type, t.entity_type, coalesce(t.entity_id, ''), t.payload_json,
                t.received_at, t.attempts,
                extract(epoch FROM now()) - extract(epoch FROM coalesce(t.opened_at, t.received_at)),
                t.error_message IS NOT NULL
           FROM texting_webhook_events t
          WHERE t.order_key = u.key AND t.seq >= u.head_seq AND t.processed_at IS NULL
            AND t.status IN ('pending', 'processing')
          ORDER BY t.seq LIMIT $3)) b
      ORDER BY seq LIMIT CASE WHEN u.attempts > 1 THEN 1 ELSE $3 END) x ON true),
web AS (UPDATE webhook_events w SET status = 'processing'
         WHERE w.id = ANY (ARRAY(SELECT id FROM webhook_events
                WHERE id = ANY (ARRAY(SELECT id FROM e WHERE tbl = 'webhook')) AND status = 'pending'
                  FOR NO KEY UPDATE SKIP LOCKED))),
txt AS (UPDATE texting_webhook_events t SET status = 'processing'
         WHERE t.id = ANY (ARRAY(SELECT id FROM texting_webhook_events
                WHERE id = ANY (ARRAY(SELECT id FROM e WHERE tbl = 'texting')) AND status = 'pending'
                  FOR NO KEY UPDATE SKIP LOCKED)))
SELECT e.key, e.epoch, e.tail_seq, e.claims, e.tbl, e.id, e.seq, e.source, e.event_type, e.entity_type, e.entity_id,
       e.payload_json, e.received_at, e.attempts,
       EXISTS (SELECT 1 FROM quarantine_events q WHERE q.event_id = e.id::text AND q.event_source = e.tbl),
       (SELECT min(ready_at) FROM c), e.arrivals, (SELECT set_config('synchronous_commit', 'off', true)),
       e.age::float8, e.failed_before
  FROM e ORDER BY e.key, e.seq";

/// Takes lanes. A lane may come back without events: it must be released, for
/// an event committed a moment ago may not have been visible yet.
///
/// # Errors
/// Any statement failure; nothing is taken then, or what was taken is lost
/// until its lease ends.
pub(crate) async fn claim<C: GenericClient>(client: &C, owner: Uuid, want: Want) -> Result<Claimed, StoreError> {
    let statement = client.prepare_cached(CLAIM).await?;
    let rows = client
        .query(
            &statement,
            &[
                &owner,
                &want.lanes,
                &want.events_per_lane,
                &want.lease.as_secs_f64(),
                &want.since,
            ],
        )
        .await?;
    let oldest = rows.first().and_then(|row| row.get(15));
    let mut lanes: Vec<ClaimedLane> = Vec::new();
    for row in &rows {
        let key = row.get(0);
        if lanes.last().is_none_or(|lane| lane.key != key) {
            lanes.push(ClaimedLane {
                key,
                epoch: row.get(1),
                tail_seq: row.get(2),
                claims: row.get(3),
                arrivals: row.get(16),
                events: Vec::new(),
            });
        }
        if let (Some(lane), Some(event)) = (lanes.last_mut(), claimed_event(row)?) {
            lane.events.push(event);
        }
    }
    Ok(Claimed { lanes, oldest })
}

fn claimed_event(row: &Row) -> Result<Option<ClaimedEvent>, StoreError> {
    let Some(table) = row.get::<_, Option<&str>>(4) else {
        return Ok(None);
    };
    let event = Event {
        table: EventTable::parse(table).ok_or(StoreError::Corrupt("table"))?,
        id: row.get(5),
        seq: row.get(6),
        source: row.get(7),
        event_type: row.get(8),
        entity_type: row.get(9),
        entity_id: row.get(10),
        payload: Value::Null,
        // Somebody may have typed an infinite time, which we cannot hold: 1970 then.
        received_at: row.try_get(12).unwrap_or_default(),
        attempts: row.get(13),
    };
    Ok(Some(ClaimedEvent {
        event,
        payload: row.get::<_, Unread<'_>>(11).0.to_vec(),
        quarantined: row.get(14),
        age: Duration::try_from_secs_f64(row.get(18)).unwrap_or_default(),
        failed_before: row.get(19),
    }))
}
