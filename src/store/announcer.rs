//! Announcing writes, by group commit: what the runs of a process announce while
//! one commit is under way makes up the next one. A write is made only after the
//! commit that announced it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::effects::{Confirmed, Echo, Fence, Prior, columns};
use super::{Db, StoreError, within};

/// Most writes announced by one statement.
const MOST: usize = 128;
/// How long the statement may take; announcing bears repeating.
const ANSWER: Duration = Duration::from_secs(10);
/// How long an echo may take to come back: GHL redelivers for over an hour, and
/// the spool may hold a delivery longer.
const ECHO_TTL: Duration = Duration::from_secs(24 * 3600);

// `later`: several events may need one step; it stays as long as the last of them.
// `created_at` is when it was last announced: a call may be under way since then.
// `= ANY` fences the joins: the planner takes every list for a short one. A step
// that was neither known nor ours to insert was announced by somebody else at
// this moment: its outcome is unknown to us.
const ANNOUNCE: &str = "
WITH ask AS (SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[]) AS a(step, key, epoch, event_id)),
lanes AS MATERIALIZED (SELECT key, epoch FROM event_lanes WHERE key = ANY ($2)),
ours AS MATERIALIZED (
  SELECT a.* FROM ask a WHERE a.key IS NULL OR coalesce((a.key, a.epoch) IN (SELECT key, epoch FROM lanes), false)),
old AS MATERIALIZED (
  SELECT step, state, vendor_id, fingerprint, extract(epoch FROM now() - created_at)::float8 AS ago
    FROM effects WHERE step = ANY ($1)),
ins AS (
  INSERT INTO effects (step, state, event_id)
  SELECT step, 'intended', event_id FROM ours WHERE coalesce(step NOT IN (SELECT step FROM old), true) ORDER BY step
  ON CONFLICT (step) DO NOTHING RETURNING step),
later AS (
  UPDATE effects f SET event_id = greatest(f.event_id, o.event_id), created_at = now() FROM ours o
   WHERE f.step = o.step AND f.step = ANY ($1)
     AND (f.state = 'intended' OR f.event_id IS NULL OR f.event_id < o.event_id)),
expected AS MATERIALIZED (
  SELECT e.* FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
                    AS e(step, vendor, entity_id, fingerprint, replaces)
   WHERE coalesce(e.step IN (SELECT step FROM ours), false)),
echo AS (
  INSERT INTO echoes (vendor, entity_id, fingerprint, expires_at)
  SELECT DISTINCT vendor, entity_id, fingerprint, now() + $10::float8 * interval '1 second'
    FROM expected ORDER BY vendor, entity_id, fingerprint
  ON CONFLICT (vendor, entity_id, fingerprint) DO UPDATE SET expires_at = excluded.expires_at),
opposite AS (
  DELETE FROM echoes x USING expected e
   WHERE x.vendor = e.vendor AND x.entity_id = e.entity_id AND x.fingerprint = e.replaces),
confirm AS (
  UPDATE effects f SET state = 'done', vendor_id = c.vendor_id, fingerprint = c.fingerprint, done_at = now()
    FROM unnest($11::text[], $12::text[], $13::text[]) AS c(step, vendor_id, fingerprint)
   WHERE f.step = c.step AND f.step = ANY ($11))
SELECT o.step, coalesce(old.state, CASE WHEN ins.step IS NULL THEN 'intended' END), old.vendor_id, old.fingerprint,
       coalesce(old.ago, 0)
  FROM ours o LEFT JOIN old ON old.step = o.step LEFT JOIN ins ON ins.step = o.step";

/// A write about to be made.
#[derive(Debug)]
pub struct Announcement {
    /// Its name in the ledger.
    pub step: String,
    /// The claim under which it is made; `None` for work that a person asked for.
    pub fence: Option<Fence>,
    /// The event it belongs to.
    pub event_id: Option<Uuid>,
    /// The echoes it will cause.
    pub echoes: Vec<Echo>,
    /// Earlier writes of the same run, to be confirmed along with it.
    pub confirmed: Vec<Confirmed>,
}

type Answer = oneshot::Sender<Result<Prior, StoreError>>;

/// Where runs announce their writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Announcer {
    queue: mpsc::UnboundedSender<(Announcement, Answer)>,
}

/// The other end: [`Announcements::run`] stores what is announced.
#[derive(Debug)]
pub struct Announcements {
    db: Db,
    queue: mpsc::UnboundedReceiver<(Announcement, Answer)>,
}

impl Announcer {
    /// Both ends. The queue between them is as long as there are runs.
    pub fn new(db: Db) -> (Self, Announcements) {
        let (sender, queue) = mpsc::unbounded_channel();
        (Self { queue: sender }, Announcements { db, queue })
    }

