//! The settings in force, as `df-middleware config` prints them: one TOML
//! line a key with its origin, secrets masked.

use std::fmt;

use url::Url;

use super::keys::{Key, Kind, TABLE};
use super::read::{Found, Origin, Reading};
use super::{Problems, assemble};

const MASK: &str = "********";

/// The settings in force, in the order of the table. `Display` prints one
/// line a key, which is TOML again.
#[derive(Clone, Debug)]
pub struct Effective {
    /// One for every key.
    pub lines: Vec<EffectiveLine>,
    /// What keeps the daemon from starting with them; may be empty.
    pub problems: Problems,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveLine {
    /// `section.key`.
    pub key: &'static str,
    /// Its value as TOML, masked when it is a secret, `""` when unset.
    pub value: String,
    /// `default`, `file` or `environment (NAME)`.
    pub origin: String,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for EffectiveLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}   # from {}", self.key, self.value, self.origin)
    }
}

pub(super) fn of(reading: Reading) -> Effective {
    let lines = TABLE.iter().map(|key| line(key, &reading)).collect();
    Effective {
        lines,
        problems: assemble::settings(reading).err().unwrap_or_default(),
    }
}

fn line(key: &Key, reading: &Reading) -> EffectiveLine {
    let (found, origin) = reading.get(key);
    let origin = match origin {
        Origin::Default => "default".to_owned(),
        Origin::File => "file".to_owned(),
        Origin::Environment(variable) => format!("environment ({variable})"),
    };
    let origin = if *found == Found::Refused {
        format!("{origin}, refused")
    } else {
        origin
    };
    EffectiveLine {
        key: key.name,
        value: value(key.kind, found),
        origin,
    }
}

fn value(kind: Kind, found: &Found) -> String {
    match found {
        Found::Unset | Found::Refused => quoted(""),
        Found::One(text) if kind == Kind::SecretUrl => quoted(&without_password(text).unwrap_or(MASK.to_owned())),
        Found::One(_) | Found::Many(_) if kind.is_secret() => quoted(MASK),
        Found::One(text) if kind == Kind::Integer && text.parse::<u32>().is_ok() => text.clone(),
        Found::One(text) if kind == Kind::Switch && text.parse::<bool>().is_ok() => text.clone(),
        Found::One(text) if text.contains("://") => quoted(&without_password(text).unwrap_or(MASK.to_owned())),
        Found::One(text) => quoted(text),
        Found::Many(items) => {
            let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// The URL with its password masked. `None` when a password could be anywhere
/// else in it.
fn without_password(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok().filter(Url::has_host)?;
    let tail = [Some(url.path()), url.query(), url.fragment()];
    let hidden = |part: &str| part.contains('@') || part.to_ascii_lowercase().contains("pass");
    if tail.into_iter().flatten().any(hidden) {
        return None;
    }
    if url.password().is_none() {
        return Some(text.to_owned());
    }
    url.set_password(Some(MASK)).ok()?;
    Some(url.to_string())
}

/// A TOML basic string on one line. JSON's escapes are a subset of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_of_a_url_is_masked() {
        let masked = |text| without_password(text);
        assert_eq!(
            masked("postgres://ann:pw@db/x").as_deref(),
            Some("postgres://ann:********@db/x")
        );
        assert_eq!(
            masked("postgres://ann@db:5432/x").as_deref(),
            Some("postgres://ann@db:5432/x")
        );
    }

    #[test]
    fn a_url_that_may_hide_its_password_elsewhere_is_masked_whole() {
        for text in [
            "postgres://ann:12/secret@db/x",
            "postgres://ann:12?secret@db/x",
            "postgres://db/x?password=secret",
            "host=db password=secret",
            "postgres://ann:p/secret@db/x",
        ] {
            assert_eq!(without_password(text), None, "{text}");
        }
    }

    #[test]
    fn quoted_text_is_one_line_of_toml() {
        for text in ["", "plain", "a \"b\" \\ c", "two\nlines\ttab", "\u{1b}\u{7f}é😀"] {
            let written = quoted(text);
            assert!(!written.contains('\n'), "{written}");
            let table: toml::Table = format!("x = {written}").parse().expect("TOML");
            assert_eq!(table["x"].as_str(), Some(text));
        }
    }
}
