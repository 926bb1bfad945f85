//! Times and sizes as people say them.

use std::time::Duration;

use chrono::TimeDelta;

/// Such as `40 s`, `12 min`, `3 h`, `9 days`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Such as `12 s ahead of`, `3 min behind`.
pub(super) fn offset(ahead: TimeDelta) -> String {
    let size = span(ahead.abs().to_std().unwrap_or(Duration::MAX));
    if ahead < TimeDelta::zero() {
        format!("{size} behind")
    } else {
        format!("{size} ahead of")
    }
}

/// Such as `900 bytes`, `12 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    UNITS.iter().find(|(shift, _)| bytes >> shift > 0).map_or_else(
        || format!("{bytes} bytes"),
        |(shift, unit)| format!("{} {unit}", bytes >> shift),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_said_in_their_largest_unit() {
        let said = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [said(0), said(119), said(120), said(7_200), said(172_800)],
            ["0 s", "119 s", "2 min", "2 h", "2 days"]
        );
        assert_eq!([size(900), size(2048), size(3 << 30)], ["900 bytes", "2 KiB", "3 GiB"]);
        assert_eq!(offset(TimeDelta::seconds(-90)), "90 s behind");
        assert_eq!(offset(TimeDelta::hours(3)), "3 h ahead of");
    }
}
