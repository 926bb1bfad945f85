//! The listener's end of the way into the database: hand a delivery over, wait
//! until it is durable.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use super::normalise::{Prepared, Rules};
use super::outbox::Outbox;
use crate::domain::{Cause, Move, Phone};
use crate::store::notice::Notice;
use crate::store::spool::Spool;
use crate::store::{Db, outbound_messages};

/// Deliveries that may wait for a commit of one flusher; beyond it the caller is
/// told to wait.
const QUEUE: usize = 4096;
/// Flushers of one process: while PostgreSQL commits one batch the next one is
/// being made. One person's deliveries always take the same one.
const FLUSHERS: usize = 2;

/// How long the answer to a STOP waits for a text that is with the vendor.
const CALL_UNDER_WAY: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(10);

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

/// Where a delivery is durable; what its answer must still wait for.
pub(super) enum Receipt {
    /// In the tables, and the numbers that a STOP in it has blocked.
    Tables(Ack, Vec<Phone>),
    /// In the spool, and whether there is a STOP in it.
    Spool { stop: bool },
}

/// A delivery on its way, and who waits for it.
pub(super) struct Waiting {
    pub(super) prepared: Prepared,
    pub(super) ack: oneshot::Sender<Result<Receipt, IngestError>>,
}

impl Prepared {
    /// The numbers that a STOP in it blocks.
    pub(super) fn stopped(&self) -> Vec<Phone> {
        let stops = self.row.consent.iter();
        let stops = stops.filter(|change| (change.cause, change.action) == (Cause::ConsumerStop, Move::Block));
        stops.map(|change| change.phone.clone()).collect()
    }

    /// Whether there is a STOP in it, be its number known or not.
    pub(super) fn stops(&self) -> bool {
        !self.stopped().is_empty() || self.nameless.iter().any(super::consent::Said::is_stop)
    }
}

/// The listener's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    queues: Arc<[mpsc::Sender<Waiting>]>,
    db: Db,
    spool: Spool,
    notice: Notice,
}

impl Ingest {
    /// The two ends of the way into the database.
    pub fn new(db: Db, spool: Spool, notice: Notice, rules: Rules, wake: Arc<Notify>) -> (Self, Outbox) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..FLUSHERS).map(|_| mpsc::channel(QUEUE)).unzip();
        let ingest = Self {
            queues: senders.into(),
            db: db.clone(),
            spool: spool.clone(),
            notice,
        };
        (ingest, Outbox::new(receivers, db, spool, rules, wake))
    }

    /// The flusher of a lane.
    fn queue_of(&self, order_key: i64) -> Option<&mpsc::Sender<Waiting>> {
        let count = i64::try_from(self.queues.len()).unwrap_or(1).max(1);
        self.queues
            .get(usize::try_from(order_key.rem_euclid(count)).unwrap_or(0))
    }

    /// Stores the events of one body; returns when they are durable, and a STOP
    /// among them when it holds: no text to its number is under way any more, and
    /// no other daemon goes by a registry that lacks it.
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
        let (mut overall, mut blocked, mut spooled_stop) = (Ack::Duplicate, Vec::new(), false);
        for done in acks {
            match done.await.unwrap_or(Err(IngestError::Unavailable))? {
                Receipt::Tables(ack, stopped) => {
                    blocked.extend(stopped);
                    if ack == Ack::Stored {
                        overall = ack;
                    }
                }
                Receipt::Spool { stop } => {
                    overall = Ack::Stored;
                    spooled_stop |= stop;
                }
            }
        }
        if spooled_stop {
            self.notice.heeded().await;
        }
        if !blocked.is_empty() {
            self.calls_end(&blocked).await;
        }
        Ok(overall)
    }

    /// Waits for the texts to these numbers that were cleared before the block.
    async fn calls_end(&self, phones: &[Phone]) {
        let phones: Vec<&str> = phones.iter().map(Phone::as_str).collect();
        let ended = async {
            loop {
                if let Ok(client) = self.db.client().await
                    && let Ok(false) = outbound_messages::under_way(&client, &phones).await
                {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(CALL_UNDER_WAY, ended).await.is_err() {
            tracing::warn!("a STOP is answered while an earlier text may still be with the vendor");
        }
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
