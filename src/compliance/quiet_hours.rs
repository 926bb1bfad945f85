//! The hours in which a number must not be sent automated texts. Pure: the
//! moment is passed in.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};
use chrono_tz::Tz;

use super::places::{self, Place};
use crate::domain::Phone;

/// The data file, with its version in the first line.
const FILE: &str = include_str!("places/quiet_hours.txt");
const FEDERAL: &str = "federal";

/// Windows begin and end at full hours, and every zone of the plan is at a
/// multiple of this from UTC.
const STEP: TimeDelta = TimeDelta::minutes(15);
/// How far ahead the next allowed moment is looked for: a week and a day.
const AHEAD: i32 = 8 * 24 * 4;

/// Which windows bind us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// The federal window and the stricter ones of states.
    State,
    /// The federal window alone.
    Federal,
    /// None.
    Off,
}

/// Some days' hours of one region.
struct Window {
    region: &'static str,
    days: (u32, u32),
    hours: (u32, u32),
}

static WINDOWS: LazyLock<Vec<Window>> = LazyLock::new(|| FILE.lines().filter_map(window).collect());

/// `region mon-sat 9-21`.
fn window(line: &'static str) -> Option<Window> {
    let [region, days, hours] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let (first, last) = days.split_once('-')?;
    let day = |name: &str| name.parse::<Weekday>().ok().map(|day| day.num_days_from_monday());
    let (from, to) = hours.split_once('-')?;
    Some(Window {
        region,
        days: (day(first)?, day(last)?),
        hours: (from.parse().ok()?, to.parse().ok()?),
    })
}

impl Window {
    fn admits(&self, day: u32, hour: u32) -> bool {
        (self.days.0..=self.days.1).contains(&day) && (self.hours.0..self.hours.1).contains(&hour)
    }
}

/// When this number may be texted, if not now. Allowed is what every zone it
/// may be in allows; numbers outside the North American plan are not bound.
pub fn closed_until(phone: &Phone, law: Law, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let place = places::of(phone).filter(|_| law != Law::Off)?;
    if allowed(place, law, now) {
        return None;
    }
    let step = STEP.num_seconds();
    let past = now.timestamp().rem_euclid(step);
    let next = now.with_nanosecond(0).unwrap_or(now) + TimeDelta::seconds(step - past);
    let mut later = (0..AHEAD).map(|n| next + STEP * n);
    Some(later.find(|at| allowed(place, law, *at)).unwrap_or(next + STEP * AHEAD))
}

fn allowed(place: &Place, law: Law, at: DateTime<Utc>) -> bool {
    let own = law == Law::State && WINDOWS.iter().any(|window| window.region == place.region);
    place
        .zones
        .iter()
        .all(|zone| open(FEDERAL, *zone, at) && (!own || open(place.region, *zone, at)))
}

