//! How long a person has to decide whether a text was a revocation.

use chrono::{DateTime, Datelike, Days, NaiveTime, Utc, Weekday};

/// Business days to decide in. Half of the ten the law gives to honour it.
const DAYS: u32 = 5;

/// When an undecided text becomes a STOP: the same time of day five business days
/// (Monday to Friday, UTC) later. What comes at a weekend counts as of Monday's
/// beginning. Holidays count: that is only ever too soon.
pub fn due(received: DateTime<Utc>) -> DateTime<Utc> {
    let mut at = received;
    if is_weekend(at) {
        while is_weekend(at) {
            at = tomorrow(at);
        }
        at = at.with_time(NaiveTime::MIN).single().unwrap_or(at);
    }
    for _ in 0..DAYS {
        at = tomorrow(at);
        while is_weekend(at) {
            at = tomorrow(at);
        }
    }
    at
}

fn tomorrow(at: DateTime<Utc>) -> DateTime<Utc> {
    at.checked_add_days(Days::new(1)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn is_weekend(at: DateTime<Utc>) -> bool {
    at < DateTime::<Utc>::MAX_UTC && matches!(at.weekday(), Weekday::Sat | Weekday::Sun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_business_days_skip_the_weekend_and_keep_the_time_of_day() {
        for (received, wanted) in [
            ("2026-11-23T10:00:00Z", "2026-11-30T10:00:00Z"), // Monday
            ("2026-11-24T23:59:59Z", "2026-12-01T23:59:59Z"), // Tuesday
            ("2026-11-27T10:00:00Z", "2026-12-04T10:00:00Z"), // Friday
            ("2026-11-27T23:59:59Z", "2026-12-04T23:59:59Z"), // its last second
            ("2026-11-28T00:00:00Z", "2026-12-07T00:00:00Z"), // Saturday
            ("2026-11-29T15:30:00Z", "2026-12-07T00:00:00Z"), // Sunday
            ("2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"), // Monday's beginning
            ("2026-12-28T09:00:00Z", "2027-01-04T09:00:00Z"), // over New Year
            ("2028-02-25T12:00:00Z", "2028-03-03T12:00:00Z"), // over a leap day
        ] {
            let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
            assert_eq!(due(at(received)), at(wanted), "{received}");
        }
        assert_eq!(due(DateTime::<Utc>::MAX_UTC), DateTime::<Utc>::MAX_UTC);
    }
}
