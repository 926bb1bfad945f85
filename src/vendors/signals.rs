//! What a vendor's answer says about its limits and its clock, read from the
//! headers.
//!
//! `X-RateLimit-*` are GHL's (vendors/ghl.md 6: Daily-Reset is undocumented but
//! sent, in milliseconds); `Retry-After` is read from every vendor.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap};

/// No vendor may park our work for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The limits an answer reports. `None` where it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `Retry-After`, as seconds or as a date.
    pub retry_after: Option<Duration>,
    /// Calls allowed in an interval.
    pub allowed: Option<u64>,
    /// Calls left in the current interval.
    pub remaining: Option<u64>,
    /// Length of the interval.
    pub interval: Option<Duration>,
    /// Calls allowed a day.
    pub daily_allowed: Option<u64>,
    /// Calls left today.
    pub daily_remaining: Option<u64>,
    /// Time until the daily count starts again.
    pub daily_reset: Option<Duration>,
    /// How far the vendor's clock is ahead of ours, to a second or two.
    pub ahead: Option<TimeDelta>,
}

impl Signals {
    /// Reads the headers; `now` resolves dates.
    pub fn read(headers: &HeaderMap, now: DateTime<Utc>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        // The daily figure has been seen negative in official client code.
        let count = |name: &str| text(name)?.parse::<i64>().ok().map(|n| n.max(0).unsigned_abs());
        let millis = |name: &str| count(name).map(|ms| Duration::from_millis(ms).min(LONGEST_WAIT));
        Self {
            retry_after: text("retry-after").and_then(|raw| retry_after(raw, now)),
            allowed: count("x-ratelimit-max"),
            remaining: count("x-ratelimit-remaining"),
            interval: millis("x-ratelimit-interval-milliseconds"),
            daily_allowed: count("x-ratelimit-limit-daily"),
            daily_remaining: count("x-ratelimit-daily-remaining"),
            daily_reset: millis("x-ratelimit-daily-reset"),
            ahead: text(DATE.as_str())
                .and_then(|raw| DateTime::parse_from_rfc2822(raw).ok())
                .map(|theirs| theirs.to_utc() - now),
        }
    }
}

fn retry_after(raw: &str, now: DateTime<Utc>) -> Option<Duration> {
    let wait = match raw.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(raw).ok()?;
            (until.to_utc() - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Signals {
        let headers = pairs
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()))
            .collect();
        let now = DateTime::parse_from_rfc3339("2026-11-23T12:00:00Z").unwrap().to_utc();
        Signals::read(&headers, now)
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_is_bounded() {
        let cases = [
            ("7", Some(7)),
            ("Mon, 23 Nov 2026 12:00:30 GMT", Some(30)),
            ("Mon, 23 Nov 2026 11:00:00 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("soon", None),
            ("-1", None),
        ];
        for (raw, seconds) in cases {
            let wanted = seconds.map(Duration::from_secs);
            assert_eq!(read(&[("retry-after", raw)]).retry_after, wanted, "{raw}");
        }
    }

    #[test]
    fn ghl_limit_headers_are_read() {
        let signals = read(&[
            ("x-ratelimit-max", "100"),
            ("x-ratelimit-limit-daily", "200000"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-interval-milliseconds", "10000"),
            ("x-ratelimit-daily-remaining", "-3"),
            ("x-ratelimit-daily-reset", "60000"),
        ]);
        assert_eq!((signals.allowed, signals.daily_allowed), (Some(100), Some(200_000)));
        assert_eq!(signals.remaining, Some(0));
        assert_eq!(signals.interval, Some(Duration::from_secs(10)));
        assert_eq!(signals.daily_remaining, Some(0));
        assert_eq!(signals.daily_reset, Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_vendor_s_clock_is_told_from_its_date() {
        let ahead = |date| read(&[("date", date)]).ahead;
        assert_eq!(ahead("Mon, 23 Nov 2026 12:02:00 GMT"), Some(TimeDelta::minutes(2)));
        assert_eq!(ahead("Mon, 23 Nov 2026 11:59:00 GMT"), Some(TimeDelta::minutes(-1)));
        assert_eq!(ahead("today"), None);
    }
}
