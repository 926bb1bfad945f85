//! Group commit: what arrives while one commit runs makes up the next one. At
//! low load a batch is one row and costs one commit; at high load the previous
//! commit is the timer. One person's deliveries take one flusher, in arrival order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{Ack, IngestError, Waiting};
use super::consent;
use super::keys::phone_key;
use super::normalise::{Intake, Prepared, Reading, Rules};
use crate::domain::{AlowareContactId, GhlContactId, Phone, Source};
use crate::store::ingest::{NewEvent, insert};
use crate::store::spool::{Record, Spool};
use crate::store::{Db, StoreError, contact_mappings, within};

/// Most rows of one commit.
const MAX_ROWS: usize = 256;
/// Most payload bytes of one commit.
const MAX_BYTES: usize = 1 << 20;
/// How often an idle flusher looks whether the spool holds something.
const IDLE: Duration = Duration::from_millis(250);
/// How long a commit is tried before its deliveries go to the spool.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long one commit may take; its outcome is unknown then.
const COMMIT: Duration = Duration::from_secs(3);

/// The flushers' end: owns the receiving sides until [`Outbox::run`] returns.
pub struct Outbox {
    queues: Vec<mpsc::Receiver<Waiting>>,
    flusher: Flusher,
}

/// What every flusher works with.
#[derive(Clone)]
struct Flusher {
    db: Db,
    spool: Spool,
    rules: Rules,
    /// Rung after each commit that stored something.
    wake: Arc<Notify>,
}

/// Who waits for a delivery, by its dedupe key.
type Waiter = (String, oneshot::Sender<Result<Ack, IngestError>>);

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    pub(super) fn new(
        queues: Vec<mpsc::Receiver<Waiting>>,
        db: Db,
        spool: Spool,
        rules: Rules,
        wake: Arc<Notify>,
    ) -> Self {
        let flusher = Flusher { db, spool, rules, wake };
        Self { queues, flusher }
    }

    /// Stores batches until `stop`, then what still waits.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        for (index, queue) in self.queues.into_iter().enumerate() {
            // One of them drains the spool, so that it is drained in order.
            tasks.spawn(self.flusher.clone().run(queue, stop.clone(), index == 0));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a flusher ended badly");
                return;
            }
        }
    }
}

