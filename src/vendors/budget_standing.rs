//! What a budget shows to a person: how much of its window and its day is used,
//! and what the vendor last said of either.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Budget;
use crate::config::Rate;
use crate::vendors::share::part;
use crate::vendors::signals::Signals;

/// One budget at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The limit, of all processes together.
    pub rate: Rate,
    /// This process's part of it.
    pub part: Rate,
    /// This process's calls within the window that ends now.
    pub used: usize,
    /// For how long the vendor wants to be left alone.
    pub paused: Option<Duration>,
    /// Calls a UTC day, of all processes together.
    pub daily_limit: Option<u32>,
    /// Calls of the day: of all processes as far as this one knows, its own to
    /// the last.
    pub made: u64,
    /// What the vendor's last answer said of its limits; `None` before the first.
    pub heard: Option<Signals>,
}

impl Budget {
    /// How the budget stands now.
    pub fn standing(&self, now: Instant, today: DateTime<Utc>) -> Standing {
        let mut state = self.shared.lock();
        let processes = state.crowd.most(now, self.shared.rate.period);
        let part = part(self.shared.rate, processes);
        let paused = state.paused_until.map(|until| until.saturating_duration_since(now));
        Standing {
            rate: self.shared.rate,
            part,
            used: state.recent.iter().filter(|at| **at + part.period > now).count(),
            paused: paused.filter(|wait| !wait.is_zero()),
            daily_limit: self.shared.daily_limit,
            made: state.day.made(today),
            heard: state.heard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendors::Priority;

    #[tokio::test]
    async fn a_budget_tells_what_is_used_of_its_window_and_its_day() {
        let rate = Rate {
            count: 10,
            period: Duration::from_secs(600),
        };
        let budget = Budget::new(rate, Some(1000));
        for _ in 0..3 {
            budget.acquire(Priority::Contact).await.unwrap();
        }
        let signals = Signals {
            retry_after: Some(Duration::from_secs(300)),
            ..Signals::default()
        };
        let now = Instant::now();
        budget.observe(&signals, true, now);
        let standing = budget.standing(now, Utc::now());
        assert_eq!((standing.used, standing.part), (3, rate));
        assert_eq!(standing.daily_limit, Some(1000));
        let (day, unwritten) = budget.unwritten(Utc::now());
        budget.written(day, unwritten, 40);
        assert_eq!(budget.standing(now, Utc::now()).made, 40, "with those of others");
        assert_eq!(standing.paused, Some(Duration::from_secs(300)));
        assert_eq!(standing.heard, Some(signals));
        let later = budget.standing(now + rate.period, Utc::now());
        assert_eq!((later.used, later.paused), (0, None));
    }
}
