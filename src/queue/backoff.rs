//! How long a failed event waits. Pure: the dice are passed in.

use std::time::Duration;

use crate::domain::{Failure, RetryClass};

/// The numbers that govern runs and retries, mostly of `[jobs]`.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Failed runs before an event is dead.
    pub limit: u16,
    /// First back-off.
    pub base: Duration,
    /// Longest back-off.
    pub cap: Duration,
    /// Age at which an event that keeps failing is dead, whatever the reason.
    pub max_age: Duration,
    /// Longest run of one event; past it the run counts as a transient failure.
    pub deadline: Duration,
}

/// What is known of an event when a run of it fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    /// Failed runs so far that burned an attempt.
    pub(crate) attempts: i16,
    pub(crate) age: Duration,
    /// Whether a run of it has failed before this one.
    pub(crate) failed_before: bool,
    /// It is not given up while a retry may cure it.
    pub(crate) must_arrive: bool,
}

impl History {
    /// Whether it has failed before and is older than an event that fails may
    /// become: its person's other events wait behind it.
    pub(crate) fn too_old(&self, policy: &RetryPolicy) -> bool {
        !self.must_arrive && self.past(policy)
    }

    fn past(&self, policy: &RetryPolicy) -> bool {
        self.failed_before && self.age > policy.max_age
    }

    /// A wait that ends when the event is as old as it may become: its person's
    /// other events wait, too. It is tried once more then.
    fn bounded(&self, policy: &RetryPolicy, wait: Duration) -> Duration {
        if self.must_arrive {
            return wait;
        }
        wait.min(policy.max_age.saturating_sub(self.age).max(policy.base))
    }
}

/// What becomes of an event after a failed run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Back to its lane, which waits this long. `overdue`: another event would be dead.
    Again {
        wait: Duration,
        attempts: i16,
        overdue: bool,
    },
    /// Dead: status `error`, and the lane goes on.
    Dead { attempts: i16, cause: Cause },
}

/// Why an event is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No retry cures it.
    Permanent,
    /// It failed as often as an event may.
    UsedUp,
    /// It failed for longer than an event may.
    TooOld,
}

/// Exponential back-off with jitter: `random(0.5..1) × min(cap, base × 2^attempt)`.
/// `roll` is uniform in `0..1`.
pub fn delay(policy: &RetryPolicy, attempt: i16, roll: f64) -> Duration {
    let doubled = policy.base.as_secs_f64() * 2f64.powi(i32::from(attempt.clamp(0, 62)));
    let bounded = doubled.min(policy.cap.as_secs_f64());
    Duration::from_secs_f64(bounded * (0.5 + roll.clamp(0.0, 1.0) / 2.0))
}

