//! Which properties a body may have, and of what kind, in the words of the
//! vendors' validators.

use serde_json::{Map, Value};

/// The kind of a property.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string, or null to clear it.
    TextOrNull,
    /// A boolean.
    Flag,
    /// A boolean, or 0 or 1.
    LooseFlag,
    /// A number.
    Number,
    /// A number, or digits in a string.
    Id,
    /// An array of strings.
    Texts,
    /// One of these strings, exact case.
    OneOf(&'static [&'static str]),
    /// Checked elsewhere.
    Any,
}

/// Properties that may occur.
pub(super) type Fields = [(&'static str, Kind)];

/// One complaint per wrong property: `(property, text)`.
pub(super) fn violations(body: &Map<String, Value>, allowed: &[&Fields], required: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, value) in body {
        let kind = allowed
            .iter()
            .flat_map(|fields| fields.iter())
            .find(|(key, _)| key == name);
        match kind {
            None => found.push((name.clone(), format!("property {name} should not exist"))),
            Some((_, kind)) => {
                if let Some(text) = complaint(name, *kind, value) {
                    found.push((name.clone(), text));
                }
            }
        }
    }
    for name in required {
        let missing = match body.get(*name) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        };
        if missing {
            found.push(((*name).to_owned(), format!("{name} should not be empty")));
        }
    }
    found
}

fn complaint(name: &str, kind: Kind, value: &Value) -> Option<String> {
    let fits = match kind {
        Kind::Text => value.is_string(),
        Kind::TextOrNull => value.is_string() || value.is_null(),
        Kind::Flag => value.is_boolean(),
        Kind::LooseFlag => value.is_boolean() || matches!(value.as_i64(), Some(0 | 1)),
        Kind::Number => value.is_number(),
        Kind::Id => {
            value.is_i64()
                || value
                    .as_str()
                    .is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        }
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Kind::OneOf(allowed) => value.as_str().is_some_and(|text| allowed.contains(&text)),
        Kind::Any => true,
    };
    if fits {
        return None;
    }
    Some(match kind {
        Kind::Text | Kind::TextOrNull => format!("{name} must be a string"),
        Kind::Flag | Kind::LooseFlag => format!("{name} must be a boolean value"),
        Kind::Number => format!("{name} must be a number"),
        Kind::Id => format!("{name} must be an integer"),
        Kind::Texts if value.is_array() => format!("each value in {name} must be a string"),
        Kind::Texts => format!("{name} must be an array"),
        Kind::OneOf(_) => format!("{name} must be a valid enum value"),
        Kind::Any => return None,
    })
}

/// E.164 from what a person typed; US for ten national digits. `None` for
/// anything a vendor could not dial.
pub(super) fn e164(raw: &str) -> Option<String> {
    // A leading space is what an unescaped `+` of a query becomes.
    if raw.starts_with(' ') || raw.chars().any(|c| !(c.is_ascii_digit() || " +-.()".contains(c))) {
        return None;
    }
    let trimmed = raw.trim_end();
    let digits: String = trimmed.chars().filter(char::is_ascii_digit).collect();
    match (trimmed.starts_with('+'), trimmed.contains('+'), digits.len()) {
        (true, _, 8..=15) if !digits.starts_with('0') => Some(format!("+{digits}")),
        (false, false, 10) => Some(format!("+1{digits}")),
        (false, false, 11) if digits.starts_with('1') => Some(format!("+{digits}")),
        _ => None,
    }
}

/// Whether this is E.164 already, to the character.
pub(super) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (8..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::{e164, is_e164};

    #[test]
    fn numbers_are_read_as_us_only_when_they_have_ten_digits() {
        assert_eq!(e164("(619) 555-0111").as_deref(), Some("+16195550111"));
        assert_eq!(e164("+1 888-888-8888").as_deref(), Some("+18888888888"));
        assert_eq!(e164("16195550111").as_deref(), Some("+16195550111"));
        assert_eq!(e164("442079460000"), None);
        assert_eq!(e164("5550111"), None);
        assert_eq!(e164("call me"), None);
        assert!(is_e164("+16195550111"));
        assert!(!is_e164("16195550111"));
        assert!(!is_e164(" 16195550111"));
    }
}
