//! The filter language of the contact search: fields, operators, groups.
//!
//! An unknown field or operator is a 400, never an empty result.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::answers::bad_request;
use super::book::{Contact, text};
use crate::sandbox::wire::Answer;

/// Longest query or filter text.
pub(super) const TEXT_LIMIT: usize = 75;
const FIELDS: &[&str] = &[
    "id",
    "address",
    "assignedTo",
    "businessName",
    "city",
    "companyName",
    "contactName",
    "country",
    "dateAdded",
    "dateOfBirth",
    "dateUpdated",
    "dnd",
    "email",
    "firstNameLowerCase",
    "lastNameLowerCase",
    "phone",
    "postalCode",
    "source",
    "state",
    "tags",
    "timezone",
    "type",
    "website",
];

/// A time in either form a client may send: ISO 8601 or milliseconds.
pub(super) fn moment(value: Option<&Value>) -> Option<DateTime<Utc>> {
    match value? {
        Value::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc)),
        Value::Number(millis) => DateTime::from_timestamp_millis(millis.as_i64()?),
        _ => None,
    }
}

/// Top-level filters are joined by AND; groups nest.
pub(super) fn all_match(contact: &Contact, filters: Option<&Value>) -> Result<bool, Answer> {
    let Some(filters) = filters else {
        return Ok(true);
    };
    let list = filters
        .as_array()
        .ok_or_else(|| bad_request("filters must be an array"))?;
    let mut every = true;
    for filter in list {
        every &= one_matches(contact, filter)?;
    }
    Ok(every)
}

fn one_matches(contact: &Contact, filter: &Value) -> Result<bool, Answer> {
    if let Some(group) = filter.get("group").and_then(Value::as_str) {
        let inner = filter
            .get("filters")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let results = inner
            .iter()
            .map(|filter| one_matches(contact, filter))
            .collect::<Result<Vec<_>, _>>()?;
        return match group {
            "AND" => Ok(results.iter().all(|hit| *hit)),
            "OR" => Ok(results.iter().any(|hit| *hit)),
            other => Err(bad_request(&format!("Invalid group {other}"))),
        };
    }
    let field = filter.get("field").and_then(Value::as_str).unwrap_or_default();
    let operator = filter.get("operator").and_then(Value::as_str).unwrap_or_default();
    let stored = stored_value(contact, field)?;
    let wanted = filter.get("value").unwrap_or(&Value::Null);
    if wanted.as_str().is_some_and(|text| text.chars().count() > TEXT_LIMIT) {
        return Err(bad_request("filter value must be at most 75 characters"));
    }
    let hit = match operator {
        "eq" => equal(&stored, wanted),
        "not_eq" => !equal(&stored, wanted),
        "contains" => contains(&stored, wanted),
        "not_contains" => !contains(&stored, wanted),
        "exists" => !stored.is_null(),
        "not_exists" => stored.is_null(),
        "range" => within(field, &stored, wanted)?,
        other => return Err(bad_request(&format!("Invalid operator {other}"))),
    };
    Ok(hit)
}

/// The indexed value of a field; an unknown field is an error, not a miss.
pub(super) fn stored_value(contact: &Contact, field: &str) -> Result<Value, Answer> {
    let nested = |path: &str| contact.get("dndSettings").and_then(|all| all.pointer(path)).cloned();
    Ok(match field {
        "dndSettings.SMS.status" => nested("/SMS/status"),
        "dndSettings.Email.status" => nested("/Email/status"),
        "dndSettings.Call.status" => nested("/Call/status"),
        "firstNameLowerCase" => text(contact, "firstName").map(|name| json!(name.to_lowercase())),
        "lastNameLowerCase" => text(contact, "lastName").map(|name| json!(name.to_lowercase())),
        "contactName" => text(contact, "name").map(|name| json!(name.to_lowercase())),
        "address" => contact.get("address1").cloned(),
        known if FIELDS.contains(&known) => contact.get(known).cloned(),
        custom if custom.starts_with("customFields.") => {
            let id = custom.trim_start_matches("customFields.");
            let mut fields = contact
                .get("customFields")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            fields
                .find(|field| field.get("id") == Some(&json!(id)))
                .and_then(|field| field.get("value"))
                .cloned()
        }
        other => return Err(bad_request(&format!("Invalid field {other}"))),
    }
    .unwrap_or(Value::Null))
}

fn equal(stored: &Value, wanted: &Value) -> bool {
    let same = |a: &Value, b: &Value| match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    };
    match (stored, wanted) {
        (Value::Array(list), Value::Array(options)) => {
            options.iter().any(|option| list.iter().any(|item| same(item, option)))
        }
        (Value::Array(list), one) => list.iter().any(|item| same(item, one)),
        (one, Value::Array(options)) => options.iter().any(|option| same(one, option)),
        (a, b) => same(a, b),
    }
}

fn contains(stored: &Value, wanted: &Value) -> bool {
    let part = wanted.as_str().unwrap_or_default().to_lowercase();
    match stored {
        Value::Array(list) => list.iter().any(|item| contains(item, wanted)),
        Value::String(text) => text.to_lowercase().contains(&part),
        _ => false,
    }
}

fn within(field: &str, stored: &Value, wanted: &Value) -> Result<bool, Answer> {
    let wrong = || bad_request(&format!("Invalid range for field {field}"));
    let bounds = wanted.as_object().ok_or_else(wrong)?;
    let mut inside = true;
    for (name, bound) in bounds {
        let bound = moment(Some(bound)).ok_or_else(wrong)?;
        let at = moment(Some(stored));
        inside &= match name.as_str() {
            "gte" => at.is_some_and(|at| at >= bound),
            "gt" => at.is_some_and(|at| at > bound),
            "lte" => at.is_some_and(|at| at <= bound),
            "lt" => at.is_some_and(|at| at < bound),
            _ => return Err(wrong()),
        };
    }
    Ok(inside)
}
