//! From the run of an event to the row to store: its fate, its message, its log.

use std::time::Duration;

use super::backoff::{Cause, Fate, History, RetryPolicy, fate};
use super::claim::ClaimedEvent;
use super::complete::FinishedEvent;
use super::lane::Handler;
use crate::domain::{Entity, Event, EventStatus, Failure, Flow, LogEntry, RetryClass, Source, SyncStatus, Verdict};

/// Longest reason that is kept, in characters.
const LONGEST_REASON: usize = 300;

/// A claimed event, read and ready to run.
pub(super) struct Due {
    pub(super) event: Event,
    /// False: the payload is beyond what we read, and the event has none.
    pub(super) readable: bool,
    pub(super) quarantined: bool,
    age: Duration,
    failed_before: bool,
}

impl Due {
    pub(super) fn open(claimed: ClaimedEvent) -> Self {
        let (quarantined, age, failed_before) = (claimed.quarantined, claimed.age, claimed.failed_before);
        let (event, readable) = claimed.open();
        Self {
            event,
            readable,
            quarantined,
            age,
            failed_before,
        }
    }

    /// Whether it reaches the handler at all.
    pub(super) fn runs(&self) -> bool {
        self.readable && !self.quarantined
    }

    pub(super) fn history(&self, handler: &dyn Handler) -> History {
        History {
            attempts: self.event.attempts,
            age: self.age,
            failed_before: self.failed_before,
            must_arrive: handler.must_arrive(&self.event),
        }
    }
}

/// How a run ended.
pub(super) enum Run {
    /// The handler answered, or was cut off.
    Ended(Verdict),
    /// Not run again: the process has died of it too often.
    Poison,
}

/// The row of an event that was not run.
pub(super) fn hand_back(event: &Event) -> FinishedEvent {
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

/// Closes an event that an operator set aside.
pub(super) fn close_quarantined(row: &mut FinishedEvent, due: &Due) {
    row.status = EventStatus::Done;
    row.error = Some("quarantined".to_owned());
    row.log.push(own_row(&due.event, SyncStatus::Skipped, "quarantined"));
}

/// Closes an event together with the later one that carried it.
pub(super) fn close_coalesced(due: &Due, carrier: &FinishedEvent) -> FinishedEvent {
    metrics::counter!("events_coalesced_total").increment(1);
    let message = format!("coalesced into event {}", carrier.id);
    FinishedEvent {
        status: EventStatus::Done,
        started_at: carrier.started_at,
        log: vec![own_row(&due.event, SyncStatus::Skipped, &message)],
        ..hand_back(&due.event)
    }
}

/// Turns the end of a run into the row to store; answers how long the lane must
/// wait, if it must.
pub(super) fn settle(
    row: &mut FinishedEvent,
    due: &Due,
    run: &mut Run,
    policy: &RetryPolicy,
    handler: &dyn Handler,
) -> Option<Duration> {
    let poisonous = Failure::permanent("the process ended whenever this event ran");
    let (class, failure) = match run {
        Run::Ended(Ok(outcome)) => {
            row.status = EventStatus::Done;
            row.error = None;
            row.log = std::mem::take(&mut outcome.log);
            return None;
        }
        Run::Ended(Err(failure)) => (class(failure), &*failure),
        Run::Poison => ("poison", &poisonous),
    };
    let reason: String = failure
        .reason()
        .replace('\0', "")
        .chars()
        .take(LONGEST_REASON)
        .collect();
    row.log.push(own_row(&due.event, SyncStatus::Error, &reason));
    let history = due.history(handler);
    let fate = fate(policy, failure, history, rand::random());
    row.error = Some(message(class, &reason, &fate));
    match fate {
        Fate::Again {
            wait,
            attempts,
            overdue,
        } => {
            if overdue {
                raise_alarm(due, class);
            }
            row.attempts = attempts;
            Some(wait)
        }
        Fate::Dead { attempts, .. } => {
            metrics::counter!("events_dead_total").increment(1);
            if history.must_arrive {
                raise_alarm(due, class);
            }
            row.status = EventStatus::Error;
            row.attempts = attempts;
            None
        }
    }
}

/// Somebody must look: an opt-out, say, has not reached a vendor.
fn raise_alarm(due: &Due, class: &'static str) {
    metrics::counter!("events_overdue_total").increment(1);
    tracing::error!(event = %due.event.id, class, "an event that must arrive has not, and is past its time or refused");
}

/// What the event's `error_message` begins with.
fn class(failure: &Failure) -> &'static str {
    match failure {
        Failure::Permanent { .. } => "permanent",
        Failure::Retry { class, .. } => match class {
            RetryClass::Transient => "transient",
            RetryClass::RateLimited => "rate_limited",
            RetryClass::VendorDown => "vendor_down",
            RetryClass::UnderWay => "under_way",
        },
    }
}

fn message(class: &str, reason: &str, fate: &Fate) -> String {
    match fate {
        Fate::Dead {
            cause: Cause::UsedUp,
            attempts,
        } => format!("{class}: {reason} ({attempts} attempts)"),
        Fate::Dead {
            cause: Cause::TooOld, ..
        } => format!("{class}: {reason} (older than jobs.max_head_age)"),
        Fate::Dead {
            cause: Cause::Permanent,
            ..
        }
        | Fate::Again { .. } => format!("{class}: {reason}"),
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
