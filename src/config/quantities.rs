//! Written quantities: durations (`5s`), sizes (`1MiB`), rates (`80/10s`) and
//! counts, each inside stated bounds.
//!
//! Errors say what is allowed and never repeat the value; `read` does that.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::sections::Rate;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Largest unit first, so that writing finds the shortest form.
const DURATIONS: [(&str, Duration); 5] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
];

const SIZES: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads a duration inside `bounds`.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let value = any_duration(text).ok_or("is no duration: write 500ms, 5s, 10m, 1h or 90d")?;
        within(value, &bounds, |bound| write_duration(*bound))
    }
}

/// Reads bytes (`1048576`, `512KiB`, `1MiB`) inside `bounds`.
pub(super) fn size(bounds: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, String> {
    move |text| {
        let value = any_size(text).ok_or("is no size: write 512KiB, 1MiB or a number of bytes")?;
        within(value, &bounds, |bound| write_size(*bound))
    }
}

/// Reads a whole number inside `bounds`.
pub(super) fn number<N>(bounds: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    move |text| {
        let value = digits(text).ok_or_else(|| between("is no whole number", &bounds, N::to_string))?;
        within(value, &bounds, N::to_string)
    }
}

/// Reads `count/period`, as in `80/10s`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    rate_within(HOUR)(text)
}

/// A rate over at most `longest`.
pub(super) fn rate_within(longest: Duration) -> impl Fn(&str) -> Result<Rate, String> {
    move |text| any_rate(text, longest)
}

fn any_rate(text: &str, longest: Duration) -> Result<Rate, String> {
    let (count, period) = text
        .split_once('/')
        .ok_or("is no rate: write requests per time, as in 80/10s")?;
    let count = number(1..=100_000)(count.trim()).map_err(|why| format!("the requests of a rate: {why}"))?;
    let period =
        duration(MILLISECOND * 100..=longest)(period.trim()).map_err(|why| format!("the time of a rate: {why}"))?;
    Ok(Rate { count, period })
}

/// The shortest exact writing of a duration, as in `5s`.
pub(super) fn write_duration(value: Duration) -> String {
    let millis = value.as_millis();
    DURATIONS
        .iter()
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(unit.as_millis()))
        .map_or_else(
            || "0s".to_owned(),
            |(name, unit)| format!("{}{name}", millis / unit.as_millis()),
        )
}

fn write_size(value: usize) -> String {
    SIZES
        .iter()
        .find(|(_, unit)| value > 0 && value.is_multiple_of(*unit))
        .map_or_else(
            || format!("{value} bytes"),
            |(name, unit)| format!("{}{name}", value / unit),
        )
}

fn any_duration(text: &str) -> Option<Duration> {
    let start = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(start)?;
    let (_, unit) = DURATIONS.iter().find(|(name, _)| *name == unit.trim_start())?;
    unit.checked_mul(digits(count)?)
}

fn any_size(text: &str) -> Option<usize> {
    let start = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(start)?;
    if unit.is_empty() {
        return digits(count);
    }
    let (_, unit) = SIZES.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits::<usize>(count)?.checked_mul(*unit)
}

/// Digits only: `FromStr` alone would also take a sign.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

fn within<T: PartialOrd>(value: T, bounds: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> Result<T, String> {
    if bounds.contains(&value) {
        Ok(value)
    } else {
        Err(between("is out of bounds", bounds, show))
    }
}

fn between<T>(what: &str, bounds: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> String {
    format!(
        "{what}: must be between {} and {}",
        show(bounds.start()),
        show(bounds.end())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_every_unit() {
        let read = duration(Duration::ZERO..=DAY * 100);
        assert_eq!(read("500ms"), Ok(MILLISECOND * 500));
        assert_eq!(read("5s"), Ok(SECOND * 5));
        assert_eq!(read("10m"), Ok(MINUTE * 10));
        assert_eq!(read("1h"), Ok(HOUR));
        assert_eq!(read("90d"), Ok(DAY * 90));
        assert_eq!(read("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_duration_needs_a_whole_number_and_a_known_unit() {
        let read = duration(Duration::ZERO..=DAY);
        for text in [
            "5",
            "s",
            "-5s",
            "+5s",
            "1.5s",
            "5 weeks",
            "5S",
            "99999999999999999999s",
            "4294967295d",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_are_named_in_the_shortest_form() {
        let why = duration(MILLISECOND * 500..=HOUR)("0s").unwrap_err();
        assert_eq!(why, "is out of bounds: must be between 500ms and 1h");
        assert_eq!(
            size(256..=1 << 20)("1").unwrap_err(),
            "is out of bounds: must be between 256 bytes and 1MiB"
        );
        assert_eq!(write_duration(SECOND * 90), "90s");
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        let read = size(1..=usize::MAX);
        assert_eq!(read("1048576"), Ok(1_048_576));
        assert_eq!(read("512KiB"), Ok(524_288));
        assert_eq!(read("1MiB"), Ok(1_048_576));
        for text in ["1MB", "MiB", "1.5MiB", "", "99999999999GiB"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_count_and_a_period_both_above_zero() {
        assert_eq!(
            rate("100/10s"),
            Ok(Rate {
                count: 100,
                period: SECOND * 10
            })
        );
        assert_eq!(
            rate("20 / 1s"),
            Ok(Rate {
                count: 20,
                period: SECOND
            })
        );
        for text in ["100", "0/1s", "10/0s", "10/", "/1s", "10/10"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
