//! Payloads without the people in them. Nothing is shown unless its key says it
//! is an id, a time, or a short word such as a type or status, and its value
//! looks like one: a field nobody thought of stays hidden.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::wire::json::parse_time;

/// What stands in place of a hidden value.
const REDACTED: &str = "[REDACTED]";
/// Longest word shown.
const WORD: usize = 64;
/// Longest text of tags shown.
const TAGS: usize = 256;

/// What a key promises about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    Id,
    Time,
    Word,
    Tags,
    /// Nothing, or personal data.
    None,
}

/// A copy of a payload that shows ids, types, times, codes and flags.
pub fn redact(payload: &Value) -> Value {
    cover(payload, Promise::None, false)
}

/// A text of our own columns (ids, event names, reasons): hidden when an
/// e-mail address or a written phone number is in it.
pub fn redact_text(text: &str) -> String {
    let bare_id = text.bytes().all(|byte| byte.is_ascii_digit());
    if bare_id || !is_personal(text) {
        text.to_owned()
    } else {
        REDACTED.to_owned()
    }
}

/// `typed` is set inside fields that users define: there only ids and types show.
fn cover(value: &Value, promise: Promise, typed: bool) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => {
            if shows_number(&number.to_string(), promise, typed) {
                value.clone()
            } else {
                Value::from(REDACTED)
            }
        }
        Value::String(text) => {
            if text.is_empty() || shows_text(text, promise) {
                value.clone()
            } else {
                Value::from(REDACTED)
            }
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| cover(item, promise, typed)).collect()),
        Value::Object(map) => Value::Object(cover_object(map, typed)),
    }
}

fn cover_object(map: &Map<String, Value>, typed: bool) -> Map<String, Value> {
    let mut covered = Map::new();
    for (index, (key, value)) in map.iter().enumerate() {
        let plain = plain_key(key);
        let typed_here = typed || is_user_defined(&plain);
        let promise = match promise_of(key, &plain) {
            Promise::Id => Promise::Id,
            other if !typed || matches!(plain.as_str(), "type" | "event") => other,
            _ => Promise::None,
        };
        // Some vendors key objects by number or address.
        let shown = if is_personal(key) {
            format!("{REDACTED} {index}")
        } else {
            key.clone()
        };
        covered.insert(shown, cover(value, promise, typed_here));
    }
    covered
}

fn plain_key(key: &str) -> String {
    key.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

fn is_user_defined(plain: &str) -> bool {
    matches!(
        plain,
        "customfields" | "customfield" | "customdata" | "triggerdata" | "additionaldata" | "properties"
    )
}

/// Parts of keys that hold people or secrets, whatever else the key says.
const PERSONAL: &str = "name phone mail mobile fax address birth postal zip latitude longitude secret token password \
                        passwd auth apikey signature cookie ssn";
const ID_KEYS: &str = "id ids uuid guid sid";
const ID_ENDS: &str = "_id -id Id ID _ids Ids _uuid Uuid _sid Sid _guid Guid";
const TIME_KEYS: &str = "timestamp date time";
const TIME_ENDS: &str = "_at At _date Date _time Time _timestamp Timestamp _on";
const WORD_KEYS: &str = "code errorcode statuscode countrycode source leadsource intakesource outcome outcomes \
                         resolution kind carrier";
const WORD_ENDS: &str = "type status direction event method disposition category channel currency timezone country \
                         language locale provider version dnd";
const TAG_KEYS: &str = "tags tag tagname";

fn promise_of(key: &str, plain: &str) -> Promise {
    let is_one = |list: &str| list.split_whitespace().any(|one| plain == one);
    if is_one(TAG_KEYS) {
        return Promise::Tags;
    }
    if PERSONAL.split_whitespace().any(|part| plain.contains(part)) {
        return Promise::None;
    }
    let ends_in = |text: &str, list: &str| list.split_whitespace().any(|end| text.ends_with(end));
    if is_one(ID_KEYS) || ends_in(key, ID_ENDS) {
        return Promise::Id;
    }
    if is_one(TIME_KEYS) || plain.starts_with("date") || ends_in(key, TIME_ENDS) {
        return Promise::Time;
    }
    if is_one(WORD_KEYS) || ends_in(plain, WORD_ENDS) {
        return Promise::Word;
    }
    Promise::None
}

fn shows_number(digits: &str, promise: Promise, typed: bool) -> bool {
    match promise {
        Promise::Id => !digits.contains(['.', 'e', 'E']),
        Promise::Time => is_time(digits),
        // Too short for a phone number: durations, counts, codes.
        Promise::Word | Promise::Tags => is_short(digits),
        Promise::None => !typed && is_short(digits),
    }
}

fn is_short(digits: &str) -> bool {
    digits.bytes().filter(u8::is_ascii_digit).count() < 7
}

fn shows_text(text: &str, promise: Promise) -> bool {
    match promise {
        Promise::Id => is_id(text),
        Promise::Time => is_time(text),
        Promise::Word => text.len() <= WORD && is_word(text),
        Promise::Tags => text.len() <= TAGS && is_word(text),
        Promise::None => false,
    }
}

/// One token. A written phone number (with `+` or separators only) is none.
fn is_id(text: &str) -> bool {
    let token = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let bare = text.bytes().all(|byte| byte.is_ascii_digit());
    // Long tokens are hashes; digits in a row happen there.
    let lettered = text.bytes().any(|byte| byte.is_ascii_alphabetic()) && (text.len() >= 20 || !is_personal(text));
    token && text.len() <= 128 && (bare || lettered || Uuid::try_parse(text).is_ok() || is_short(text))
}

/// A time. Bare digits count as an epoch until 2033 only: from then on they
/// read like North American numbers, whose area codes begin at 201.
fn is_time(text: &str) -> bool {
    let shape = text.len() <= 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T' | b'Z' | b'+' | b'.' | b' '));
    if !shape {
        return false;
    }
    let plausible = |moment: DateTime<Utc>| (2000..2033).contains(&moment.year());
    let written = text.contains('-') || text.contains(':');
    let bare = text.len() == 10 || text.len() == 13;
    ((written || bare) && parse_time(text).is_some_and(plausible)) || is_date(text)
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn is_word(text: &str) -> bool {
    !text.contains(char::is_control) && !text.contains("://") && !is_personal(text)
}

/// Whether an e-mail address or something like a phone number is in the text.
fn is_personal(text: &str) -> bool {
    if text.contains('@') || text.contains("%40") {
        return true;
    }
    // Digits of other scripts can write a number, too.
    if text.contains(|c: char| !c.is_ascii() && c.is_numeric()) {
        return true;
    }
    let known: String = text
        .split_inclusive(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')' | '"' | '\''))
        .filter(|token| Uuid::try_parse(token.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())).is_err())
        .collect();
    has_phone(&known)
}

/// Seven or more digits with nothing but separators between them.
fn has_phone(text: &str) -> bool {
    let mut digits = 0usize;
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits += 1;
            if digits >= 7 {
                return true;
            }
        } else if c.is_alphabetic() || matches!(c, '_' | ',' | ';' | ':') {
            digits = 0;
        }
    }
    false
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
