//! Group commit: what arrives while one commit runs makes up the next one. At
//! low load a batch is one row and costs one commit; at high load the previous
//! commit is the timer. One flusher per process keeps arrival order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{Ack, IngestError, Waiting};
use super::consent;
use super::keys::phone_key;
use super::normalise::{Intake, Prepared, Reading, Rules};
use crate::domain::{AlowareContactId, GhlContactId, Phone, Source};
use crate::store::ingest::{NewEvent, insert};
use crate::store::spool::{Record, Spool};
use crate::store::{Db, StoreError, contact_mappings};

/// Most rows of one commit.
const MAX_ROWS: usize = 256;
/// Most payload bytes of one commit.
const MAX_BYTES: usize = 1 << 20;
/// How long a commit is tried before its deliveries go to the spool.
const PATIENCE: Duration = Duration::from_millis(1500);

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

impl Outbox {
    pub(super) fn new(queue: mpsc::Receiver<Waiting>, db: Db, spool: Spool, rules: Rules, wake: Arc<Notify>) -> Self {
        Self {
            queue,
            db,
            spool,
            rules,
            wake,
        }
    }

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
        match self.store_all(events).await {
            Ok(new) => answer(batch, new),
            Err(error) => {
                tracing::warn!(%error, deliveries = batch.len(), "database away; deliveries go to the spool");
                self.refuge(batch).await;
            }
        }
    }

    /// Stores events; one that PostgreSQL refuses is stored in another form or
    /// set aside, so that it holds nobody up. Fails only while the database is away.
    async fn store_all(&self, events: Vec<Prepared>) -> Result<HashSet<String>, StoreError> {
        match self.store_patiently(events.clone()).await {
            Err(error) if !error.is_retryable() => {
                tracing::error!(%error, deliveries = events.len(), "batch refused; storing one by one");
                let mut new = HashSet::new();
                for event in events {
                    new.extend(self.store_single(event).await?);
                }
                Ok(new)
            }
            stored => stored,
        }
    }

    async fn store_single(&self, event: Prepared) -> Result<HashSet<String>, StoreError> {
        let mut plain = event.clone();
        for form in [event, plainer(&mut plain)] {
            match self.store_patiently(vec![form]).await {
                Err(error) if !error.is_retryable() => {
                    tracing::error!(%error, event.id = %plain.row.id, "delivery refused by the database");
                }
                stored => return stored,
            }
        }
        let set_aside = self.spool.set_aside(record(&plain)).await;
        metrics::counter!("deliveries_set_aside_total").increment(1);
        match set_aside {
            Ok(()) => Ok(HashSet::from([plain.row.dedupe_key])),
            Err(error) => {
                tracing::error!(%error, "a refused delivery could not be set aside");
                Ok(HashSet::new())
            }
        }
    }

    /// Tries until the patience ends; an ambiguous commit is made safe by dedupe.
    async fn store_patiently(&self, mut events: Vec<Prepared>) -> Result<HashSet<String>, StoreError> {
        let give_up = Instant::now() + PATIENCE;
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
        let records = batch.iter().map(|waiting| record(&waiting.prepared)).collect();
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
        let (mut from, mut moved) = (0, 0);
        loop {
            let (records, upto) = match self.spool.read(from, MAX_BYTES).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "spool cannot be read");
                    return Duration::from_secs(5);
                }
            };
            if records.is_empty() {
                break;
            }
            for chunk in records.chunks(MAX_ROWS) {
                let events: Vec<Prepared> = chunk.iter().flat_map(|record| self.reread(record)).collect();
                if let Err(error) = self.store_all(events).await {
                    tracing::warn!(%error, "spool not drained yet");
                    return Duration::from_secs(1);
                }
            }
            moved += records.len();
            from = upto;
        }
        match self.spool.clear(from).await {
            Ok(true) => tracing::info!(deliveries = moved, "spool drained"),
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

fn record(prepared: &Prepared) -> Record {
    let row = &prepared.row;
    let source = Source::parse(row.source).unwrap_or(Source::Ghl);
    Record::new(source, row.received_at, row.payload.clone())
}

/// The body written anew: numbers that JSON allows and jsonb does not are rounded.
fn plainer(event: &mut Prepared) -> Prepared {
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&event.row.payload) {
        event.row.payload = value.to_string();
    }
    event.clone()
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
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(events.len());
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
/// phone, when a mapping knows it; what it says of consent then has a number too.
async fn join_phone_lanes(client: &deadpool_postgres::Client, events: &mut [Prepared]) -> Result<(), StoreError> {
    let unknown = |event: &&Prepared| event.person.phone.is_none();
    let ghl: Vec<&str> = events
        .iter()
        .filter(unknown)
        .filter_map(|e| e.person.ghl.as_ref())
        .map(GhlContactId::as_str)
        .collect();
    let aloware: Vec<&str> = events
        .iter()
        .filter(unknown)
        .filter_map(|e| e.person.aloware.as_ref())
        .map(AlowareContactId::as_str)
        .collect();
    if ghl.is_empty() && aloware.is_empty() {
        return Ok(());
    }
    let phones: HashMap<String, String> = contact_mappings::phones_of(client, &ghl, &aloware)
        .await?
        .into_iter()
        .collect();
    for event in events.iter_mut().filter(|event| event.person.phone.is_none()) {
        let ghl = event.person.ghl.as_ref().map(GhlContactId::as_str);
        let id = ghl.or(event.person.aloware.as_ref().map(AlowareContactId::as_str));
        let Some(phone) = id.and_then(|id| phones.get(id)) else {
            continue;
        };
        event.row.order_key = phone_key(phone);
        if let (Some(words), Some(phone), true) = (
            &event.nameless_text,
            Phone::from_e164(phone),
            event.row.consent.is_empty(),
        ) {
            event.row.consent = consent::of_words(&phone, words, event.row.received_at);
        }
    }
    Ok(())
}
