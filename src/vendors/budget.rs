//! The rate budget of one vendor: at most `count` calls in any `period`, the
//! more urgent ones first, and for GHL a number of calls a day.
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

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::error::VendorError;
use super::signals::Signals;
use crate::config::Rate;

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
    /// When each call of the last period was let through, oldest first.
    recent: VecDeque<Instant>,
    /// The vendor asked for silence until then.
    paused_until: Option<Instant>,
    /// Who waits, most urgent and then oldest first.
    queue: BTreeSet<(Priority, u64)>,
    next_ticket: u64,
    day: Day,
}

#[derive(Debug, Default)]
struct Day {
    date: NaiveDate,
    used: u32,
    /// The vendor's own count of what is left, and when that starts anew.
    left: Option<u64>,
    resets_at: Option<Instant>,
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
                    paused_until: None,
                    queue: BTreeSet::new(),
                    next_ticket: 0,
                    day: Day::default(),
                }),
                moved: Notify::new(),
            }),
        }
    }

    /// Waits for leave to make one call.
    ///
    /// # Errors
    /// [`VendorError::RateLimited`] when the turn would come later than
    /// [`LONGEST_WAIT`], or when the day's calls are used up.
    pub async fn acquire(&self, priority: Priority) -> Result<(), VendorError> {
        let deadline = Instant::now() + self.shared.longest_wait;
        let place = Place::take(&self.shared, priority);
        loop {
            let mut moved = pin!(self.shared.moved.notified());
            moved.as_mut().enable();
            match place.turn(Instant::now(), Utc::now(), deadline) {
                Turn::Taken => return Ok(()),
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

    /// Lets nothing through until then; an earlier pause is only ever extended.
    pub fn pause_until(&self, until: Instant) {
        let mut state = self.shared.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Takes in what an answer says about the limits. `limited` is true for a
    /// 429. Returns how long the vendor wants to be left alone, if it does.
    pub fn observe(&self, signals: &Signals, limited: bool, now: Instant) -> Option<Duration> {
        if let Some(left) = signals.daily_remaining {
            let mut state = self.shared.lock();
            state.day.left = Some(left);
            state.day.resets_at = signals.daily_reset.map(|reset| now + reset);
        }
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

    /// How much of the window this priority may fill. The rest stays free for
    /// more urgent calls, so that a STOP never waits behind a backfill.
    fn ceiling(&self, priority: Priority) -> usize {
        let count = self.rate.count;
        let kept_free = match priority {
            Priority::OptOut => 0,
            Priority::Message | Priority::Contact => count / 20,
            Priority::Background => count / 5,
        };
        usize::try_from(count - kept_free).unwrap_or(usize::MAX)
    }
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
        if let Some(after) = state.day.over_for(now, today, self.shared.daily_limit) {
            return Turn::Refused(after);
        }
        let period = self.shared.rate.period;
        while state.recent.front().is_some_and(|at| *at + period <= now) {
            state.recent.pop_front();
        }
        let ahead = state.queue.range(..self.me).count();
        let free_at = state.free_at(now, ahead, self.shared.ceiling(self.me.0), period);
        if ahead == 0 && free_at <= now {
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
        let earliest = self.paused_until.unwrap_or(now).max(now);
        let Some(nth) = (self.recent.len() + ahead).checked_sub(ceiling) else {
            return earliest;
        };
        let rounds = u32::try_from(nth / ceiling + 1).unwrap_or(u32::MAX);
        let leaves = self.recent.get(nth % ceiling).copied().unwrap_or(now);
        earliest.max(leaves + period.saturating_mul(rounds))
    }
}

impl Day {
    fn count_one(&mut self) {
        self.used = self.used.saturating_add(1);
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// How long the day's calls are used up for, if they are.
    fn over_for(&mut self, now: Instant, today: DateTime<Utc>, limit: Option<u32>) -> Option<Duration> {
        if self.date != today.date_naive() {
            self.date = today.date_naive();
            self.used = 0;
            if self.resets_at.is_none() {
                self.left = None;
            }
        }
        if self.resets_at.is_some_and(|at| at <= now) {
            self.left = None;
            self.resets_at = None;
        }
        if self.left == Some(0) {
            let reset = self.resets_at.map(|at| at - now);
            return Some(reset.unwrap_or_else(|| until_midnight(today)));
        }
        (limit? <= self.used).then(|| until_midnight(today))
    }
}

fn until_midnight(now: DateTime<Utc>) -> Duration {
    now.date_naive()
        .checked_add_days(Days::new(1))
        .and_then(|next| (next.and_time(NaiveTime::MIN).and_utc() - now).to_std().ok())
        .unwrap_or(Duration::from_secs(3600))
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
