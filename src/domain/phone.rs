//! Phone numbers as E.164, parsed once at the edge.
//!
//! Validity is deliberately not required: an opt-out must be registered even
//! for a number whose area code is newer than the metadata (vendors/texting.md 4).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use unicode_normalization::UnicodeNormalization;

/// How the writer of a number meant it. Vendors that send full international
/// digits without `+` must not be read as national numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneHint {
    /// National digits belong to this two-letter region (`US`).
    Region(String),
    /// Always full international digits, with or without `+`.
    International,
}

impl PhoneHint {
    /// Numbers without `+` belong to this two-letter region.
    pub fn region(code: &str) -> Self {
        Self::Region(code.to_owned())
    }
}

/// A phone number in E.164 form (`+` and 8 to 17 digits). `Debug` and
/// `Display` are masked: only [`Phone::as_str`] gives the number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(String);

impl Phone {
    /// Reads a number as written by a person or vendor. `None` for short
    /// codes, alphanumeric senders, and anything too short or long to be a
    /// subscriber number, by its region's lengths where no `+` is written.
    pub fn parse(raw: &str, hint: &PhoneHint) -> Option<Self> {
        let cleaned = clean(raw);
        let digits = cleaned.chars().filter(char::is_ascii_digit).count();
        if cleaned.chars().any(char::is_alphabetic) && !cleaned.contains("ext") && !cleaned.contains('x') {
            return None;
        }
        if digits < 7 || (digits <= 8 && !cleaned.starts_with('+')) {
            return None;
        }
        let (text, region) = match hint {
            PhoneHint::Region(code) => (cleaned, Region::from_str(code).ok()),
            PhoneHint::International if cleaned.starts_with('+') => (cleaned, None),
            PhoneHint::International => (format!("+{cleaned}"), None),
        };
        let number = PHONE_NUMBER_UTIL.parse(&text, region).ok()?;
        // National digits of an impossible length were misread; who wrote a country code is believed.
        if !text.starts_with('+') && !PHONE_NUMBER_UTIL.is_possible_number(&number) {
            return None;
        }
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        let length = e164.len().saturating_sub(1);
        (e164.starts_with('+') && (8..=17).contains(&length)).then_some(Self(e164))
    }

    /// Takes a number that is already E.164, such as one of our own tables.
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        ((8..=17).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.to_owned()))
    }

    /// The number, `+` first. Never log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Schemes before a number, as in `tel:` links and in vendors' other channels.
const SCHEMES: [&str; 4] = ["tel:", "sms:", "rcs:", "whatsapp:"];

/// Removes what copies, keyboards and spreadsheets add (marks that print nothing,
/// full-width forms, a scheme, `.0`) and keeps the rest for the parser.
fn clean(raw: &str) -> String {
    let folded: Cow<'_, str> = if raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        raw.into()
    } else {
        raw.nfkc()
            .filter(|c| !c.is_control() && !matches!(*c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'))
            .collect()
    };
    let trimmed = folded.trim();
    let bare = SCHEMES
        .iter()
        .find_map(|scheme| trimmed.strip_prefix(scheme))
        .unwrap_or(trimmed);
    let cell = bare
        .strip_suffix(".0")
        .filter(|cell| cell.bytes().all(|byte| byte.is_ascii_digit()));
    cell.unwrap_or(bare).to_owned()
}

/// The form that operators see: the first four characters and `***`.
pub fn mask(number: &str) -> String {
    let head: String = number.chars().take(4).collect();
    format!("{head}***")
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(raw: &str) -> Option<String> {
        Phone::parse(raw, &PhoneHint::region("US")).map(|p| p.as_str().to_owned())
    }

    fn international(raw: &str) -> Option<String> {
        Phone::parse(raw, &PhoneHint::International).map(|p| p.as_str().to_owned())
    }

    #[test]
    fn the_same_number_in_every_spelling_is_one_number() {
        for raw in [
            "+16195550111",
            "6195550111",
            "1 619 555 0111",
            "(619) 555-0111",
            "619.555.0111",
            "tel:+1-619-555-0111",
            "\u{200e}+1 619-555-0111",
            "＋１６１９５５５０１１１",
            "619-555-0111 x5",
        ] {
            assert_eq!(us(raw).as_deref(), Some("+16195550111"), "{raw}");
        }
    }

    #[test]
    fn short_codes_names_and_fragments_are_no_phone_numbers() {
        for raw in [
            "",
            "22395",
            "911",
            "+",
            "ACME",
            "(619)5550111 home",
            "none",
            "555-0111",
            "client:agent120001",
        ] {
            assert_eq!(us(raw), None, "{raw}");
        }
    }

    #[test]
    fn international_digits_without_plus_are_not_read_as_american() {
        assert_eq!(international("6598765432").as_deref(), Some("+6598765432"));
        assert_eq!(international("442071838750").as_deref(), Some("+442071838750"));
        assert_eq!(us("+33142764978").as_deref(), Some("+33142764978"));
    }

    #[test]
    fn a_new_area_code_is_still_a_number() {
        assert_eq!(us("+12735550111").as_deref(), Some("+12735550111"));
    }

    #[test]
    fn printing_a_phone_shows_its_head_only() {
        let phone = Phone::from_e164("+16195550111").map(|p| format!("{p} {p:?}"));
        assert_eq!(phone.as_deref(), Some("+161*** +161***"));
    }
}