impl Flusher {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>, stop: CancellationToken, drains: bool) {
        let mut drain_at = Instant::now();
        loop {
            // Before anything new, or a steady stream would never let the old ones in.
            if drains && !self.spool.is_empty() && Instant::now() >= drain_at {
                drain_at = Instant::now() + self.drain().await;
            }
            let first = tokio::select! {
                biased;
                waiting = queue.recv() => waiting,
                () = tokio::time::sleep_until(drain_at.max(Instant::now() + IDLE)), if drains => continue,
                () = stop.cancelled() => {
                    queue.close();
                    queue.recv().await
                }
            };
            let Some(first) = first else { return };
            let (events, waiters) = gather(first, &mut queue);
            self.flush(events, waiters).await;
        }
    }

    async fn flush(&self, mut events: Vec<Prepared>, waiters: Vec<Waiter>) {
        metrics::histogram!("ingest_batch_rows").record(u32::try_from(events.len()).unwrap_or(u32::MAX));
        // Order: while older deliveries wait in the spool, newer ones queue behind them.
        if !self.spool.is_empty() {
            return self.refuge(&events, waiters).await;
        }
        match self.store_all(&mut events, PATIENCE).await {
            Ok(new) => answer(waiters, new),
            Err(error) => {
                tracing::warn!(%error, deliveries = events.len(), "database away; deliveries go to the spool");
                self.refuge(&events, waiters).await;
            }
        }
    }

    /// Stores events; one that PostgreSQL refuses is stored in another form or
    /// set aside, so that it holds nobody up. Fails only while the database is
    /// away, or when what it refuses cannot be set aside.
    async fn store_all(&self, events: &mut [Prepared], patience: Duration) -> Result<HashSet<String>, StoreError> {
        match self.store_patiently(events, patience).await {
            Err(error) if !error.is_retryable() => {
                tracing::error!(%error, deliveries = events.len(), "batch refused; storing one by one");
                let mut new = HashSet::new();
                for event in events {
                    new.extend(self.store_single(event, patience).await?);
                }
                Ok(new)
            }
            stored => stored,
        }
    }

    async fn store_single(&self, event: &mut Prepared, patience: Duration) -> Result<HashSet<String>, StoreError> {
        let mut plainer = false;
        let refusal = loop {
            match self.store_patiently(std::slice::from_mut(event), patience).await {
                Err(error) if !error.is_retryable() => {
                    tracing::error!(%error, event.id = %event.row.id, "delivery refused by the database");
                    if plainer {
                        break error;
                    }
                    plainer = true;
                    write_anew(event);
                }
                stored => return stored,
            }
        };
        match self.spool.set_aside(record(event)).await {
            Ok(()) => {
                metrics::counter!("deliveries_set_aside_total").increment(1);
                Ok(HashSet::from([event.row.dedupe_key.clone()]))
            }
            Err(error) => {
                // Kept nowhere: nobody may hear that it is stored.
                tracing::error!(%error, "a refused delivery could not be set aside");
                Err(refusal)
            }
        }
    }

    /// Tries until the patience ends; an ambiguous commit is made safe by dedupe.
    async fn store_patiently(
        &self,
        events: &mut [Prepared],
        patience: Duration,
    ) -> Result<HashSet<String>, StoreError> {
        let give_up = Instant::now() + patience;
        loop {
            match within(COMMIT, self.store(events)).await {
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
        let (rows, repeats) = collapse(events);
        let new: HashSet<String> = insert(&mut client, &rows, &repeats).await?.into_iter().collect();
        metrics::counter!("events_stored_total").increment(u64::try_from(new.len()).unwrap_or(0));
        if !new.is_empty() {
            self.wake.notify_one();
        }
        Ok(new)
    }

    async fn refuge(&self, events: &[Prepared], waiters: Vec<Waiter>) {
        let records = events.iter().map(record).collect();
        let kept = self.spool.append(records).await.unwrap_or_else(|error| {
            tracing::error!(%error, "spool cannot be written");
            vec![false; events.len()]
        });
        let refused = kept.iter().filter(|kept| !**kept).count();
        if refused > 0 {
            tracing::error!(deliveries = refused, "deliveries could not be stored anywhere");
        }
        for ((_, ack), kept) in waiters.into_iter().zip(kept) {
            let outcome = if kept {
                Ok(Ack::Stored)
            } else {
                Err(IngestError::Unavailable)
            };
            // The caller may have hung up; its delivery is stored all the same.
            ack.send(outcome).ok();
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
            from = upto;
            if records.is_empty() {
                break;
            }
            for chunk in records.chunks(MAX_ROWS) {
                let mut events: Vec<Prepared> = chunk.iter().flat_map(|record| self.reread(record)).collect();
                // Deliveries wait for this flusher: one try, another in a second.
                if let Err(error) = self.store_all(&mut events, Duration::ZERO).await {
                    tracing::warn!(%error, "spool not drained yet");
                    return Duration::from_secs(1);
                }
            }
            moved += records.len();
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

/// What one commit takes: the first delivery and what waits behind it.
fn gather(first: Waiting, queue: &mut mpsc::Receiver<Waiting>) -> (Vec<Prepared>, Vec<Waiter>) {
    let mut bytes = 0;
    let (mut events, mut waiters) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(waiting) = next {
        bytes += waiting.prepared.row.payload.len();
        waiters.push((waiting.prepared.row.dedupe_key.clone(), waiting.ack));
        events.push(waiting.prepared);
        let full = events.len() >= MAX_ROWS || bytes >= MAX_BYTES;
        next = if full { None } else { queue.try_recv().ok() };
    }
    (events, waiters)
}

/// Writes the body anew: numbers that JSON allows and jsonb does not are rounded.
fn write_anew(event: &mut Prepared) {
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&event.row.payload) {
        event.row.payload = value.to_string();
    }
}

fn answer(waiters: Vec<Waiter>, mut new: HashSet<String>) {
    for (key, ack) in waiters {
        // The first of equal deliveries in a batch is the stored one.
        let outcome = if new.remove(&key) { Ack::Stored } else { Ack::Duplicate };
        ack.send(Ok(outcome)).ok();
    }
}

/// One row per dedupe key, and the repeats: their consent counts all the same.
fn collapse(events: &[Prepared]) -> (Vec<&NewEvent>, Vec<&NewEvent>) {
    let mut seen = HashSet::with_capacity(events.len());
    events
        .iter()
        .map(|event| &event.row)
        .partition(|row| seen.insert(row.dedupe_key.as_str()))
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