/// Decides an event's fate. A vendor that names a moment is obeyed, as far as
/// the event's age allows; waiting for a vendor burns no attempt, only time.
pub(crate) fn fate(policy: &RetryPolicy, failure: &Failure, event: History, roll: f64) -> Fate {
    let Failure::Retry { class, after, .. } = failure else {
        let attempts = event.attempts.saturating_add(1);
        let cause = Cause::Permanent;
        return Fate::Dead { attempts, cause };
    };
    let transient = *class == RetryClass::Transient;
    let attempts = event.attempts.saturating_add(i16::from(transient));
    let used_up = transient && i32::from(attempts) >= i32::from(policy.limit);
    if !event.must_arrive && (used_up || event.too_old(policy)) {
        let cause = if used_up { Cause::UsedUp } else { Cause::TooOld };
        return Fate::Dead { attempts, cause };
    }
    let usual = delay(policy, event.attempts, roll);
    let wait = match (class, after) {
        (RetryClass::Transient, Some(named)) => usual.max(*named),
        (_, Some(named)) => named.mul_f64(1.0 + roll.clamp(0.0, 1.0) / 10.0),
        (_, None) => usual,
    };
    let overdue = used_up || event.past(policy);
    Fate::Again {
        wait: event.bounded(policy, wait),
        attempts,
        overdue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: RetryPolicy = RetryPolicy {
        limit: 10,
        base: Duration::from_secs(60),
        cap: Duration::from_secs(3600),
        max_age: Duration::from_secs(86_400),
        deadline: Duration::from_secs(120),
    };

    fn tried(attempts: i16, failing_for: Option<u64>) -> History {
        History {
            attempts,
            age: Duration::from_secs(failing_for.unwrap_or(0)),
            failed_before: failing_for.is_some(),
            must_arrive: false,
        }
    }

    fn parked(class: RetryClass) -> Failure {
        Failure::Retry {
            class,
            after: Some(Duration::from_secs(30)),
            reason: "x".into(),
        }
    }

    #[test]
    fn ten_attempts_span_hours_not_centuries() {
        let total: f64 = (0..9).map(|n| delay(&POLICY, n, 1.0).as_secs_f64()).sum();
        assert!((3.0 * 3600.0..8.0 * 3600.0).contains(&total), "{total}");
    }

    #[test]
    fn the_last_transient_failure_kills_and_waiting_for_a_vendor_burns_no_attempt() {
        let transient = Failure::transient("x");
        assert!(matches!(
            fate(&POLICY, &transient, tried(8, None), 0.5),
            Fate::Again {
                attempts: 9,
                overdue: false,
                ..
            }
        ));
        let dead = Fate::Dead {
            attempts: 10,
            cause: Cause::UsedUp,
        };
        assert_eq!(fate(&POLICY, &transient, tried(9, None), 0.5), dead);
        for class in [RetryClass::RateLimited, RetryClass::VendorDown] {
            let wanted = Fate::Again {
                wait: Duration::from_secs(30),
                attempts: 9,
                overdue: false,
            };
            assert_eq!(fate(&POLICY, &parked(class), tried(9, Some(86_000)), 0.0), wanted);
        }
    }

    #[test]
    fn past_its_age_an_event_dies_at_its_next_failure_whatever_the_class() {
        for class in [RetryClass::Transient, RetryClass::RateLimited, RetryClass::VendorDown] {
            let late = fate(&POLICY, &parked(class), tried(0, Some(86_401)), 0.5);
            assert!(
                matches!(
                    late,
                    Fate::Dead {
                        cause: Cause::TooOld,
                        ..
                    }
                ),
                "{class:?}"
            );
            let first = fate(&POLICY, &parked(class), tried(0, None), 0.5);
            assert!(
                matches!(first, Fate::Again { .. }),
                "a first failure never kills: {class:?}"
            );
        }
    }

    #[test]
    fn no_wait_outlasts_the_age_an_event_may_reach_but_that_of_what_must_arrive() {
        let named = Duration::from_secs(200_000);
        let failure = Failure::Retry {
            class: RetryClass::RateLimited,
            after: Some(named),
            reason: "x".into(),
        };
        let waits = |event| match fate(&POLICY, &failure, event, 0.0) {
            Fate::Again { wait, .. } => wait,
            Fate::Dead { .. } => Duration::MAX,
        };
        let first = |age| History {
            failed_before: false,
            ..tried(0, Some(age))
        };
        assert_eq!(waits(first(400)), Duration::from_secs(86_000), "a first failure's, too");
        assert_eq!(waits(tried(3, Some(86_000))), Duration::from_secs(400));
        assert_eq!(waits(tried(3, Some(86_399))), POLICY.base, "never at once");
        assert_eq!(waits(first(90_000)), POLICY.base);
        let must = History {
            must_arrive: true,
            ..tried(3, Some(86_000))
        };
        assert_eq!(waits(must), named);
    }

    #[test]
    fn what_must_arrive_is_not_given_up_and_is_known_to_be_overdue() {
        let must = |attempts, age| History {
            must_arrive: true,
            ..tried(attempts, age)
        };
        let transient = Failure::transient("x");
        for event in [
            must(9, None),
            must(400, None),
            must(0, Some(90_000)),
            must(i16::MAX, Some(90_000)),
        ] {
            assert!(
                matches!(fate(&POLICY, &transient, event, 0.5), Fate::Again { overdue: true, wait, .. } if wait <= POLICY.cap),
                "{event:?}"
            );
        }
        assert!(matches!(
            fate(&POLICY, &transient, must(0, None), 0.5),
            Fate::Again { overdue: false, .. }
        ));
        let refused = fate(&POLICY, &Failure::permanent("x"), must(0, None), 0.5);
        assert!(matches!(
            refused,
            Fate::Dead {
                cause: Cause::Permanent,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn a_delay_is_within_half_and_full_of_its_bound(attempt in 0i16..500, roll in 0.0f64..1.0) {
            let bound = (60.0 * 2f64.powi(i32::from(attempt.min(62)))).min(3600.0);
            let waited = delay(&POLICY, attempt, roll).as_secs_f64();
            prop_assert!(waited >= bound * 0.5 - 1e-6 && waited <= bound + 1e-6);
        }
    }
}
