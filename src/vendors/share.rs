//! One vendor's limit, divided among the processes that draw on it. Pure: the
//! clock is passed in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Rate;

/// How many processes draw on a limit. One more counts at once; one less only
/// after a window, when its last calls have left it.
#[derive(Debug)]
pub(super) struct Crowd {
    /// When a number was last seen, oldest first; no number is below a later one.
    seen: VecDeque<(Instant, u32)>,
}

impl Crowd {
    /// This process alone.
    pub(super) fn alone(now: Instant) -> Self {
        Self {
            seen: VecDeque::from([(now, 1)]),
        }
    }

    /// So many processes draw on the limit now, this one included.
    pub(super) fn saw(&mut self, now: Instant, processes: u32) {
        while self.seen.back().is_some_and(|(_, before)| *before <= processes) {
            self.seen.pop_back();
        }
        self.seen.push_back((now, processes.max(1)));
    }

    /// The most that drew on it within the window that ends now.
    pub(super) fn most(&mut self, now: Instant, window: Duration) -> u32 {
        while self.seen.len() > 1 && self.seen.front().is_some_and(|(at, _)| *at + window <= now) {
            self.seen.pop_front();
        }
        self.seen.front().map_or(1, |(_, processes)| *processes)
    }
}

/// One process's part. Where there are more processes than calls, each makes one
/// call in a longer window: all stay alive, and the limit holds.
pub(super) fn part(rate: Rate, processes: u32) -> Rate {
    let processes = processes.max(1);
    match rate.count / processes {
        0 => Rate {
            count: 1,
            period: rate.period.saturating_mul(processes.div_ceil(rate.count.max(1))),
        },
        count => Rate { count, ..rate },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn one_more_counts_at_once_and_one_less_a_window_later() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut crowd = Crowd::alone(start);
        crowd.saw(at(1), 3);
        assert_eq!(crowd.most(at(1), WINDOW), 3);
        crowd.saw(at(3), 3);
        crowd.saw(at(5), 2);
        crowd.saw(at(7), 1);
        assert_eq!(crowd.most(at(12), WINDOW), 3, "three were seen nine seconds ago");
        assert_eq!(crowd.most(at(13), WINDOW), 2);
        assert_eq!(crowd.most(at(15), WINDOW), 1);
        assert_eq!(crowd.most(at(99), WINDOW), 1);
    }

    proptest! {
        #[test]
        fn the_parts_together_never_exceed_the_limit_and_none_is_nothing(count in 1u32..1000, processes in 1u32..100) {
            let rate = Rate { count, period: WINDOW };
            let part = part(rate, processes);
            prop_assert!(part.count >= 1);
            let together = f64::from(part.count) * f64::from(processes) / part.period.as_secs_f64();
            prop_assert!(together <= f64::from(count) / WINDOW.as_secs_f64() + 1e-9);
        }
    }
}