    /// Stores that a write is about to be made and answers what was known of it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when the lane is no longer the caller's, else
    /// that the statement failed: the write must not be made.
    pub async fn announce(&self, announcement: Announcement) -> Result<Prior, StoreError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.send((announcement, answer));
        sent.map_err(|_| StoreError::Unavailable)?;
        answered.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

impl Announcements {
    /// Stores batches until `stop`, when nothing runs any more.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut later = Vec::new();
        loop {
            if later.is_empty() {
                tokio::select! {
                    next = self.queue.recv() => match next {
                        Some(first) => later.push(first),
                        None => return,
                    },
                    () = stop.cancelled() => return,
                }
            }
            // Runs that are about to announce join the batch.
            tokio::task::yield_now().await;
            while let Ok(next) = self.queue.try_recv() {
                later.push(next);
            }
            let batch = take_batch(&mut later);
            self.store(batch).await;
        }
    }

    /// One statement for all; when it is refused, each on its own, so that one
    /// cannot fail the others.
    async fn store(&self, batch: Vec<(Announcement, Answer)>) {
        let (announcements, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match self.try_store(&announcements).await {
            Ok(known) => reply(&announcements, answers, &known),
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, writes = answers.len(), "writes could not be announced");
                for answer in answers {
                    answer.send(Err(StoreError::Unavailable)).ok();
                }
            }
            Err(_) => {
                for (announcement, answer) in announcements.into_iter().zip(answers) {
                    let single = [announcement];
                    match self.try_store(&single).await {
                        Ok(known) => reply(&single, vec![answer], &known),
                        Err(error) => drop(answer.send(Err(error))),
                    }
                }
            }
        }
    }

    async fn try_store(&self, announcements: &[Announcement]) -> Result<HashMap<String, Prior>, StoreError> {
        within(ANSWER, async {
            announce(&self.db.client().await?, announcements).await
        })
        .await
    }
}

/// What one statement takes. A step that is in it already waits for the next
/// one, which will know of it.
fn take_batch(waiting: &mut Vec<(Announcement, Answer)>) -> Vec<(Announcement, Answer)> {
    let mut steps = HashSet::new();
    let (batch, rest) = std::mem::take(waiting)
        .into_iter()
        .partition(|(announcement, _)| steps.len() < MOST && steps.insert(announcement.step.clone()));
    *waiting = rest;
    batch
}

fn reply(announcements: &[Announcement], answers: Vec<Answer>, known: &HashMap<String, Prior>) {
    for (announcement, answer) in announcements.iter().zip(answers) {
        let prior = known.get(&announcement.step).cloned();
        // A run that was given up no longer listens.
        answer.send(prior.ok_or(StoreError::LeaseLost)).ok();
    }
}

/// Announces writes with the echoes they will cause and confirms earlier ones,
/// in one round trip. A step that is missing in the answer was fenced.
///
/// # Errors
/// Any statement failure; nothing is announced then.
async fn announce<C: GenericClient>(
    client: &C,
    announcements: &[Announcement],
) -> Result<HashMap<String, Prior>, StoreError> {
    let echoes: Vec<(&str, &Echo)> = announcements
        .iter()
        .flat_map(|a| a.echoes.iter().map(|echo| (a.step.as_str(), echo)))
        .collect();
    let confirmed: Vec<Confirmed> = announcements.iter().flat_map(|a| a.confirmed.clone()).collect();
    let (steps, ids, prints) = columns(&confirmed);
    let statement = client.prepare_cached(ANNOUNCE).await?;
    let rows = client
        .query(
            &statement,
            &[
                &announcements.iter().map(|a| a.step.as_str()).collect::<Vec<_>>(),
                &announcements.iter().map(|a| a.fence.map(|f| f.key)).collect::<Vec<_>>(),
                &announcements
                    .iter()
                    .map(|a| a.fence.map(|f| f.epoch))
                    .collect::<Vec<_>>(),
                &announcements.iter().map(|a| a.event_id).collect::<Vec<_>>(),
                &echoes.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
                &echoes.iter().map(|(_, e)| e.vendor).collect::<Vec<_>>(),
                &echoes.iter().map(|(_, e)| e.entity_id.as_str()).collect::<Vec<_>>(),
                &echoes.iter().map(|(_, e)| e.fingerprint.as_str()).collect::<Vec<_>>(),
                &echoes.iter().map(|(_, e)| e.replaces.as_str()).collect::<Vec<_>>(),
                &ECHO_TTL.as_secs_f64(),
                &steps,
                &ids,
                &prints,
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let prior = match row.get::<_, Option<&str>>(1) {
                None => Prior::Fresh,
                Some("done") => Prior::Done {
                    vendor_id: row.get(2),
                    fingerprint: row.get(3),
                },
                Some(_) => Prior::Unconfirmed {
                    ago: Duration::try_from_secs_f64(row.get(4)).unwrap_or_default(),
                },
            };
            (row.get(0), prior)
        })
        .collect())
}
