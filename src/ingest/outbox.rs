//! Group commit: what arrives while one commit runs makes up the next one. At
//! low load a batch is one row and costs one commit; at high load the previous
//! commit is the timer. Deliveries that name a person alike take one flusher, in
//! arrival order: while the tables cannot be reached, and until what waited has
//! left the spool, into the spool.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::batch::{Ack, IngestError, Receipt, Waiting};
use super::drain::Drain;
use super::normalise::{Prepared, Rules};
use super::tables::{Outcome, Promise, Tables, record};
use crate::store::Db;
use crate::store::spool::Spool;

/// Most rows of one commit.
pub(super) const MAX_ROWS: usize = 256;
/// Most payload bytes of one commit.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The flushers' end: owns the receiving sides until [`Outbox::run`] returns.
pub struct Outbox {
    queues: Vec<mpsc::Receiver<Waiting>>,
    flusher: Flusher,
    drain: Drain,
}

/// What every flusher works with.
#[derive(Clone)]
struct Flusher {
    tables: Tables,
    /// Who has it may append to the spool, or empty it.
    turn: Arc<Mutex<()>>,
}

/// Who waits for a delivery, by its dedupe key.
type Waiter = (String, oneshot::Sender<Result<Receipt, IngestError>>);

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
        let (tables, turn) = (Tables { db, spool, wake }, Arc::default());
        let drain = Drain::new(tables.clone(), rules, Arc::clone(&turn));
        let flusher = Flusher { tables, turn };
        Self { queues, flusher, drain }
    }

    /// Stores batches until `stop`, then what still waits for its answer. What
    /// is in the spool then stays there for the next daemon.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.drain.run(stop.clone()));
        for queue in self.queues {
            tasks.spawn(self.flusher.clone().run(queue, stop.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a flusher or the drain ended badly");
                return;
            }
        }
    }
}

impl Flusher {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                waiting = queue.recv() => waiting,
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
        if !self.tables.spool.is_empty() {
            let _turn = self.turn.lock().await;
            // Unless the drain, whose turn it was, has just moved the last of them.
            if !self.tables.spool.is_empty() {
                return self.refuge(&events, waiters).await;
            }
        }
        match self.tables.store_all(&mut events, Promise::Open).await {
            Ok(outcome) => answer(waiters, &events, outcome),
            Err(error) => {
                tracing::warn!(%error, deliveries = events.len(), "database away; deliveries go to the spool");
                let _turn = self.turn.lock().await;
                self.refuge(&events, waiters).await;
            }
        }
    }

    /// Into the spool; the caller has the turn.
    async fn refuge(&self, events: &[Prepared], waiters: Vec<Waiter>) {
        let records = events.iter().map(record).collect();
        let kept = self.tables.spool.append(records).await.unwrap_or_else(|error| {
            tracing::error!(%error, "spool cannot be written");
            vec![false; events.len()]
        });
        let refused = kept.iter().filter(|kept| !**kept).count();
        if refused > 0 {
            tracing::error!(deliveries = refused, "deliveries could not be stored anywhere");
        }
        for (((_, ack), event), kept) in waiters.into_iter().zip(events).zip(kept) {
            let outcome = if kept {
                Ok(Receipt::Spool { stop: event.stops() })
            } else {
                Err(IngestError::Unavailable)
            };
            // The caller may have hung up; its delivery is stored all the same.
            ack.send(outcome).ok();
        }
    }
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

fn answer(waiters: Vec<Waiter>, events: &[Prepared], mut outcome: Outcome) {
    for ((key, ack), event) in waiters.into_iter().zip(events) {
        let stored = |ack| Ok(Receipt::Tables(ack, event.stopped()));
        // The first of equal deliveries in a batch is the stored one.
        let answer = if outcome.new.remove(&key) {
            stored(Ack::Stored)
        } else if outcome.lost.contains(&key) {
            Err(IngestError::Unavailable)
        } else {
            stored(Ack::Duplicate)
        };
        ack.send(answer).ok();
    }
}
