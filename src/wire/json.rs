//! Tolerant access to a vendor's JSON: ids that are numbers or strings, flags
//! that are booleans or 0/1, times in the spellings the vendors use.
//!
//! A key may be a path: `body.contact.id` steps into objects. Several keys are
//! tried in order and the first that holds a usable value wins; a value of the
//! wrong type counts as absent.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde_json::{Map, Value};

/// The value as text, the same for every order of its keys.
pub fn canonical(value: &Value) -> String {
    // Three times as fast as `Display`, which goes through a formatter piece by piece.
    serde_json::to_string(value).unwrap_or_else(|_| value.to_string())
}

/// The value at a dotted path. `null` counts as absent.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path.split('.').try_fold(value, |inner, key| inner.get(key))?;
    (!found.is_null()).then_some(found)
}

/// The first non-empty string or whole number among the keys, as trimmed text.
pub fn text(value: &Value, keys: &[&str]) -> Option<String> {
    keys.iter().filter_map(|key| at(value, key)).find_map(scalar)
}

/// The first string among the top-level keys that is not blank, trimmed.
pub fn name(value: &Value, keys: &[&str]) -> Option<String> {
    let strings = keys.iter().filter_map(|key| value.get(key)?.as_str());
    strings.map(str::trim).find(|name| !name.is_empty()).map(str::to_owned)
}

/// A string that is not blank, or a whole number, as text.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => {
            let trimmed = s.trim();
            (!trimmed.is_empty()).then(|| trimmed.to_owned())
        }
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        _ => None,
    }
}

/// The first object among the keys.
pub fn object<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v Map<String, Value>> {
    keys.iter().filter_map(|key| at(value, key)).find_map(Value::as_object)
}

/// The first array among the keys.
pub fn array<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v [Value]> {
    keys.iter()
        .filter_map(|key| at(value, key))
        .find_map(Value::as_array)
        .map(Vec::as_slice)
}

/// The first flag among the keys: a boolean, 0 or 1, or one of these as text.
pub fn flag(value: &Value, keys: &[&str]) -> Option<bool> {
    keys.iter()
        .filter_map(|key| at(value, key))
        .find_map(|found| match found {
            Value::Bool(b) => Some(*b),
            other => match scalar(other)?.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
        })
}

/// The first whole number among the keys, also when written as text.
pub fn integer(value: &Value, keys: &[&str]) -> Option<i64> {
    keys.iter()
        .filter_map(|key| at(value, key))
        .find_map(|found| scalar(found)?.parse().ok())
}

/// The first time among the keys, as [`parse_time`] reads it.
pub fn time(value: &Value, keys: &[&str]) -> Option<DateTime<Utc>> {
    keys.iter()
        .filter_map(|key| at(value, key))
        .find_map(|found| parse_time(&scalar(found)?))
}

/// Reads a time as the vendors write it: ISO 8601 with `Z` or an offset (the
/// colon may be missing: Infobip, Textmagic), Aloware's naive
/// `YYYY-MM-DD HH:MM:SS`, which is UTC (vendors/aloware.md 3.4), or seconds or
/// milliseconds since 1970.
pub fn parse_time(raw: &str) -> Option<DateTime<Utc>> {
    // PostgreSQL's range is narrower than the calendar's.
    read_time(raw).filter(|at| (1970..=9999).contains(&at.year()))
}

fn read_time(raw: &str) -> Option<DateTime<Utc>> {
    let raw = raw.trim();
    // The two usual spellings first: each format that fails costs a microsecond.
    if raw.len() == 19
        && let Ok(naive) = NaiveDateTime::parse_from_str(raw, "%Y-%m-%d %H:%M:%S")
    {
        return Some(naive.and_utc());
    }
    if let Ok(exact) = DateTime::parse_from_rfc3339(raw) {
        return Some(exact.to_utc());
    }
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f %z",
    ] {
        if let Ok(offset) = DateTime::parse_from_str(raw, format) {
            return Some(offset.to_utc());
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(naive) = NaiveDateTime::parse_from_str(raw, format) {
            return Some(naive.and_utc());
        }
    }
    epoch(raw)
}

/// Seconds (ten digits) or milliseconds (thirteen digits) since 1970.
fn epoch(raw: &str) -> Option<DateTime<Utc>> {
    let count: i64 = raw.parse().ok()?;
    match raw.len() {
        10 => DateTime::from_timestamp(count, 0),
        13 => DateTime::from_timestamp_millis(count),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_read_from_a_string_or_a_whole_number_and_from_nothing_else() {
        assert_eq!(text(&json!({"id": 940_868_616}), &["id"]).as_deref(), Some("940868616"));
        assert_eq!(text(&json!({"id": " 54363660 "}), &["id"]).as_deref(), Some("54363660"));
        for odd in [
            json!(null),
            json!(""),
            json!("  "),
            json!(1.5),
            json!(true),
            json!({}),
            json!([]),
        ] {
            assert_eq!(text(&json!({"id": odd}), &["id"]), None, "{odd}");
        }
    }

    #[test]
    fn the_first_usable_key_wins_and_paths_step_into_objects() {
        let body = json!({"id": "", "body": {"contact": {"id": 7}}});
        assert_eq!(text(&body, &["id", "body.contact.id"]).as_deref(), Some("7"));
        assert_eq!(text(&body, &["id", "body.lead.id"]), None);
        assert!(object(&body, &["contact", "body.contact"]).is_some());
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        for (value, wanted) in [
            (json!(true), Some(true)),
            (json!(0), Some(false)),
            (json!(1), Some(true)),
            (json!("TRUE"), Some(true)),
            (json!("0"), Some(false)),
            (json!("maybe"), None),
            (json!(2), None),
            (json!(null), None),
        ] {
            assert_eq!(flag(&json!({"f": value}), &["f"]), wanted, "{value}");
        }
    }

    #[test]
    fn naive_aloware_times_are_utc_and_offsets_need_no_colon() {
        let wanted = parse_time("2026-08-05T20:58:44Z");
        assert!(wanted.is_some());
        for raw in [
            "2026-08-05 20:58:44",
            "2026-08-05T20:58:44.000+0000",
            "2026-08-05T15:58:44-0500",
            "2026-08-05T15:58:44-05:00",
            "1785963524",
            "1785963524000",
        ] {
            assert_eq!(parse_time(raw), wanted, "{raw}");
        }
        for raw in ["", "yesterday", "2026-08-05", "12"] {
            assert_eq!(parse_time(raw), None, "{raw}");
        }
    }
}
