//! Group commit: what arrives while one commit runs makes up the next one. At
//! low load a batch is one row and costs one commit; at high load the previous
//! commit is the timer. One flusher per process keeps arrival order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::phone_key;
use super::normalise::{Intake, Prepared, Reading, Rules};
use crate::domain::{AlowareContactId, GhlContactId, Source};
use crate::store::ingest::{NewEvent, insert};
use crate::store::spool::{Record, Spool};
use crate::store::{Db, StoreError, contact_mappings};

/// Most rows of one commit.
const MAX_ROWS: usize = 256;
/// Most payload bytes of one commit.
const MAX_BYTES: usize = 1 << 20;
/// Deliveries that may wait for a commit; beyond it the caller is told to wait.
const QUEUE: usize = 8192;
/// How long a commit is tried before its deliveries go to the spool.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A delivery is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is new.
    Stored,
    /// It was stored before.
    Duplicate,
}

/// A delivery is not durable: the caller must not answer 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The queue in front of the database is full.
    #[error("too many deliveries wait to be stored")]
    Busy,
    /// Neither PostgreSQL nor the spool took it.
    #[error("nowhere to store the delivery")]
    Unavailable,
}

struct Waiting {
    prepared: Prepared,
    ack: oneshot::Sender<Result<Ack, IngestError>>,
}

/// The listener's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    queue: mpsc::Sender<Waiting>,
    spool: Spool,
}

/// The flusher's end: owns the receiving side until [`Outbox::run`] returns.
pub struct Outbox {
    queue: mpsc::Receiver<Waiting>,
    db: Db,
    spool: Spool,
    rules: Rules,
    /// Rung after each commit that stored something.
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Ingest {
    /// The two ends of the way into the database.
    pub fn new(db: Db, spool: Spool, rules: Rules, wake: Arc<Notify>) -> (Self, Outbox) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let ingest = Self {
            queue: sender,
            spool: spool.clone(),
        };
        let outbox = Outbox {
            queue: receiver,
            db,
            spool,
            rules,
            wake,
        };
        (ingest, outbox)
    }

    /// Stores the events of one body; returns when they are durable.
    ///
    /// # Errors
    /// [`IngestError`] when at least one is not durable.
    pub async fn store(&self, events: Vec<Prepared>) -> Result<Ack, IngestError> {
        let mut acks = Vec::with_capacity(events.len());
        for prepared in events {
            let (ack, done) = oneshot::channel();
            self.queue
                .try_send(Waiting { prepared, ack })
                .map_err(|_| IngestError::Busy)?;
            acks.push(done);
        }
        let mut overall = Ack::Duplicate;
        for done in acks {
            if done.await.unwrap_or(Err(IngestError::Unavailable))? == Ack::Stored {
                overall = Ack::Stored;
            }
        }
        Ok(overall)
    }

    /// Whether every accepted delivery is in the database. While it is not, a
    /// STOP may be waiting in the spool and nothing may be sent.
    pub fn is_caught_up(&self) -> bool {
        self.spool.is_empty()
    }

    /// Bytes waiting in the spool.
    pub fn spooled_bytes(&self) -> u64 {
        self.spool.pending_bytes()
    }
}

