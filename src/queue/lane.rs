//! Running one claimed lane: its events one after the other, until one must
//! wait, the time slice ends, or the daemon stops. Events that only say "look
//! again" run as one.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::backoff::RetryPolicy;
use super::claim::ClaimedLane;
use super::coalesce::runs;
use super::complete::{FinishedEvent, FinishedLane};
use super::settle::{Due, Run, close_coalesced, close_quarantined, hand_back, settle};
use super::stops::Stops;
use super::trial::Standing;
use crate::domain::{Event, EventStatus, Failure, RetryClass, Verdict};
use crate::store::effects::{Confirmed, Fence};

/// Longest run of one event, for [`RetryPolicy::deadline`].
pub const EVENT_DEADLINE: Duration = Duration::from_secs(120);
/// A lane that ran this long gives its results back before it takes more.
const TIME_SLICE: Duration = Duration::from_secs(1);
/// How long a lane without visible events waits before it is looked at again.
const EMPTY_WAIT: Duration = Duration::from_millis(50);

/// What runs an event. Must be idempotent: an event runs at least once.
pub trait Handler: Send + Sync + 'static {
    /// Runs one event to its effect.
    fn handle<'a>(&'a self, event: &'a Event, context: &'a RunContext) -> BoxFuture<'a, Report>;

    /// The name of what the event asks to bring up to date, if the run of a later
    /// event with the same answer achieves all that a run of this one would. Pure.
    /// Such events back to back run as one: the newest, which carries the others.
    fn coalesces(&self, _event: &Event) -> Option<String> {
        None
    }

    /// Whether the event is to be tried for as long as a retry may cure it: its
    /// loss would harm a person. Pure.
    fn must_arrive(&self, _event: &Event) -> bool {
        false
    }
}

/// The claim under which an event runs.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Proves to the ledger that the lane is still ours.
    pub fence: Fence,
    /// How many earlier events the run stands for, too ([`Handler::coalesces`]).
    pub carries: usize,
    /// Whether the run before did not report back: its last call may be under way.
    pub resumed: bool,
    /// Writes of earlier runs of this claim, in place and not yet stored as such.
    pub unstored: Vec<Confirmed>,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// Writes that were made and are not yet confirmed in the ledger.
    pub confirmed: Vec<Confirmed>,
}

/// Runs a claimed lane and says what to store.
pub(crate) async fn run(lane: ClaimedLane, handler: &dyn Handler, policy: &RetryPolicy, stops: &Stops) -> FinishedLane {
    let mut finished = unrun(&lane);
    if lane.events.is_empty() {
        release_empty(&lane, &mut finished);
        return finished;
    }
    let worker = Worker {
        handler,
        policy,
        stops,
        fence: Fence {
            key: lane.key,
            epoch: lane.epoch,
        },
        resumed: lane.claims > 1,
        poison: Standing::of(lane.claims) == Standing::Condemned,
    };
    let started = Instant::now();
    let mut groups = worker.groups(lane);
    while let Some(group) = groups.pop_front() {
        let slice_over = started.elapsed() > TIME_SLICE && finished.events.iter().any(is_closed);
        if finished.wait.is_some() || slice_over || stops.are_set() {
            finished.events.extend(group.iter().map(|due| hand_back(&due.event)));
            continue;
        }
        let mut ended = worker.run(group, &finished.confirmed).await;
        if !ended.waits_for_a_call {
            finished.claims = 0;
        }
        finished.events.append(&mut ended.rows);
        finished.confirmed.append(&mut ended.confirmed);
        finished.wait = ended.wait;
        for due in ended.singly.into_iter().rev() {
            groups.push_front(vec![due]);
        }
    }
    finished.events.sort_unstable_by_key(|event| event.seq);
    // Up to the first that is still open: a carrier may have ended before those it carried.
    finished.through = finished
        .events
        .iter()
        .take_while(|event| is_closed(event))
        .last()
        .map_or(0, |event| event.seq);
    finished
}

/// Lets a claimed lane go for a while, unrun.
pub(super) fn postpone(lane: ClaimedLane, wait: Duration) -> FinishedLane {
    let mut finished = unrun(&lane);
    let events = lane.events.into_iter().map(|event| hand_back(&event.open().0));
    finished.events = events.collect();
    finished.wait = Some(wait);
    finished
}

/// What there is to store of a lane before anything of it ran.
fn unrun(lane: &ClaimedLane) -> FinishedLane {
    FinishedLane {
        key: lane.key,
        epoch: lane.epoch,
        arrivals: lane.arrivals,
        // Not even this claim counts, until an event is run.
        claims: lane.claims.saturating_sub(1),
        through: 0,
        wait: None,
        events: Vec::with_capacity(lane.events.len()),
        confirmed: Vec::new(),
        trial: None,
    }
}

fn is_closed(event: &FinishedEvent) -> bool {
    matches!(event.status, EventStatus::Done | EventStatus::Error)
}

