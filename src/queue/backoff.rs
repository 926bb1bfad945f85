//! How long a failed event waits. Pure: the dice are passed in.

use std::time::Duration;

use crate::domain::{Failure, RetryClass};

/// The three numbers of `[jobs]` that govern retries.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Failed runs before an event is dead.
    pub limit: u16,
    /// First back-off.
    pub base: Duration,
    /// Longest back-off.
    pub cap: Duration,
}

/// What becomes of an event after a failed run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Back to its lane, which waits this long.
    Again { wait: Duration, attempts: i16 },
    /// Dead: status `error`, and the lane goes on.
    Dead { attempts: i16 },
}

/// Exponential back-off with jitter: `random(0.5..1) × min(cap, base × 2^attempt)`.
/// `roll` is uniform in `0..1`.
pub fn delay(policy: &RetryPolicy, attempt: i16, roll: f64) -> Duration {
    let doubled = policy.base.as_secs_f64() * 2f64.powi(i32::from(attempt.clamp(0, 62)));
    let bounded = doubled.min(policy.cap.as_secs_f64());
    Duration::from_secs_f64(bounded * (0.5 + roll.clamp(0.0, 1.0) / 2.0))
}

/// Decides an event's fate. A vendor that names a moment is obeyed; waiting
/// for a vendor burns no attempt.
pub(crate) fn fate(policy: &RetryPolicy, failure: &Failure, attempts: i16, roll: f64) -> Fate {
    match failure {
        Failure::Permanent { .. } => Fate::Dead {
            attempts: attempts.saturating_add(1),
        },
        Failure::Retry { class, after, .. } => {
            let burned = attempts.saturating_add(i16::from(*class == RetryClass::Transient));
            if *class == RetryClass::Transient && i32::from(burned) >= i32::from(policy.limit) {
                return Fate::Dead { attempts: burned };
            }
            let usual = delay(policy, attempts, roll);
            let wait = match (class, after) {
                (RetryClass::Transient, Some(named)) => usual.max(*named),
                (_, Some(named)) => named.mul_f64(1.0 + roll.clamp(0.0, 1.0) / 10.0),
                (_, None) => usual,
            };
            Fate::Again { wait, attempts: burned }
        }
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
    };

    #[test]
    fn ten_attempts_span_hours_not_centuries() {
        let total: f64 = (0..9).map(|n| delay(&POLICY, n, 1.0).as_secs_f64()).sum();
        assert!((3.0 * 3600.0..8.0 * 3600.0).contains(&total), "{total}");
    }

    #[test]
    fn the_last_transient_failure_kills_and_waiting_for_a_vendor_never_does() {
        let transient = Failure::transient("x");
        assert!(matches!(
            fate(&POLICY, &transient, 8, 0.5),
            Fate::Again { attempts: 9, .. }
        ));
        assert_eq!(fate(&POLICY, &transient, 9, 0.5), Fate::Dead { attempts: 10 });
        let limited = Failure::Retry {
            class: RetryClass::RateLimited,
            after: Some(Duration::from_secs(30)),
            reason: "x".into(),
        };
        assert!(
            matches!(fate(&POLICY, &limited, 9, 0.0), Fate::Again { wait, attempts: 9 } if wait == Duration::from_secs(30))
        );
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
