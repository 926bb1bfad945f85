//! Where a number may be, as far as its digits tell. The area code is only a
//! proxy, so every zone it spans counts.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono_tz::Tz;

use crate::domain::Phone;

/// The data file, with its version in the first line.
const FILE: &str = include_str!("places/area_codes.txt");

/// The region of whoever may be anywhere.
pub(super) const ANYWHERE: &str = "XX";

/// A region and the zones that its numbers may be in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `US-CA`, `CA-ON`, `JM`, or [`ANYWHERE`].
    pub(super) region: &'static str,
    /// At least one.
    pub(super) zones: Vec<Tz>,
}

struct Atlas {
    places: Vec<Place>,
    by_code: HashMap<&'static str, usize>,
    anywhere: usize,
}

static ATLAS: LazyLock<Atlas> = LazyLock::new(|| {
    let mut atlas = Atlas {
        places: Vec::new(),
        by_code: HashMap::new(),
        anywhere: 0,
    };
    for (place, codes) in FILE.lines().filter_map(line) {
        if place.region == ANYWHERE {
            atlas.anywhere = atlas.places.len();
        }
        atlas.by_code.extend(codes.map(|code| (code, atlas.places.len())));
        atlas.places.push(place);
    }
    atlas
});

/// `region zone zone: code code`; comments and the version line have no colon
/// behind a known zone.
fn line(text: &'static str) -> Option<(Place, impl Iterator<Item = &'static str>)> {
    let (head, codes) = text.split_once(": ").filter(|_| !text.starts_with('#'))?;
    let mut words = head.split(' ');
    let region = words.next()?;
    let zones = words.map(str::parse).collect::<Result<Vec<Tz>, _>>().ok()?;
    Some((Place { region, zones }, codes.split(' ')))
}

/// The three digits behind `+1`, if it is a number of the North American plan.
fn area_code(phone: &Phone) -> Option<&str> {
    phone.as_str().strip_prefix("+1")?.get(..3)
}

/// Where the number may be; `None` outside the North American plan.
pub(super) fn of(phone: &Phone) -> Option<&'static Place> {
    let index = ATLAS.by_code.get(area_code(phone)?).unwrap_or(&ATLAS.anywhere);
    ATLAS.places.get(*index)
}

/// Whether the number is toll-free: the carriers answer STOP to those themselves.
pub fn is_toll_free(phone: &Phone) -> bool {
    area_code(phone).is_some_and(|code| ATLAS.by_code.get(code) == Some(&ATLAS.anywhere))
}

/// Whether a text could arrive at this number at all: E.164 of at most 15
/// digits; in the North American plan ten digits behind `+1`, no emergency or
/// service code (N11) in either place, no premium number.
pub fn is_textable(phone: &Phone) -> bool {
    let Some(national) = phone.as_str().strip_prefix("+1") else {
        return phone.as_str().len() <= 16;
    };
    let leads = |part: Option<&str>| {
        part.is_some_and(|part| !part.starts_with(['0', '1']) && !part.ends_with("11") && part != "900")
    };
    let exchange = national.get(3..6);
    national.len() == 10 && leads(national.get(..3)) && (exchange == Some("900") || leads(exchange))
}

/// Whether some number belongs to this region.
#[cfg(test)]
pub(super) fn has_region(region: &str) -> bool {
    ATLAS.places.iter().any(|place| place.region == region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(code: &str) -> &'static Place {
        of(&phone(&format!("+1{code}5550111"))).unwrap()
    }

    fn phone(text: &str) -> Phone {
        Phone::from_e164(text).unwrap()
    }

    #[test]
    fn every_line_is_read_and_every_area_code_stands_once() {
        let told: Vec<&str> = FILE
            .lines()
            .filter(|line| line.contains(": ") && !line.starts_with('#'))
            .collect();
        assert_eq!(ATLAS.places.len(), told.len());
        let codes: usize = told
            .iter()
            .map(|line| line.split_once(": ").unwrap().1.split(' ').count())
            .sum();
        assert_eq!(ATLAS.by_code.len(), codes);
        assert!(
            ATLAS
                .by_code
                .keys()
                .all(|code| code.len() == 3 && code.parse::<u16>().is_ok_and(|n| n > 200))
        );
        assert!(ATLAS.places.iter().all(|place| !place.zones.is_empty()));
    }

    #[test]
    fn all_states_are_there_and_well_known_codes_are_where_they_are() {
        let mut states: Vec<&str> = ATLAS
            .places
            .iter()
            .map(|p| p.region)
            .filter(|r| r.starts_with("US-"))
            .collect();
        states.dedup();
        assert_eq!(states.len(), 51, "{states:?}");
        for (code, region, zones) in [
            ("907", "US-AK", "America/Adak America/Anchorage America/Juneau"),
            ("808", "US-HI", "Pacific/Honolulu"),
            ("219", "US-IN", "America/Chicago America/New_York"),
            ("574", "US-IN", "America/Chicago America/New_York"),
            ("619", "US-CA", "America/Los_Angeles"),
            ("850", "US-FL", "America/Chicago America/New_York"),
            ("480", "US-AZ", "America/Phoenix"),
            ("364", "US-KY", "America/Chicago America/New_York"),
            ("345", "KY", "America/Cayman"),
            ("416", "CA-ON", "America/Toronto"),
            ("787", "PR", "America/Puerto_Rico"),
            ("800", ANYWHERE, ""),
            ("299", ANYWHERE, ""),
        ] {
            let found = place(code);
            assert_eq!(found.region, region, "{code}");
            let names: Vec<&str> = found.zones.iter().map(|zone| zone.name()).collect();
            assert!(zones.is_empty() || names.join(" ") == zones, "{code}: {names:?}");
        }
        assert_eq!(place("299").zones.len(), 7);
        assert_eq!(of(&phone("+442071838750")), None);
    }

    #[test]
    fn what_no_text_can_reach_is_told() {
        for (number, textable) in [
            ("+16195550111", true),
            ("+12735550111", true),
            ("+442071838750", true),
            ("+18885550111", true),
            ("+16199000111", true),
            ("+19005550111", false),
            ("+19115550111", false),
            ("+16199110111", false),
            ("+11195550111", false),
            ("+1619555011", false),
            ("+161955501119", false),
            ("+4420718387501234", false),
        ] {
            assert_eq!(is_textable(&phone(number)), textable, "{number}");
        }
        assert!(is_toll_free(&phone("+18335550111")));
        assert!(!is_toll_free(&phone("+12995550111")), "unknown, not toll-free");
    }
}
