//! The listener's end of the way into the database: hand a delivery over, wait
//! until it is durable.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use super::normalise::{Prepared, Rules};
use super::outbox::Outbox;
use crate::store::Db;
use crate::store::spool::Spool;

/// Deliveries that may wait for a commit of one flusher; beyond it the caller is
/// told to wait.
const QUEUE: usize = 4096;
/// Flushers of one process: while PostgreSQL commits one batch the next one is
/// being made. One person's deliveries always take the same one.
const FLUSHERS: usize = 2;

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

/// A delivery on its way, and who waits for it.
pub(super) struct Waiting {
    pub(super) prepared: Prepared,
    pub(super) ack: oneshot::Sender<Result<Ack, IngestError>>,
}

/// The listener's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    queues: Arc<[mpsc::Sender<Waiting>]>,
    spool: Spool,
}

impl Ingest {
    /// The two ends of the way into the database.
    pub fn new(db: Db, spool: Spool, rules: Rules, wake: Arc<Notify>) -> (Self, Outbox) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..FLUSHERS).map(|_| mpsc::channel(QUEUE)).unzip();
        let ingest = Self {
            queues: senders.into(),
            spool: spool.clone(),
        };
        (ingest, Outbox::new(receivers, db, spool, rules, wake))
    }

    /// The flusher of a lane.
    fn queue_of(&self, order_key: i64) -> Option<&mpsc::Sender<Waiting>> {
        let count = i64::try_from(self.queues.len()).unwrap_or(1).max(1);
        self.queues
            .get(usize::try_from(order_key.rem_euclid(count)).unwrap_or(0))
    }

    /// Stores the events of one body; returns when they are durable.
    ///
    /// # Errors
    /// [`IngestError`] when at least one is not durable.
    pub async fn store(&self, events: Vec<Prepared>) -> Result<Ack, IngestError> {
        let mut acks = Vec::with_capacity(events.len());
        for prepared in events {
            let (ack, done) = oneshot::channel();
            let queue = self.queue_of(prepared.row.order_key).ok_or(IngestError::Unavailable)?;
            queue
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
