//! Who a text is from or to, as a vendor or an operator writes it: not
//! everything that sends texts is a telephone.

use super::{Phone, PhoneHint};

/// A texting address, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A subscriber's number.
    Phone(Phone),
    /// Three to eight digits: a short code, or an emergency number. It can send
    /// and receive texts and is nobody's telephone.
    ShortCode(String),
    /// A sender's name in letters, which cannot be answered.
    Name(String),
}

impl Address {
    /// Reads an address. `None` for what is none of the three.
    pub fn parse(raw: &str, hint: &PhoneHint) -> Option<Self> {
        // Before the number parser: it makes +122395 of a short code.
        if is_short_code(raw.trim()) {
            return Some(Self::ShortCode(raw.trim().to_owned()));
        }
        if let Some(phone) = Phone::parse(raw, hint) {
            return Some(Self::Phone(phone));
        }
        is_name(raw.trim()).then(|| Self::Name(raw.trim().to_owned()))
    }
}

fn is_short_code(text: &str) -> bool {
    (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// GSM allows eleven characters of the Latin alphabet, digits and a few signs.
fn is_name(text: &str) -> bool {
    let fits = (1..=11).contains(&text.len()) && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    fits && text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b" -_&.+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each spelling is read as; a new version of the numbers' metadata must
    /// show its changes here.
    const TABLE: &str = include_str!("addresses.tsv");

    fn read(row: &str) -> (String, String) {
        let mut fields = row.split('\t');
        let (hint, raw, wanted) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        assert_eq!(fields.next(), None, "{row}");
        let hint = match hint {
            "full" => PhoneHint::International,
            region => PhoneHint::region(region),
        };
        // Written out where it would not be seen.
        let raw: String = raw.replace("<LRM>", "\u{200e}").replace("<BOM>", "\u{feff}");
        let found = match Address::parse(&raw, &hint) {
            Some(Address::Phone(phone)) => phone.as_str().to_owned(),
            Some(Address::ShortCode(code)) => format!("code {code}"),
            Some(Address::Name(name)) => format!("name {name}"),
            None => "nothing".to_owned(),
        };
        (found, wanted.to_owned())
    }

    #[test]
    fn every_spelling_is_read_as_the_table_says() {
        let rows: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(rows.len() >= 80, "{} rows", rows.len());
        let wrong: Vec<String> = rows
            .iter()
            .filter_map(|row| {
                let (found, wanted) = read(row);
                (found != wanted).then(|| format!("{row}: {found}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
