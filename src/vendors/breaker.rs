//! The circuit breaker of one vendor: when it is down, calls end at once and
//! one probe at a time finds out whether it is back.
//!
//! closed → open after [`TRIPS_AFTER`] troubles in a row → one probe when the
//! delay is over → closed again, or open for twice as long. Only the probe
//! decides while open: answers to older calls are too late to count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Consecutive troubles that open the breaker.
pub const TRIPS_AFTER: u32 = 5;
/// The first delay before a probe.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay before a probe.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// One vendor's breaker, shared by clones.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
enum State {
    Closed {
        troubles: u32,
    },
    Open {
        until: Instant,
        delay: Duration,
        probing: bool,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { troubles: 0 }
    }
}

/// Leave to make one call. Tell it how the call ended; dropping it untold
/// (a cancelled call) frees the probe's place and decides nothing.
#[derive(Debug)]
pub struct Permit {
    breaker: Breaker,
    probe: bool,
}

impl Breaker {
    /// Asks for leave to call.
    ///
    /// # Errors
    /// How long to wait, when the breaker is open.
    pub fn admit(&self, now: Instant) -> Result<Permit, Duration> {
        let mut state = self.lock();
        let probe = match &mut *state {
            State::Closed { .. } => false,
            State::Open { until, .. } if now < *until => return Err(*until - now),
            State::Open {
                probing: true, delay, ..
            } => return Err(*delay),
            State::Open { probing, .. } => {
                *probing = true;
                true
            }
        };
        drop(state);
        Ok(Permit {
            breaker: self.clone(),
            probe,
        })
    }

    /// How long calls will be refused, without asking for leave. `None` when
    /// one may be made.
    pub fn closed_for(&self, now: Instant) -> Option<Duration> {
        match *self.lock() {
            State::Open { until, .. } if now < until => Some(until - now),
            State::Open {
                probing: true, delay, ..
            } => Some(delay),
            State::Open { .. } | State::Closed { .. } => None,
        }
    }

    /// Whether the vendor counts as down, the time of a probe included.
    pub fn is_open(&self) -> bool {
        matches!(*self.lock(), State::Open { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The vendor answered, whatever it said. True when this closed the breaker.
    pub fn answered(self) -> bool {
        let mut state = self.breaker.lock();
        if self.probe || matches!(*state, State::Closed { .. }) {
            *state = State::default();
        }
        self.probe
    }

    /// The vendor was in trouble. True when this opened the breaker.
    pub fn troubled(self, now: Instant) -> bool {
        let mut state = self.breaker.lock();
        match &mut *state {
            State::Closed { troubles } => {
                *troubles += 1;
                if *troubles < TRIPS_AFTER {
                    return false;
                }
                *state = State::Open {
                    until: now + FIRST_DELAY,
                    delay: FIRST_DELAY,
                    probing: false,
                };
                true
            }
            State::Open { until, delay, probing } if self.probe => {
                *delay = (*delay * 2).min(LONGEST_DELAY);
                *until = now + *delay;
                *probing = false;
                false
            }
            State::Open { .. } => false,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.probe {
            return;
        }
        if let State::Open { probing, .. } = &mut *self.breaker.lock() {
            *probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip(breaker: &Breaker, now: Instant) {
        for nth in 1..=TRIPS_AFTER {
            assert_eq!(breaker.admit(now).unwrap().troubled(now), nth == TRIPS_AFTER);
        }
    }

    #[test]
    fn it_opens_after_troubles_in_a_row_and_not_before() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..TRIPS_AFTER {
            breaker.admit(now).unwrap().troubled(now);
        }
        breaker.admit(now).unwrap().answered();
        trip(&breaker, now);
        assert_eq!(breaker.admit(now).unwrap_err(), FIRST_DELAY);
        assert!(breaker.is_open());
    }

    #[test]
    fn one_probe_at_a_time_closes_it_again() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        trip(&breaker, now);
        let later = now + FIRST_DELAY;
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err());
        assert!(probe.answered());
        assert!(breaker.admit(later).is_ok());
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_delay_doubles_with_each_failed_probe_up_to_a_minute() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        trip(&breaker, now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = breaker.admit(now).unwrap_err();
            assert_eq!(wait, Duration::from_secs(seconds));
            now += wait;
            breaker.admit(now).unwrap().troubled(now);
        }
    }

    #[test]
    fn a_cancelled_probe_leaves_its_place_to_the_next() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        trip(&breaker, now);
        let later = now + FIRST_DELAY;
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn late_answers_to_older_calls_decide_nothing_while_it_is_open() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let (old_good, old_bad) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        trip(&breaker, now);
        assert!(!old_good.answered());
        assert!(!old_bad.troubled(now));
        assert_eq!(breaker.admit(now).unwrap_err(), FIRST_DELAY);
    }
}
