//! The calls of one UTC day: what all processes together have made of those a
//! vendor allows, and what the vendor itself says is left. Pure: the clock is
//! passed in.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use tokio::time::Instant;

use super::budget::Priority;

/// One in so many of a day's calls is kept for opt-outs: on a day that is used
/// up, a STOP still reaches the vendor.
const KEPT: u64 = 100;

/// When the part of a nearly used-up day is worth another look: the calls of
/// all processes are added up again by then.
const ADDED_UP: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Day {
    date: NaiveDate,
    /// Calls of all processes, as far as they are written down.
    written: u64,
    /// Calls of this process that are not.
    unwritten: u64,
    /// The vendor's own count of what is left, and when that starts anew.
    left: Option<u64>,
    /// How many the vendor says it allows a day.
    allowed: Option<u64>,
    resets_at: Option<Instant>,
}

impl Day {
    pub(super) fn count_one(&mut self) {
        self.unwritten += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// The vendor said how much is left of what it allows, and until when.
    pub(super) fn told(&mut self, left: u64, allowed: Option<u64>, resets_at: Option<Instant>) {
        self.left = Some(left);
        self.allowed = allowed;
        self.resets_at = resets_at;
    }

    /// This process's calls that are not written down yet.
    pub(super) fn unwritten(&mut self, today: DateTime<Utc>) -> (NaiveDate, u64) {
        self.turn_to(today);
        (self.date, self.unwritten)
    }

    /// Calls of the day: all that are written down, and this process's that are not.
    pub(super) fn made(&mut self, today: DateTime<Utc>) -> u64 {
        self.turn_to(today);
        self.written + self.unwritten
    }

    /// `count` of them were written down, and all processes together made `all`.
    pub(super) fn written(&mut self, date: NaiveDate, count: u64, all: u64) {
        if self.date == date {
            self.unwritten = self.unwritten.saturating_sub(count);
            self.written = all;
        }
    }

    /// How long no call of this priority may be made, if the day's are used up.
    /// What was left at the last writing is divided: the others' calls since are
    /// not known here.
    pub(super) fn over_for(
        &mut self,
        priority: Priority,
        now: Instant,
        today: DateTime<Utc>,
        limit: Option<u32>,
        processes: u32,
    ) -> Option<Duration> {
        self.turn_to(today);
        let kept = |of: u64| match priority {
            Priority::OptOut => 0,
            Priority::Message | Priority::Contact | Priority::Background => of / KEPT,
        };
        if self.resets_at.is_some_and(|at| at <= now) {
            self.left = None;
            self.resets_at = None;
        }
        if self.left.is_some_and(|left| left <= kept(self.allowed.unwrap_or(0))) {
            let reset = self.resets_at.map(|at| at - now);
            return Some(reset.unwrap_or_else(|| until_midnight(today)));
        }
        let limit = u64::from(limit?);
        let left = (limit - kept(limit)).saturating_sub(self.written);
        if left <= self.unwritten {
            return Some(until_midnight(today));
        }
        (left.div_ceil(u64::from(processes.max(1))) <= self.unwritten).then_some(ADDED_UP)
    }

    fn turn_to(&mut self, today: DateTime<Utc>) {
        if self.date != today.date_naive() {
            self.date = today.date_naive();
            self.written = 0;
            self.unwritten = 0;
            if self.resets_at.is_none() {
                self.left = None;
            }
        }
    }
}

fn until_midnight(now: DateTime<Utc>) -> Duration {
    now.date_naive()
        .checked_add_days(Days::new(1))
        .and_then(|next| (next.and_time(NaiveTime::MIN).and_utc() - now).to_std().ok())
        .unwrap_or(Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn what_others_and_an_earlier_start_used_counts_and_the_rest_is_divided() {
        let (mut day, now, noon) = (Day::default(), Instant::now(), at("2026-11-23T12:00:00Z"));
        let (date, _) = day.unwritten(noon);
        day.written(date, 0, 94);
        for _ in 0..3 {
            assert_eq!(day.over_for(Priority::OptOut, now, noon, Some(100), 2), None);
            day.count_one();
        }
        assert_eq!(
            day.over_for(Priority::OptOut, now, noon, Some(100), 2),
            Some(ADDED_UP),
            "the other half is not ours"
        );
        assert_eq!(day.unwritten(noon), (date, 3));
        day.written(date, 3, 97);
        assert_eq!(
            day.over_for(Priority::OptOut, now, noon, Some(100), 2),
            None,
            "the other one made no calls"
        );
        day.written(date, 0, 100);
        let rest = Some(Duration::from_secs(12 * 3600));
        assert_eq!(day.over_for(Priority::OptOut, now, noon, Some(100), 2), rest);
        assert_eq!(
            day.over_for(Priority::OptOut, now, at("2026-11-24T00:00:00Z"), Some(100), 2),
            None
        );
    }

    #[test]
    fn a_late_writing_of_yesterday_does_not_count_today() {
        let (mut day, now) = (Day::default(), Instant::now());
        let (yesterday, _) = day.unwritten(at("2026-11-23T23:59:59Z"));
        let today = at("2026-11-24T00:00:01Z");
        assert_eq!(day.over_for(Priority::OptOut, now, today, Some(5), 1), None);
        day.written(yesterday, 1, 5);
        assert_eq!(day.over_for(Priority::OptOut, now, today, Some(5), 1), None);
    }

    #[test]
    fn a_used_up_day_has_calls_left_for_opt_outs_only_by_our_count_and_by_the_vendors() {
        let (mut day, now, noon) = (Day::default(), Instant::now(), at("2026-11-23T12:00:00Z"));
        let rest = Some(Duration::from_secs(12 * 3600));
        let (date, _) = day.unwritten(noon);
        for (made, others, opt_out) in [(197, None, None), (198, rest, None), (200, rest, rest)] {
            day.written(date, 0, made);
            for priority in [Priority::Message, Priority::Contact, Priority::Background] {
                assert_eq!(day.over_for(priority, now, noon, Some(200), 1), others, "{made} made");
            }
            assert_eq!(
                day.over_for(Priority::OptOut, now, noon, Some(200), 1),
                opt_out,
                "{made} made"
            );
        }
        let mut day = Day::default();
        for (left, others, opt_out) in [(3, None, None), (2, rest, None), (0, rest, rest)] {
            day.turn_to(noon);
            day.told(left, Some(200), None);
            assert_eq!(
                day.over_for(Priority::Message, now, noon, Some(200), 1),
                others,
                "{left} left"
            );
            assert_eq!(
                day.over_for(Priority::OptOut, now, noon, Some(200), 1),
                opt_out,
                "{left} left"
            );
        }
    }
}
