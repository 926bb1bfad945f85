//! Running one claimed lane: its events one after the other, until one must
//! wait, the time slice ends, or the daemon stops.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{Fate, RetryPolicy, fate};
use super::claim::{ClaimedEvent, ClaimedLane};
use super::complete::{FinishedEvent, FinishedLane};
use super::trial::Standing;
use crate::domain::{Entity, Event, EventStatus, Failure, Flow, LogEntry, Source, SyncStatus, Verdict};
use crate::store::effects::{Confirmed, Fence};

/// Longest run of one event; past it the run counts as a transient failure.
const EVENT_DEADLINE: Duration = Duration::from_secs(120);
/// A lane that ran this long gives its results back before it takes more.
const TIME_SLICE: Duration = Duration::from_secs(1);
/// How long a lane without visible events waits before it is looked at again.
const EMPTY_WAIT: Duration = Duration::from_millis(50);

/// What runs an event. Must be idempotent: an event runs at least once.
pub trait Handler: Send + Sync + 'static {
    /// Runs one event to its effect.
    fn handle<'a>(&'a self, event: &'a Event, context: &'a RunContext) -> BoxFuture<'a, Report>;
}

/// The claim under which an event runs.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Proves to the ledger that the lane is still ours.
    pub fence: Fence,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// Writes that were made and are not yet confirmed in the ledger.
    pub confirmed: Vec<Confirmed>,
}

/// The ways a running lane is made to end early.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    /// The daemon stops: finish the event at hand, hand back the rest.
    pub(crate) draining: CancellationToken,
    /// The lease is lost or the grace is over: hand back at once.
    pub(crate) abort: CancellationToken,
    /// Until when the lease holds by our own clock. Looked at before a run goes
    /// on, whatever it waited for: after a freeze nobody else may have been told.
    pub(crate) lease: watch::Receiver<Instant>,
}

impl Stops {
    fn lease_is_over(&self) -> bool {
        *self.lease.borrow() <= Instant::now()
    }

    /// Ends when the lane must be handed back at once. The lease is not waited
    /// for: who renews it wakes us through `abort`.
    async fn at_once(&self) {
        let mut aborted = pin!(self.abort.cancelled());
        poll_fn(|context| {
            if self.lease_is_over() {
                return Poll::Ready(());
            }
            aborted.as_mut().poll(context)
        })
        .await;
    }
}

/// Runs a claimed lane and says what to store.
pub(crate) async fn run(lane: ClaimedLane, handler: &dyn Handler, policy: &RetryPolicy, stops: &Stops) -> FinishedLane {
    let mut finished = FinishedLane {
        key: lane.key,
        epoch: lane.epoch,
        arrivals: lane.arrivals,
        through: 0,
        wait: None,
        events: Vec::with_capacity(lane.events.len()),
        confirmed: Vec::new(),
        trial: None,
    };
    if lane.events.is_empty() {
        release_empty(&lane, &mut finished);
        return finished;
    }
    let context = RunContext {
        fence: Fence {
            key: lane.key,
            epoch: lane.epoch,
        },
    };
    let started = Instant::now();
    for claimed in lane.events {
        let later = finished.wait.is_some()
            || stops.draining.is_cancelled()
            || stops.abort.is_cancelled()
            || stops.lease_is_over()
            || (finished.through > 0 && started.elapsed() > TIME_SLICE);
        if later {
            finished.events.push(hand_back(claimed.envelope()));
            continue;
        }
        let poison = Standing::of(lane.claims) == Standing::Condemned;
        let seq = claimed.envelope().seq;
        let (event, wait) = run_event(
            claimed,
            poison,
            handler,
            policy,
            &context,
            stops,
            &mut finished.confirmed,
        )
        .await;
        let closed = matches!(event.status, EventStatus::Done | EventStatus::Error);
        finished.events.push(event);
        if closed {
            finished.through = seq;
        } else {
            finished.wait = Some(wait);
        }
    }
    finished
}

