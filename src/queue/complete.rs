//! Giving lanes back: results, log rows and confirmed effects of many lanes in
//! one statement and one commit. A lane whose epoch moved on is fenced: nothing
//! of its run is stored.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::domain::{EventStatus, EventTable, LogEntry};
use crate::store::StoreError;
use crate::store::effects::{Confirmed, columns};

/// One lane, run.
#[derive(Debug)]
pub(crate) struct FinishedLane {
    pub(crate) key: i64,
    pub(crate) epoch: i64,
    /// `arrivals` as of the claim: more than that now means more to do.
    pub(crate) arrivals: i64,
    /// Claims in a row that nobody reported back, as the lane is to remember
    /// them: 0 once an event of it was run.
    pub(crate) claims: i16,
    /// Highest sequence number that is finished; 0 = none.
    pub(crate) through: i64,
    /// When the lane may run again, if an event of it must wait.
    pub(crate) wait: Option<Duration>,
    pub(crate) events: Vec<FinishedEvent>,
    pub(crate) confirmed: Vec<Confirmed>,
    /// Kept until the result is stored: the next suspect may end the process.
    pub(crate) trial: Option<OwnedSemaphorePermit>,
}

/// One event, run or handed back.
#[derive(Debug)]
pub(crate) struct FinishedEvent {
    pub(crate) table: EventTable,
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) source_id: String,
    pub(crate) status: EventStatus,
    pub(crate) attempts: i16,
    pub(crate) error: Option<String>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) log: Vec<LogEntry>,
}

// `lk` locks the rows and so reads the newest tail: "nothing left" decided from
// a snapshot would lose the wake-up of an event stored at the same moment.
// `= ANY (ARRAY(…))` and `coalesce(… IN …)` are fences: the planner, who takes
// every list here for short, cannot turn them into loops over loops. Events that
// simply ended (`plain`) need no join; the others are few. What is handed back
// unrun keeps the reason of its last failure. `status` and not
// `processed_at` tells what is open: the latter would invite a walk through the
// index of everything that waits.
/// Stores the results of lanes and gives them back. Public as `CLAIM` is.
pub const COMPLETE: &str = "
WITH fin AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[], $25::bigint[], $29::smallint[])
                          AS f(key, epoch, through, wait, arrivals, claims)),
lk AS MATERIALIZED (
  SELECT l.key, l.epoch, f.wait, f.claims,
         l.tail_seq <= f.through AND l.arrivals = f.arrivals AND f.wait IS NULL AS empty
    FROM event_lanes l JOIN fin f ON l.key = f.key AND l.epoch = f.epoch
   WHERE l.key = ANY ($1) ORDER BY l.key FOR UPDATE OF l),
ok AS MATERIALIZED (
  SELECT d.*, d.st = 'done' AND d.err IS NULL AS plain
    FROM unnest($5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::smallint[], $10::text[], $26::bigint[])
      AS d(seq, key, tbl, st, att, err, epoch)
   WHERE coalesce(d.epoch IN (SELECT epoch FROM lk), false)),
web AS (
  UPDATE webhook_events e SET status = 'done', error_message = NULL, processed_at = clock_timestamp()
   WHERE e.seq = ANY (ARRAY(SELECT seq FROM ok WHERE tbl = 'webhook' AND plain)) AND e.status IN ('pending', 'processing')
  RETURNING e.seq),
txt AS (
  UPDATE texting_webhook_events e SET status = 'done', error_message = NULL, processed_at = clock_timestamp()
   WHERE e.seq = ANY (ARRAY(SELECT seq FROM ok WHERE tbl = 'texting' AND plain)) AND e.status IN ('pending', 'processing')
  RETURNING e.seq),
web_else AS (
  UPDATE webhook_events e SET status = ok.st, attempts = ok.att,
         error_message = CASE WHEN ok.st = 'pending' THEN coalesce(ok.err, e.error_message) ELSE ok.err END,
         processed_at = CASE WHEN ok.st IN ('done', 'error') THEN clock_timestamp() END
    FROM ok WHERE e.seq = ok.seq AND ok.tbl = 'webhook' AND NOT ok.plain AND e.status IN ('pending', 'processing')
  RETURNING e.seq),
txt_else AS (
  UPDATE texting_webhook_events e SET status = ok.st, attempts = ok.att,
         error_message = CASE WHEN ok.st = 'pending' THEN coalesce(ok.err, e.error_message) ELSE ok.err END,
         processed_at = CASE WHEN ok.st IN ('done', 'error') THEN clock_timestamp() END
    FROM ok WHERE e.seq = ok.seq AND ok.tbl = 'texting' AND NOT ok.plain AND e.status IN ('pending', 'processing')
  RETURNING e.seq),
log AS (
  INSERT INTO sync_log (id, direction, entity_type, entity_id, source_id, target_id, status, started_at, finished_at,
                        error_message, correlation_id, decisions)
  SELECT g.id, g.dir, g.ent, g.ent_id, g.src, g.tgt, g.st, g.at, clock_timestamp(), g.msg, g.corr, g.dec::jsonb
    FROM unnest($11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
                $18::timestamptz[], $19::text[], $20::text[], $21::text[], $27::bigint[], $28::uuid[])
      AS g(seq, dir, ent, ent_id, src, tgt, st, at, msg, corr, dec, epoch, id)
   WHERE coalesce(g.epoch IN (SELECT epoch FROM lk), false)
     AND coalesce(g.seq IN (SELECT seq FROM web UNION ALL SELECT seq FROM txt
                            UNION ALL SELECT seq FROM web_else UNION ALL SELECT seq FROM txt_else), false)),