impl Outbox {
    /// Stores batches until `stop`, then what still waits.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut drain_at = Instant::now();
        loop {
            // Before anything new, or a steady stream would never let the old ones in.
            if !self.spool.is_empty() && Instant::now() >= drain_at {
                drain_at = Instant::now() + self.drain().await;
            }
            let first = tokio::select! {
                biased;
                waiting = self.queue.recv() => waiting,
                () = tokio::time::sleep_until(drain_at), if !self.spool.is_empty() => continue,
                () = stop.cancelled() => {
                    self.queue.close();
                    self.queue.recv().await
                }
            };
            let Some(first) = first else { return };
            let batch = self.gather(first);
            self.flush(batch).await;
        }
    }

    fn gather(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut bytes = first.prepared.row.payload.len();
        let mut batch = vec![first];
        while batch.len() < MAX_ROWS && bytes < MAX_BYTES {
            let Ok(next) = self.queue.try_recv() else { break };
            bytes += next.prepared.row.payload.len();
            batch.push(next);
        }
        batch
    }

    async fn flush(&self, batch: Vec<Waiting>) {
        metrics::histogram!("ingest_batch_rows").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        // Order: while older deliveries wait in the spool, newer ones queue behind them.
        if !self.spool.is_empty() {
            return self.refuge(batch).await;
        }
        let events: Vec<Prepared> = batch.iter().map(|waiting| waiting.prepared.clone()).collect();
        match self.store_patiently(events).await {
            Ok(new) => answer(batch, new),
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, deliveries = batch.len(), "database away; deliveries go to the spool");
                self.refuge(batch).await;
            }
            Err(error) => {
                tracing::error!(%error, deliveries = batch.len(), "batch refused; storing one by one");
                for waiting in batch {
                    let stored = self.store_patiently(vec![waiting.prepared.clone()]).await;
                    match stored {
                        Ok(new) => answer(vec![waiting], new),
                        Err(error) => {
                            tracing::error!(%error, event.id = %waiting.prepared.row.id, "delivery refused by the database");
                            self.refuge(vec![waiting]).await;
                        }
                    }
                }
            }
        }
    }

    /// Tries until the patience ends; an ambiguous commit is made safe by dedupe.
    async fn store_patiently(&self, events: Vec<Prepared>) -> Result<HashSet<String>, StoreError> {
        let give_up = Instant::now() + PATIENCE;
        let mut events = events;
        loop {
            match self.store(&mut events).await {
                Ok(new) => return Ok(new),
                Err(error) if error.is_retryable() && Instant::now() < give_up => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn store(&self, events: &mut [Prepared]) -> Result<HashSet<String>, StoreError> {
        let mut client = self.db.client().await?;
        join_phone_lanes(&client, events).await?;
        let rows = collapse(events);
        let new: HashSet<String> = insert(&mut client, &rows).await?.into_iter().collect();
        metrics::counter!("events_stored_total").increment(u64::try_from(new.len()).unwrap_or(0));
        if !new.is_empty() {
            self.wake.notify_one();
        }
        Ok(new)
    }

    async fn refuge(&self, batch: Vec<Waiting>) {
        let records = batch
            .iter()
            .map(|waiting| {
                let row = &waiting.prepared.row;
                let source = Source::parse(row.source).unwrap_or(Source::Ghl);
                Record::new(source, row.received_at, row.payload.clone())
            })
            .collect();
        let outcome = match self.spool.append(records).await {
            Ok(()) => Ok(Ack::Stored),
            Err(error) => {
                tracing::error!(%error, deliveries = batch.len(), "deliveries could not be stored anywhere");
                Err(IngestError::Unavailable)
            }
        };
        for waiting in batch {
            // The caller may have hung up; its delivery is stored all the same.
            waiting.ack.send(outcome).ok();
        }
    }

    /// Moves the spool into the database; answers how long to wait before the
    /// next try.
    async fn drain(&self) -> Duration {
        let (records, upto) = match self.spool.read().await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "spool cannot be read");
                return Duration::from_secs(5);
            }
        };
        for chunk in records.chunks(MAX_ROWS) {
            let events: Vec<Prepared> = chunk.iter().flat_map(|record| self.reread(record)).collect();
            if let Err(error) = self.store_patiently(events).await {
                tracing::warn!(%error, "spool not drained yet");
                return Duration::from_secs(1);
            }
        }
        match self.spool.clear(upto).await {
            Ok(true) => tracing::info!(deliveries = records.len(), "spool drained"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "spool cannot be emptied; its deliveries are in the database"),
        }
        Duration::ZERO
    }

    fn reread(&self, record: &Record) -> Vec<Prepared> {
        let Some(source) = record.source() else {
            return Vec::new();
        };
        let reading = Reading {
            source,
            body: record.body.as_bytes(),
            received_at: record.received_at,
        };
        match reading.intake(&self.rules) {
            Ok(Intake::Events(events)) => events,
            Ok(Intake::Ping | Intake::NotAllowed) | Err(_) => Vec::new(),
        }
    }
}

fn answer(batch: Vec<Waiting>, mut new: HashSet<String>) {
    for waiting in batch {
        // The first of equal deliveries in a batch is the stored one.
        let ack = if new.remove(&waiting.prepared.row.dedupe_key) {
            Ack::Stored
        } else {
            Ack::Duplicate
        };
        waiting.ack.send(Ok(ack)).ok();
    }
}

/// One row per dedupe key. Consent of repeats is kept: applying it twice is
/// harmless, losing it is not.
fn collapse(events: &[Prepared]) -> Vec<NewEvent> {
    let mut rows: Vec<NewEvent> = Vec::with_capacity(events.len());
    let mut seen: std::collections::HashMap<&str, usize> = std::collections::HashMap::with_capacity(events.len());
    for prepared in events {
        let at = *seen.entry(prepared.row.dedupe_key.as_str()).or_insert(rows.len());
        match rows.get_mut(at) {
            Some(first) => first.consent.extend(prepared.row.consent.iter().cloned()),
            None => rows.push(prepared.row.clone()),
        }
    }
    rows
}

/// A delivery that names its person by id only joins the lane of that person's
/// phone, when a mapping knows it.
async fn join_phone_lanes(client: &deadpool_postgres::Client, events: &mut [Prepared]) -> Result<(), StoreError> {
    let unknown = |event: &&Prepared| event.person.phone.is_none();
    let ghl: Vec<&str> = events.iter().filter(unknown).filter_map(|e| e.person.ghl.as_ref()).map(GhlContactId::as_str).collect();
    let aloware: Vec<&str> =
        events.iter().filter(unknown).filter_map(|e| e.person.aloware.as_ref()).map(AlowareContactId::as_str).collect();
    if ghl.is_empty() && aloware.is_empty() {
        return Ok(());
    }
    let phones: std::collections::HashMap<String, String> =
        contact_mappings::phones_of(client, &ghl, &aloware).await?.into_iter().collect();
    for event in events.iter_mut().filter(|event| event.person.phone.is_none()) {
        let id = event.person.ghl.as_ref().map(GhlContactId::as_str).or(event.person.aloware.as_ref().map(AlowareContactId::as_str));
        if let Some(phone) = id.and_then(|id| phones.get(id)) {
            event.row.order_key = phone_key(phone);
        }
    }
    Ok(())
}