/// A lane without visible events is let go once; if it is empty again, nothing
/// is left under it (a person closed or deleted its rows).
fn release_empty(lane: &ClaimedLane, finished: &mut FinishedLane) {
    if lane.claims > 1 {
        finished.through = lane.tail_seq;
    } else {
        finished.through = -1;
        finished.wait = Some(EMPTY_WAIT);
    }
}

async fn run_event(
    claimed: ClaimedEvent,
    poison: bool,
    handler: &dyn Handler,
    policy: &RetryPolicy,
    context: &RunContext,
    stops: &Stops,
    confirmed: &mut Vec<Confirmed>,
) -> (FinishedEvent, Duration) {
    let quarantined = claimed.quarantined;
    let (event, readable) = claimed.open();
    let mut record = hand_back(&event);
    record.started_at = Utc::now();
    if quarantined {
        record.status = EventStatus::Done;
        record.error = Some("quarantined".to_owned());
        record.log.push(own_row(&event, SyncStatus::Skipped, "quarantined"));
        return (record, Duration::ZERO);
    }
    let verdict = if poison {
        Err(Failure::permanent("poison: the process ended whenever this event ran"))
    } else if !readable {
        Err(Failure::permanent("the payload is beyond what can be read"))
    } else {
        tokio::select! {
            biased;
            () = stops.at_once() => return (record, Duration::ZERO),
            outcome = guarded(handler, &event, context) => match outcome {
                Ok(report) => {
                    confirmed.extend(report.confirmed);
                    report.verdict
                }
                Err(failure) => Err(failure),
            },
        }
    };
    let wait = settle(&mut record, &event, verdict, policy);
    (record, wait)
}

/// Runs the handler within its deadline; a panic in it is a failed run, not
/// the end of the lane.
async fn guarded(handler: &dyn Handler, event: &Event, context: &RunContext) -> Result<Report, Failure> {
    let run = AssertUnwindSafe(handler.handle(event, context)).catch_unwind();
    match tokio::time::timeout(EVENT_DEADLINE, run).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(_)) => Err(Failure::transient("handler panicked")),
        Err(_) => Err(Failure::transient("event deadline exceeded")),
    }
}

/// Turns a verdict into the row to store; answers how long the lane must wait.
fn settle(record: &mut FinishedEvent, event: &Event, verdict: Verdict, policy: &RetryPolicy) -> Duration {
    match verdict {
        Ok(outcome) => {
            record.status = EventStatus::Done;
            record.error = None;
            record.log = outcome.log;
            Duration::ZERO
        }
        Err(failure) => {
            let reason = failure.reason().replace('\0', "");
            record.error = Some(reason.clone());
            record.log.push(own_row(event, SyncStatus::Error, &reason));
            match fate(policy, &failure, event.attempts, rand::random()) {
                Fate::Again { wait, attempts } => {
                    record.attempts = attempts;
                    wait
                }
                Fate::Dead { attempts } => {
                    metrics::counter!("events_dead_total").increment(1);
                    record.status = EventStatus::Error;
                    record.attempts = attempts;
                    Duration::ZERO
                }
            }
        }
    }
}

fn hand_back(event: &Event) -> FinishedEvent {
    FinishedEvent {
        table: event.table,
        seq: event.seq,
        id: event.id.to_string(),
        source_id: event.entity_id.clone(),
        status: EventStatus::Pending,
        attempts: event.attempts,
        error: None,
        started_at: event.received_at,
        log: Vec::new(),
    }
}

fn own_row(event: &Event, status: SyncStatus, message: &str) -> LogEntry {
    let flow = match Source::parse(&event.source) {
        Some(Source::Aloware) => Flow::AlowareToGhl,
        Some(Source::Ghl) => Flow::GhlToAloware,
        Some(Source::Texting) => Flow::TextingToGhl,
        None => Flow::Unknown,
    };
    let entity = Entity::parse(&event.entity_type).unwrap_or(Entity::Unknown);
    LogEntry {
        status,
        ..LogEntry::skipped(flow, entity, &event.entity_id, message)
    }
}