fn open(region: &str, zone: Tz, at: DateTime<Utc>) -> bool {
    let local = at.with_timezone(&zone);
    let (day, hour) = (local.weekday().num_days_from_monday(), local.hour());
    let mut rows = WINDOWS.iter().filter(|window| window.region == region);
    rows.any(|window| window.admits(day, hour))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn until(number: &str, law: Law, now: &str) -> Option<DateTime<Utc>> {
        closed_until(&Phone::from_e164(number).unwrap(), law, at(now))
    }

    #[test]
    fn every_row_is_read_and_names_a_region_that_has_numbers() {
        let rows = FILE.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(WINDOWS.len(), rows);
        for window in WINDOWS.iter() {
            assert!(window.days.0 <= window.days.1 && window.hours.0 < window.hours.1 && window.hours.1 <= 24);
            let known = window.region == FEDERAL || places::has_region(window.region);
            assert!(known, "{}", window.region);
        }
    }

    #[test]
    fn the_federal_window_is_eight_to_nine_at_the_recipient_s_place() {
        let wyoming = "+13075550111"; // Mountain time, no law of its own
        for (now, next) in [
            ("2026-11-23T14:59:59Z", Some("2026-11-23T15:00:00Z")), // 7:59
            ("2026-11-23T15:00:00Z", None),                         // 8:00
            ("2026-11-24T03:59:59Z", None),                         // 20:59
            ("2026-11-24T04:00:00Z", Some("2026-11-24T15:00:00Z")), // 21:00
            ("2026-07-01T14:00:00Z", None),                         // 8:00 in summer
            ("2026-07-01T13:59:00Z", Some("2026-07-01T14:00:00Z")),
        ] {
            assert_eq!(until(wyoming, Law::State, now), next.map(at), "{now}");
            assert_eq!(until(wyoming, Law::Federal, now), next.map(at), "{now}");
            assert_eq!(until(wyoming, Law::Off, now), None);
        }
    }

    #[test]
    fn states_are_stricter_by_hour_and_by_day() {
        for (number, now, next) in [
            // California from 9.
            ("+16195550111", "2026-11-23T16:30:00Z", Some("2026-11-23T17:00:00Z")),
            ("+16195550111", "2026-11-23T17:00:00Z", None),
            // Florida until 20.
            ("+13055550111", "2026-11-24T00:59:00Z", None),
            ("+13055550111", "2026-11-24T01:00:00Z", Some("2026-11-24T13:00:00Z")),
            // Texas on a Sunday from 12.
            ("+12145550111", "2026-11-22T17:59:00Z", Some("2026-11-22T18:00:00Z")),
            ("+12145550111", "2026-11-23T15:00:00Z", None),
            // Alabama and Louisiana never on a Sunday.
            ("+12055550111", "2026-11-22T18:00:00Z", Some("2026-11-23T14:00:00Z")),
            ("+12255550111", "2026-11-22T02:00:00Z", Some("2026-11-23T14:00:00Z")),
            // Rhode Island: 9 to 18 on weekdays, 10 to 17 at the weekend.
            ("+14015550111", "2026-11-27T23:00:00Z", Some("2026-11-28T15:00:00Z")),
        ] {
            assert_eq!(until(number, Law::State, now), next.map(at), "{number} {now}");
        }
        assert_eq!(until("+16195550111", Law::Federal, "2026-11-23T16:30:00Z"), None);
        assert_eq!(until("+12055550111", Law::Federal, "2026-11-22T18:00:00Z"), None);
    }

    #[test]
    fn a_code_that_spans_zones_is_open_when_both_are() {
        let indiana = "+15745550111"; // Eastern and Central
        assert_eq!(
            until(indiana, Law::State, "2026-11-23T13:30:00Z"),
            Some(at("2026-11-23T14:00:00Z"))
        );
        assert_eq!(until(indiana, Law::State, "2026-11-24T01:59:00Z"), None);
        assert_eq!(
            until(indiana, Law::State, "2026-11-24T02:00:00Z"),
            Some(at("2026-11-24T14:00:00Z"))
        );
    }

    #[test]
    fn who_may_be_anywhere_is_texted_when_it_is_day_everywhere() {
        for number in ["+18885550111", "+12995550111"] {
            // 9:00 in Honolulu to 20:00 in New York.
            assert_eq!(
                until(number, Law::State, "2026-11-23T18:59:00Z"),
                Some(at("2026-11-23T19:00:00Z"))
            );
            assert_eq!(until(number, Law::State, "2026-11-24T00:59:00Z"), None);
            assert_eq!(
                until(number, Law::State, "2026-11-24T01:00:00Z"),
                Some(at("2026-11-24T19:00:00Z"))
            );
        }
    }

    #[test]
    fn the_night_in_which_the_clocks_change_ends_at_the_new_time() {
        let new_jersey = "+12015550111";
        // 1 November 2026, back to standard time; 14 March 2027, on to summer time.
        assert_eq!(
            until(new_jersey, Law::State, "2026-11-01T05:30:00Z"),
            Some(at("2026-11-01T13:00:00Z"))
        );
        assert_eq!(
            until(new_jersey, Law::State, "2027-03-14T06:30:00Z"),
            Some(at("2027-03-14T12:00:00Z"))
        );
    }

    #[test]
    fn newfoundland_s_half_hour_is_known_and_other_countries_are_not_bound() {
        // St. John's is at -3:30, Halifax, which shares the code, at -4.
        assert_eq!(
            until("+17095550111", Law::State, "2026-11-23T11:40:00Z"),
            Some(at("2026-11-23T12:00:00Z"))
        );
        assert_eq!(until("+17095550111", Law::State, "2026-11-24T00:29:00Z"), None);
        assert_eq!(
            until("+17095550111", Law::State, "2026-11-24T00:30:00Z"),
            Some(at("2026-11-24T12:00:00Z"))
        );
        assert_eq!(until("+442071838750", Law::State, "2026-11-24T03:00:00Z"), None);
    }
}
