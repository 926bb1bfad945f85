//! Removing what is finished and old, a batch at a time. Each batch walks an
//! index in the order in which rows were written (`seq`, or time-ordered ids)
//! from where the last one ended: it costs the rows of the batch, whatever the
//! tables hold. Not by BRIN: once freed pages are used again its ranges reach
//! from the oldest row to the newest, and every batch reads the whole table.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::types::ToSql;
use uuid::{NoContext, Timestamp, Uuid};

use super::StoreError;
use crate::domain::EventTable;

/// Rows looked at in one statement.
pub const BATCH: i64 = 5_000;

/// What one batch of events did.
#[derive(Debug)]
pub struct Events {
    /// Where the next batch begins; `None` when what follows is too young.
    pub next: Option<i64>,
    /// When the oldest event that stays was received.
    pub oldest_kept: Option<DateTime<Utc>>,
    /// Rows removed, by table.
    pub removed: [(&'static str, u64); 3],
}

/// The database's time, so long ago.
///
/// # Errors
/// Any statement failure.
pub async fn horizon<C: GenericClient>(client: &C, keep: Duration) -> Result<DateTime<Utc>, StoreError> {
    let statement = client
        .prepare_cached("SELECT now() - $1::float8 * interval '1 second'")
        .await?;
    Ok(client.query_one(&statement, &[&keep.as_secs_f64()]).await?.get(0))
}

// An event is finished when its status says so and since `processed_at`, whatever
// its age; both are asked again of the row that is removed, for an operator may
// replay it meanwhile. What explains or guards an event goes with it, not before.
macro_rules! remove_events {
    ($table:literal, $kind:literal) => {
        concat!(
            "
WITH walk AS MATERIALIZED (
  SELECT seq, received_at, status IN ('done', 'error') AND processed_at < $3 AND received_at < $3 AS ended
    FROM ", $table, " WHERE seq > $1 ORDER BY seq LIMIT $2),
gone AS (
  DELETE FROM ", $table, " e
   WHERE e.seq = ANY (ARRAY(SELECT seq FROM walk WHERE ended))
     AND e.status IN ('done', 'error') AND e.processed_at < $3
  RETURNING e.id, e.seq),
quarantine AS (
  DELETE FROM quarantine_events
   WHERE event_source = '", $kind, "' AND event_id = ANY (ARRAY(SELECT id::text FROM gone)) RETURNING 1),
effect AS (
  DELETE FROM effects WHERE event_id = ANY (ARRAY(SELECT id FROM gone)) RETURNING 1)
SELECT max(w.seq) FILTER (WHERE w.received_at < $3), min(w.received_at) FILTER (WHERE w.seq NOT IN (SELECT seq FROM gone)),
       (SELECT count(*) FROM gone), (SELECT count(*) FROM quarantine), (SELECT count(*) FROM effect), max(w.seq)
  FROM walk w"
        )
    };
}
const WEBHOOK: &str = remove_events!("webhook_events", "webhook");
const TEXTING: &str = remove_events!("texting_webhook_events", "texting");

/// Removes finished events of one batch that ended before `horizon`, with their
/// quarantine rows and effects. Events follow each other by age, give or take a
/// spool: a batch without a single one of age ends the walk.
///
/// # Errors
/// Any statement failure; nothing was removed then.
pub async fn events<C: GenericClient>(
    client: &C,
    table: EventTable,
    after: i64,
    horizon: DateTime<Utc>,
) -> Result<Events, StoreError> {
    let (text, name) = match table {
        EventTable::Webhook => (WEBHOOK, "webhook_events"),
        EventTable::Texting => (TEXTING, "texting_webhook_events"),
    };
    let statement = client.prepare_cached(text).await?;
    let row = client.query_one(&statement, &[&after, &BATCH, &horizon]).await?;
    let any_of_age = row.get::<_, Option<i64>>(0).is_some();
    Ok(Events {
        next: row.get::<_, Option<i64>>(5).filter(|_| any_of_age),
        oldest_kept: row.get(1),
        removed: [
            (name, removed(&row, 2)),
            ("quarantine_events", removed(&row, 3)),
            ("effects", removed(&row, 4)),
        ],
    })
}

/// Tables whose rows go by age alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aged {
    /// What was synchronised and why.
    SyncLog,
    /// Texts we were asked to send, those under way excepted.
    OutboundMessages,
    /// Writes that a person asked for outside any event.
    Effects,
    /// Runs of the schedule.
    ScheduledRuns,
    /// Calls per day.
    VendorUsage,
}

impl Aged {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SyncLog,
        Self::OutboundMessages,
        Self::Effects,
        Self::ScheduledRuns,
        Self::VendorUsage,
    ];

    /// The table's name.
    pub fn table(self) -> &'static str {
        match self {
            Self::SyncLog => "sync_log",
            Self::OutboundMessages => "outbound_messages",
            Self::Effects => "effects",
            Self::ScheduledRuns => "scheduled_runs",
            Self::VendorUsage => "vendor_usage",
        }
    }

    // $1 horizon, $2 batch, $3 the horizon as a time-ordered id: ids of the first
    // two are UUIDv7, so the primary key holds the old rows side by side. The last
    // two hold a few rows a day and need no batches.
    fn statement(self) -> &'static str {
        match self {
            Self::SyncLog => {
                "DELETE FROM sync_log WHERE id = ANY (ARRAY(
                   SELECT id FROM sync_log WHERE id < $3 AND started_at < $1 ORDER BY id LIMIT $2))"
            }
            Self::OutboundMessages => {
                "DELETE FROM outbound_messages WHERE id = ANY (ARRAY(
                   SELECT id FROM outbound_messages
                    WHERE id < $3 AND created_at < $1 AND state <> 'sending' ORDER BY id LIMIT $2))"
            }
            Self::Effects => {
                "DELETE FROM effects WHERE step = ANY (ARRAY(
                   SELECT step FROM effects
                    WHERE created_at < $1 AND event_id IS NULL ORDER BY created_at LIMIT $2))"
            }
            Self::ScheduledRuns => "DELETE FROM scheduled_runs WHERE due_at < $1",
            Self::VendorUsage => "DELETE FROM vendor_usage WHERE day < $1::timestamptz::date",
        }
    }
}

/// Removes one batch of rows older than `horizon`; answers how many.
///
/// # Errors
/// Any statement failure; nothing was removed then.
pub async fn aged<C: GenericClient>(client: &C, rows: Aged, horizon: DateTime<Utc>) -> Result<u64, StoreError> {
    let statement = client.prepare_cached(rows.statement()).await?;
    let first_id = first_id_of(horizon);
    let known: [&(dyn ToSql + Sync); 3] = [&horizon, &BATCH, &first_id];
    let wanted = known.get(..statement.params().len()).unwrap_or(&known);
    Ok(client.execute(&statement, wanted).await?)
}

/// Below every time-ordered id made since.
fn first_id_of(time: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    let made = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, time.timestamp_subsec_nanos()));
    // The time is the first 48 bits; the rest is chance.
    Uuid::from_u128(made.as_u128() >> 80 << 80)
}

fn removed(row: &tokio_postgres::Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or_default()
}
