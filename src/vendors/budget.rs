//! The rate budget of one vendor: at most `count` calls in any `period`, the more
//! urgent ones first, and for GHL so many a day. Several processes share both.
//!
//! A sliding window of our own instead of the `governor` crate: a vendor counts
//! calls in a window, and a bucket that refills while it empties lets nearly
//! twice the number through; nor does that crate order its waiters.
//!
//! One mutex guards `State`; it is never held over an `await`. Waiters sit in
//! `state.queue` and are woken through `moved` whenever a place may be free.

use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::day::Day;
use super::error::VendorError;
use super::share::{Crowd, part};
use super::signals::Signals;
use crate::config::Rate;

pub use standing::Standing;

/// The longest a caller waits for its turn before it is told to come back.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How urgent a call is; the first of these goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Blocking somebody who said STOP.
    OptOut,
    /// Texts and call notes.
    Message,
    /// Contact synchronisation.
    Contact,
    /// Reconciliation and backfill.
    Background,
}

/// One vendor's budget, shared by clones.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rate: Rate,
    daily_limit: Option<u32>,
    longest_wait: Duration,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug)]
struct State {
    /// When each call of the last period was let through or, if its answer is
    /// here, answered; oldest first.
    recent: VecDeque<Instant>,
    /// From when calls may be made; `None` until the others know of this process.
    opens_at: Option<Instant>,
    crowd: Crowd,
    /// The vendor asked for silence until then.
    paused_until: Option<Instant>,
    /// Who waits, most urgent and then oldest first.
    queue: BTreeSet<(Priority, u64)>,
    next_ticket: u64,
    day: Day,
    /// What the vendor last said.
    heard: Option<Signals>,
}

enum Turn {
    Taken,
    ComeBackAt(Instant),
    Refused(Duration),
}

impl Budget {
    /// A budget of `rate`, and of `daily_limit` calls per UTC day.
    pub fn new(rate: Rate, daily_limit: Option<u32>) -> Self {
        Self::with_longest_wait(rate, daily_limit, LONGEST_WAIT)
    }

    fn with_longest_wait(rate: Rate, daily_limit: Option<u32>, longest_wait: Duration) -> Self {
        let now = Instant::now();
        Self {
            shared: Arc::new(Shared {
                rate: Rate {
                    count: rate.count.max(1),
                    ..rate
                },
                daily_limit,
                longest_wait,
                state: Mutex::new(State {
                    recent: VecDeque::new(),
                    opens_at: Some(now),
                    crowd: Crowd::alone(now),
                    paused_until: None,
                    queue: BTreeSet::new(),
                    next_ticket: 0,
                    day: Day::default(),
                    heard: None,
                }),
                moved: Notify::new(),
            }),
        }
    }