eff AS (
  UPDATE effects f SET state = 'done', vendor_id = c.vendor_id, fingerprint = c.fingerprint, done_at = now()
    FROM unnest($22::text[], $23::text[], $24::text[]) AS c(step, vendor_id, fingerprint)
   WHERE f.step = c.step AND f.step = ANY ($22)),
del AS (
  DELETE FROM event_lanes l WHERE l.key = ANY (ARRAY(SELECT key FROM lk WHERE empty))),
upd AS (
  UPDATE event_lanes l SET ready_at = now() + coalesce(lk.wait, 0) * interval '1 second', owner = NULL,
         attempts = lk.claims
    FROM lk WHERE l.key = lk.key AND NOT lk.empty AND l.key = ANY (ARRAY(SELECT key FROM lk WHERE NOT empty)))
SELECT key, epoch, NOT empty AND wait IS NULL FROM lk";

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    /// Which runs, by `(key, epoch)`, were still ours.
    pub(crate) runs: HashSet<(i64, i64)>,
    /// Whether a lane of them is ready again at once.
    pub(crate) more: bool,
}

/// Stores the results of many lanes and answers which runs were still ours. One
/// batch may hold two runs of a lane: epochs never repeat.
/// Confirmed effects are stored even for a fenced lane: the write did happen.
///
/// # Errors
/// Any statement failure; nothing is stored then and the call may be repeated.
pub(crate) async fn complete<C: GenericClient>(client: &C, finished: &[FinishedLane]) -> Result<Completed, StoreError> {
    let events: Vec<(&FinishedLane, &FinishedEvent)> = finished
        .iter()
        .flat_map(|lane| lane.events.iter().map(move |event| (lane, event)))
        .collect();
    let logs: Vec<(&FinishedEvent, &LogEntry)> = events
        .iter()
        .flat_map(|(_, event)| event.log.iter().map(move |entry| (*event, entry)))
        .collect();
    let log_epochs: Vec<i64> = events
        .iter()
        .flat_map(|(lane, event)| event.log.iter().map(move |_| lane.epoch))
        .collect();
    let confirmed: Vec<Confirmed> = finished.iter().flat_map(|lane| lane.confirmed.clone()).collect();
    let (steps, ids, prints) = columns(&confirmed);
    let decisions: Vec<Option<String>> = logs
        .iter()
        .map(|(_, entry)| entry.decisions.as_ref().map(ToString::to_string))
        .collect();
    let statement = client.prepare_cached(COMPLETE).await?;
    let rows = client
        .query(
            &statement,
            &[
                &finished.iter().map(|l| l.key).collect::<Vec<_>>(),
                &finished.iter().map(|l| l.epoch).collect::<Vec<_>>(),
                &finished.iter().map(|l| l.through).collect::<Vec<_>>(),
                &finished
                    .iter()
                    .map(|l| l.wait.map(|w| w.as_secs_f64()))
                    .collect::<Vec<_>>(),
                &events.iter().map(|(_, e)| e.seq).collect::<Vec<_>>(),
                &events.iter().map(|(lane, _)| lane.key).collect::<Vec<_>>(),
                &events.iter().map(|(_, e)| e.table.as_str()).collect::<Vec<_>>(),
                &events.iter().map(|(_, e)| e.status.as_str()).collect::<Vec<_>>(),
                &events.iter().map(|(_, e)| e.attempts).collect::<Vec<_>>(),
                &events.iter().map(|(_, e)| e.error.as_deref()).collect::<Vec<_>>(),
                &logs.iter().map(|(e, _)| e.seq).collect::<Vec<_>>(),
                &logs.iter().map(|(_, g)| g.flow.as_str()).collect::<Vec<_>>(),
                &logs.iter().map(|(_, g)| g.entity_type.as_str()).collect::<Vec<_>>(),
                &logs.iter().map(|(_, g)| g.entity_id.as_str()).collect::<Vec<_>>(),
                &logs.iter().map(|(e, _)| e.source_id.as_str()).collect::<Vec<_>>(),
                &logs.iter().map(|(_, g)| g.target_id.as_deref()).collect::<Vec<_>>(),
                &logs.iter().map(|(_, g)| g.status.as_str()).collect::<Vec<_>>(),
                &logs.iter().map(|(e, _)| e.started_at).collect::<Vec<_>>(),
                &logs.iter().map(|(_, g)| g.message.as_deref()).collect::<Vec<_>>(),
                &logs.iter().map(|(e, _)| e.id.as_str()).collect::<Vec<_>>(),
                &decisions,
                &steps,
                &ids,
                &prints,
                &finished.iter().map(|l| l.arrivals).collect::<Vec<_>>(),
                &events.iter().map(|(lane, _)| lane.epoch).collect::<Vec<_>>(),
                &log_epochs,
                // Time-ordered: new rows share a page of the index.
                &logs.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>(),
                &finished.iter().map(|l| l.claims).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(Completed {
        runs: rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
        more: rows.iter().any(|row| row.get(2)),
    })
}