/// A lane without visible events is let go once; if it is empty again, nothing
/// is left under it (a person closed or deleted its rows).
fn release_empty(lane: &ClaimedLane, finished: &mut FinishedLane) {
    if lane.claims > 1 {
        finished.through = lane.tail_seq;
    } else {
        finished.claims = lane.claims;
        finished.wait = Some(EMPTY_WAIT);
    }
}

/// How the run of a group ended.
#[derive(Default)]
struct Ended {
    rows: Vec<FinishedEvent>,
    /// The lane must wait this long.
    wait: Option<Duration>,
    /// Nothing was tried: the process's deaths before this claim stay counted, and
    /// should it die while the lane waits, that says nothing about the event.
    waits_for_a_call: bool,
    /// Their carrier died: each must get its own chance.
    singly: Vec<Due>,
    confirmed: Vec<Confirmed>,
}

/// What the runs of one claim have in common.
struct Worker<'a> {
    handler: &'a dyn Handler,
    policy: &'a RetryPolicy,
    stops: &'a Stops,
    fence: Fence,
    /// The claim before was not reported back.
    resumed: bool,
    /// The process has died of the first event again and again.
    poison: bool,
}

impl Worker<'_> {
    /// The lane's events in order, cut into groups that run as one.
    fn groups(&self, lane: ClaimedLane) -> VecDeque<Vec<Due>> {
        let several = lane.events.len() > 1;
        let due: Vec<Due> = lane.events.into_iter().map(Due::open).collect();
        let names: Vec<Option<String>> = due
            .iter()
            .map(|due| (several && due.runs()).then(|| self.handler.coalesces(&due.event))?)
            .collect();
        let mut due = due.into_iter();
        let cut = runs(&names);
        cut.into_iter()
            .map(|length| due.by_ref().take(length).collect())
            .collect()
    }

    /// Runs the last of a group, which carries the others.
    async fn run(&self, mut group: Vec<Due>, unstored: &[Confirmed]) -> Ended {
        let Some(carrier) = group.pop() else {
            return Ended::default();
        };
        let mut row = hand_back(&carrier.event);
        row.started_at = Utc::now();
        let mut ended = Ended::default();
        let mut outcome = if carrier.quarantined {
            close_quarantined(&mut row, &carrier);
            ended.rows.push(row);
            return ended;
        } else if self.poison {
            Run::Poison
        } else if !carrier.readable {
            Run::Ended(Err(Failure::permanent("the payload is beyond what can be read")))
        } else {
            tokio::select! {
                biased;
                () = self.stops.at_once() => {
                    ended.rows = group.iter().map(|due| hand_back(&due.event)).collect();
                    ended.rows.push(row);
                    ended.wait = Some(Duration::ZERO);
                    return ended;
                }
                report = self.guarded(&carrier.event, group.len(), unstored) => {
                    ended.confirmed = report.confirmed;
                    Run::Ended(report.verdict)
                }
            }
        };
        if let Run::Ended(Err(Failure::Retry {
            class: RetryClass::UnderWay,
            after,
            ..
        })) = &outcome
        {
            ended.waits_for_a_call = true;
            ended.wait = Some(after.unwrap_or_default());
            ended.rows = group.iter().map(|due| hand_back(&due.event)).collect();
            ended.rows.push(row);
            return ended;
        }
        ended.wait = settle(&mut row, &carrier, &mut outcome, self.policy, self.handler);
        match row.status {
            EventStatus::Done => {
                let carried = group.iter().map(|due| close_coalesced(due, &row));
                ended.rows = carried.collect();
            }
            EventStatus::Error => ended.singly = group,
            EventStatus::Pending | EventStatus::Processing => {
                ended.rows = group
                    .iter()
                    .map(|due| self.carried_in_vain(due, &mut outcome))
                    .collect();
            }
        }
        ended.rows.push(row);
        ended
    }

    /// A carried event whose carrier must wait waits, too, unless it has done so
    /// for too long: newer carriers must not keep it in its lane for ever.
    fn carried_in_vain(&self, due: &Due, outcome: &mut Run) -> FinishedEvent {
        let mut row = hand_back(&due.event);
        if due.history(self.handler).too_old(self.policy) {
            settle(&mut row, due, outcome, self.policy, self.handler);
        }
        row
    }

    /// Runs the handler within its deadline; a panic in it is a failed run, not
    /// the end of the lane.
    async fn guarded(&self, event: &Event, carries: usize, unstored: &[Confirmed]) -> Report {
        let context = RunContext {
            fence: self.fence,
            carries,
            resumed: self.resumed,
            unstored: unstored.to_vec(),
        };
        let run = AssertUnwindSafe(self.handler.handle(event, &context)).catch_unwind();
        let failure = match tokio::time::timeout(self.policy.deadline, run).await {
            Ok(Ok(report)) => return report,
            Ok(Err(_)) => Failure::transient("handler panicked"),
            Err(_) => Failure::transient("event deadline exceeded"),
        };
        Report {
            verdict: Err(failure),
            confirmed: Vec::new(),
        }
    }
}