    /// Waits for leave to make one call; answers when it was given.
    ///
    /// # Errors
    /// [`VendorError::RateLimited`] when the turn would come later than
    /// [`LONGEST_WAIT`], or when the day's calls are used up.
    pub async fn acquire(&self, priority: Priority) -> Result<Instant, VendorError> {
        let deadline = Instant::now() + self.shared.longest_wait;
        let place = Place::take(&self.shared, priority);
        loop {
            let mut moved = pin!(self.shared.moved.notified());
            moved.as_mut().enable();
            let now = Instant::now();
            match place.turn(now, Utc::now(), deadline) {
                Turn::Taken => return Ok(now),
                Turn::Refused(after) => {
                    return Err(VendorError::RateLimited {
                        retry_after: Some(after),
                    });
                }
                Turn::ComeBackAt(at) => tokio::select! {
                    () = moved => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// The call let through at `left` was answered. The vendor counted it when it
    /// arrived, which may have been as late as this: its place is free a period
    /// after that. No network holds a call for longer than a tenth of it.
    pub fn answered(&self, left: Instant, now: Instant) {
        let mut state = self.shared.lock();
        if let Ok(place) = state.recent.binary_search(&left) {
            state.recent.remove(place);
            let arrived = now.min(left + self.shared.rate.period / 10);
            let place = state.recent.partition_point(|at| *at <= arrived);
            state.recent.insert(place, arrived);
        }
    }

    /// Lets nothing through until [`Budget::open`].
    pub fn hold(&self) {
        self.shared.lock().opens_at = None;
    }

    /// Ends [`Budget::hold`]; answers from when calls may be made. Where another
    /// process is busy, that is when the calls it made before it knew of this one
    /// have left the window; a long window is not waited for to its end.
    pub fn open(&self, now: Instant, busy: bool) -> Instant {
        let wait = self.shared.rate.period.min(LONGEST_WAIT);
        let at = if busy { now + wait } else { now };
        self.shared.lock().opens_at = Some(at);
        self.shared.moved.notify_waiters();
        at
    }

    /// So many processes draw on this limit now, this one included.
    pub fn share(&self, processes: u32, now: Instant) {
        self.shared.lock().crowd.saw(now, processes);
    }

    /// This process's calls of the day that are not written down yet.
    pub fn unwritten(&self, today: DateTime<Utc>) -> (NaiveDate, u64) {
        let mut state = self.shared.lock();
        state.day.unwritten(today)
    }

    /// `count` of them were written down, and all processes together made `all`.
    pub fn written(&self, date: NaiveDate, count: u64, all: u64) {
        self.shared.lock().day.written(date, count, all);
    }

    /// Lets nothing through until then; an earlier pause is only ever extended.
    pub fn pause_until(&self, until: Instant) {
        let mut state = self.shared.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Takes in what an answer says about the limits. `limited` is true for a
    /// 429. Returns how long the vendor wants to be left alone, if it does.
    pub fn observe(&self, signals: &Signals, limited: bool, now: Instant) -> Option<Duration> {
        let mut state = self.shared.lock();
        state.heard = Some(*signals);
        if let Some(left) = signals.daily_remaining {
            let reset = signals.daily_reset.map(|reset| now + reset);
            state.day.told(left, signals.daily_allowed, reset);
        }
        drop(state);
        let interval = signals.interval.unwrap_or(self.shared.rate.period);
        let wait = if limited {
            let day_over = signals.daily_reset.filter(|_| signals.daily_remaining == Some(0));
            signals.retry_after.or(day_over).unwrap_or(interval)
        } else if signals.remaining == Some(0) {
            interval
        } else {
            return None;
        };
        self.pause_until(now + wait);
        Some(wait)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of a window this priority may fill. The rest stays free for more
/// urgent calls, so that a STOP never waits behind a backfill.
fn ceiling(count: u32, priority: Priority) -> usize {
    let kept_free = match priority {
        Priority::OptOut => 0,
        Priority::Message | Priority::Contact => count / 20,
        Priority::Background => count / 5,
    };
    usize::try_from(count - kept_free).unwrap_or(usize::MAX)
}

/// A waiter's place in the queue; given up when dropped.
struct Place<'b> {
    shared: &'b Shared,
    me: (Priority, u64),
}

impl<'b> Place<'b> {
    fn take(shared: &'b Shared, priority: Priority) -> Self {
        let mut state = shared.lock();
        let me = (priority, state.next_ticket);
        state.next_ticket += 1;
        state.queue.insert(me);
        drop(state);
        Self { shared, me }
    }

    /// Goes through if it is this waiter's turn; otherwise says when to look again.
    fn turn(&self, now: Instant, today: DateTime<Utc>, deadline: Instant) -> Turn {
        let mut state = self.shared.lock();
        let processes = state.crowd.most(now, self.shared.rate.period);
        let limit = self.shared.daily_limit;
        if let Some(after) = state.day.over_for(self.me.0, now, today, limit, processes) {
            return Turn::Refused(after);
        }
        let Rate { count, period } = part(self.shared.rate, processes);
        while state.recent.front().is_some_and(|at| *at + period <= now) {
            state.recent.pop_front();
        }
        let ahead = state.queue.range(..self.me).count();
        let free_at = state.free_at(now, ahead, ceiling(count, self.me.0), period);
        if state.opens_at.is_none() && now < deadline {
            return Turn::ComeBackAt(deadline);
        }
        if state.opens_at.is_some() && ahead == 0 && free_at <= now {
            state.recent.push_back(now);
            state.day.count_one();
            return Turn::Taken;
        }
        if free_at > deadline || now >= deadline {
            return Turn::Refused(free_at.saturating_duration_since(now).max(Duration::from_millis(100)));
        }
        // Behind others, the wake-up comes from them; the nap is a safety net.
        let nap = if ahead == 0 {
            Duration::ZERO
        } else {
            Duration::from_millis(50)
        };
        Turn::ComeBackAt(free_at.max(now + nap).min(deadline))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.lock().queue.remove(&self.me);
        self.shared.moved.notify_waiters();
    }
}

impl State {
    /// When a waiter behind `ahead` others may expect its turn.
    fn free_at(&self, now: Instant, ahead: usize, ceiling: usize, period: Duration) -> Instant {
        let ceiling = ceiling.max(1);
        let earliest = now
            .max(self.paused_until.unwrap_or(now))
            .max(self.opens_at.unwrap_or(now));
        let Some(nth) = (self.recent.len() + ahead).checked_sub(ceiling) else {
            return earliest;
        };
        let rounds = u32::try_from(nth / ceiling + 1).unwrap_or(u32::MAX);
        let leaves = self.recent.get(nth % ceiling).copied().unwrap_or(now);
        earliest.max(leaves + period.saturating_mul(rounds))
    }
}

#[path = "budget_standing.rs"]
mod standing;
#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
