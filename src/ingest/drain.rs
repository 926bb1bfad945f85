//! The spool's way into the tables, in order, piece by piece, beside the
//! flushers. New deliveries queue up behind the spool meanwhile; they cannot keep
//! it from getting empty, because they take turns with it, and it moves more in
//! one turn than they append in theirs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::normalise::{Intake, Prepared, Reading, Rules};
use super::outbox::{MAX_BYTES, MAX_ROWS};
use super::tables::{Promise, Tables};
use crate::store::spool::Record;

/// How often an empty spool is looked at.
const IDLE: Duration = Duration::from_millis(250);
/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of one step: more than what both flushers append in theirs.
const PIECE: usize = 4 * MAX_BYTES;

/// Moves the spool into the tables.
pub(super) struct Drain {
    tables: Tables,
    rules: Rules,
    /// Shared with the flushers: who has it may append to the spool, or empty it.
    turn: Arc<Mutex<()>>,
    /// Up to where the file is in the tables.
    from: u64,
    moved: usize,
    /// Whether the last step failed, or there was none.
    in_doubt: bool,
}

/// What a step came to.
enum Step {
    Moved,
    /// Nothing to do: the spool is empty, or another daemon's.
    Idle,
    Failed,
}

impl Drain {
    pub(super) fn new(tables: Tables, rules: Rules, turn: Arc<Mutex<()>>) -> Self {
        Self {
            tables,
            rules,
            turn,
            from: 0,
            moved: 0,
            in_doubt: true,
        }
    }

    /// Drains until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.step().await {
                Step::Moved => continue,
                Step::Idle => IDLE,
                Step::Failed => PAUSE,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn step(&mut self) -> Step {
        if self.tables.spool.is_empty() || !self.tables.spool.is_ours() {
            return Step::Idle;
        }
        let outcome = if self.in_doubt {
            // A silent database must not keep deliveries out of the spool: nobody waits for us.
            self.move_piece().await
        } else {
            let turn = Arc::clone(&self.turn);
            let _turn = turn.lock().await;
            self.move_or_clear().await
        };
        self.in_doubt = !matches!(outcome, Step::Moved);
        outcome
    }

    /// Moves the next piece; empties the file when that was the last one.
    async fn move_or_clear(&mut self) -> Step {
        let before = self.from;
        let outcome = self.move_piece().await;
        if !matches!(outcome, Step::Moved) {
            return outcome;
        }
        match self.tables.spool.clear(self.from).await {
            Ok(true) => {
                tracing::info!(deliveries = self.moved, "spool drained");
                (self.from, self.moved) = (0, 0);
                Step::Moved
            }
            Ok(false) if self.from == before => {
                tracing::error!(at = before, "spool cannot be read beyond a damaged place");
                Step::Failed
            }
            Ok(false) => Step::Moved,
            Err(error) => {
                tracing::error!(%error, "spool cannot be emptied; its deliveries are in the database");
                Step::Failed
            }
        }
    }

    async fn move_piece(&mut self) -> Step {
        let (records, upto) = match self.tables.spool.read(self.from, PIECE).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "spool cannot be read");
                return Step::Failed;
            }
        };
        for chunk in records.chunks(MAX_ROWS) {
            let mut events: Vec<Prepared> = chunk.iter().flat_map(|record| self.reread(record)).collect();
            // Deliveries may wait for their turn: one try, another in a second.
            if let Err(error) = self.tables.store_all(&mut events, Promise::Given).await {
                tracing::warn!(%error, "spool not drained yet");
                return Step::Failed;
            }
        }
        self.from = upto;
        self.moved += records.len();
        Step::Moved
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
