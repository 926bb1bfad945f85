//! The burst and daily limits and the headers that tell of them.
//!
//! Fixed windows; two tokens of one location share them. The body of a real
//! 429 is undocumented, and no `Retry-After` is documented either, so none is
//! sent: the headers are all a client has.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::sandbox::wire::Answer;

/// Requests so far in the two windows.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    burst: u32,
    interval: Duration,
    daily: u32,
    enforced: bool,
    window_start: Option<DateTime<Utc>>,
    day_start: Option<DateTime<Utc>>,
    in_window: u32,
    in_day: u32,
}

impl Limits {
    /// The documented limits; `enforced` false counts but never refuses.
    pub(super) fn documented(enforced: bool) -> Self {
        Self {
            burst: 100,
            interval: Duration::from_secs(10),
            daily: 200_000,
            enforced,
            window_start: None,
            day_start: None,
            in_window: 0,
            in_day: 0,
        }
    }

    /// Other numbers, from now on.
    pub(super) fn set(&mut self, burst: u32, interval: Duration, daily: u32) {
        *self = Self {
            burst,
            interval,
            daily,
            ..Self::documented(true)
        };
    }

    /// Never refuse.
    pub(super) fn lift(&mut self) {
        self.enforced = false;
    }

    /// Counts a request; false if it is one too many.
    pub(super) fn admit(&mut self, now: DateTime<Utc>) -> bool {
        let interval = TimeDelta::from_std(self.interval).unwrap_or(TimeDelta::MAX);
        if self.window_start.is_none_or(|start| now - start >= interval) {
            self.window_start = Some(now);
            self.in_window = 0;
        }
        if self.day_start.is_none_or(|start| now - start >= TimeDelta::days(1)) {
            self.day_start = Some(now);
            self.in_day = 0;
        }
        if self.enforced && (self.in_window >= self.burst || self.in_day >= self.daily) {
            return false;
        }
        self.in_window = self.in_window.saturating_add(1);
        self.in_day = self.in_day.saturating_add(1);
        true
    }

    /// Adds the documented headers. A 429 never claims that budget is left.
    pub(super) fn dress(&self, answer: Answer, now: DateTime<Utc>) -> Answer {
        let remaining = match answer.status {
            429 => 0,
            _ => self.burst.saturating_sub(self.in_window),
        };
        let reset = self.day_start.map_or(86_400_000, |start| {
            (start + TimeDelta::days(1) - now).num_milliseconds()
        });
        answer
            .with_header("X-RateLimit-Max", &self.burst.to_string())
            .with_header("X-RateLimit-Remaining", &remaining.to_string())
            .with_header(
                "X-RateLimit-Interval-Milliseconds",
                &self.interval.as_millis().to_string(),
            )
            .with_header("X-RateLimit-Limit-Daily", &self.daily.to_string())
            .with_header(
                "X-RateLimit-Daily-Remaining",
                &self.daily.saturating_sub(self.in_day).to_string(),
            )
            .with_header("X-RateLimit-Daily-Reset", &reset.to_string())
    }
}
