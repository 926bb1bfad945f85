//! POST /contacts/search: filters, order, the two kinds of paging.
//!
//! Names come back lower-cased only, and `dndSettings` not at all, as reported
//! of the real index. `GhlSim::set_search_lag` hides fresh changes.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::answers::{Outcome, bad_request, check_location, ok, only_query, read_body};
use super::book::{Contact, text};
use super::state::State;
use crate::sandbox::shape::{Fields, Kind};
use crate::sandbox::wire::{Answer, Request};

/// Paging by number ends here; beyond it only `searchAfter` works.
const WINDOW: u64 = 10_000;
/// The largest page of the documented example.
const PAGE_LIMIT: u64 = 500;
/// Longest query or filter text.
const TEXT_LIMIT: usize = 75;

const BODY: &Fields = &[
    ("locationId", Kind::Text),
    ("pageLimit", Kind::Number),
    ("page", Kind::Number),
    ("searchAfter", Kind::Any),
    ("filters", Kind::Any),
    ("sort", Kind::Any),
    ("query", Kind::Text),
];
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
const SORTABLE: &[&str] = &[
    "firstNameLowerCase",
    "lastNameLowerCase",
    "businessName",
    "dateAdded",
    "dateUpdated",
    "email",
    "dnd",
    "source",
];
const HIDDEN: &[&str] = &[
    "firstName",
    "lastName",
    "name",
    "dndSettings",
    "inboundDndSettings",
    "timezone",
];

/// POST /contacts/search
pub(super) fn search(state: &State, request: &Request) -> Outcome {
    only_query(request, &[])?;
    let body = read_body(request, &[BODY], &["locationId", "pageLimit"])?;
    check_location(text(&body, "locationId"), &state.location)?;
    let size = body.get("pageLimit").and_then(Value::as_u64).unwrap_or(0);
    if !(1..=PAGE_LIMIT).contains(&size) {
        return Err(bad_request("pageLimit must be between 1 and 500"));
    }
    if text(&body, "query").is_some_and(|query| query.chars().count() > TEXT_LIMIT) {
        return Err(bad_request(
            "query must be shorter than or equal to 75 characters",
        ));
    }
    let sort = read_sort(&body)?;
    let lag = TimeDelta::from_std(state.search_lag).unwrap_or(TimeDelta::zero());
    let visible_until = Utc::now() - lag;
    let mut found = Vec::new();
    for contact in state.book.all() {
        let fresh = lag > TimeDelta::zero()
            && moment(contact.get("dateUpdated")).is_some_and(|at| at > visible_until);
        if !fresh && all_match(contact, body.get("filters"))? && has_query(contact, &body) {
            found.push(contact);
        }
    }
    found.sort_by(|a, b| order(a, b, &sort));
    let total = found.len();
    let from = match (body.get("page"), body.get("searchAfter")) {
        (Some(_), Some(_)) => {
            return Err(bad_request("page cannot be used together with searchAfter"));
        }
        (page, None) => first_of_page(page, size)?,
        (None, Some(cursor)) => found
            .iter()
            .position(|contact| cursor_of(contact, &sort) == *cursor)
            .map_or_else(|| after_cursor(&found, cursor, &sort), |at| at + 1),
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let contacts: Vec<Value> = found
        .iter()
        .skip(from)
        .take(size)
        .map(|contact| shown(contact, &sort))
        .collect();
    Ok(ok(&json!({"contacts": contacts, "total": total})))
}

/// A time in either form a client may send: ISO 8601 or milliseconds.
fn moment(value: Option<&Value>) -> Option<DateTime<Utc>> {
    match value? {
        Value::String(text) => DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|at| at.with_timezone(&Utc)),
        Value::Number(millis) => DateTime::from_timestamp_millis(millis.as_i64()?),
        _ => None,
    }
}

/// Top-level filters are joined by AND; groups nest.
fn all_match(contact: &Contact, filters: Option<&Value>) -> Result<bool, Answer> {
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
    let field = filter
        .get("field")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let operator = filter
        .get("operator")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let stored = stored_value(contact, field)?;
    let wanted = filter.get("value").unwrap_or(&Value::Null);
    if wanted
        .as_str()
        .is_some_and(|text| text.chars().count() > TEXT_LIMIT)
    {
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
fn stored_value(contact: &Contact, field: &str) -> Result<Value, Answer> {
    let nested = |path: &str| {
        contact
            .get("dndSettings")
            .and_then(|all| all.pointer(path))
            .cloned()
    };
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
        (Value::Array(list), Value::Array(options)) => options
            .iter()
            .any(|option| list.iter().any(|item| same(item, option))),
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

fn has_query(contact: &Contact, body: &Map<String, Value>) -> bool {
    let Some(query) = text(body, "query").map(str::to_lowercase) else {
        return true;
    };
    ["name", "email", "phone"]
        .iter()
        .filter_map(|field| text(contact, field))
        .any(|value| value.to_lowercase().contains(&query))
}

/// Up to two `(field, descending)`; newest first when not told otherwise.
fn read_sort(body: &Map<String, Value>) -> Result<Vec<(String, bool)>, Answer> {
    let Some(sort) = body.get("sort") else {
        return Ok(vec![("dateAdded".to_owned(), true)]);
    };
    let list = sort
        .as_array()
        .ok_or_else(|| bad_request("sort must be an array"))?;
    if list.is_empty() || list.len() > 2 {
        return Err(bad_request("sort takes one or two fields"));
    }
    list.iter()
        .map(|entry| {
            let field = entry
                .get("field")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let direction = entry
                .get("direction")
                .and_then(Value::as_str)
                .unwrap_or("desc");
            match (SORTABLE.contains(&field), direction) {
                (true, "asc" | "desc") => Ok((field.to_owned(), direction == "desc")),
                _ => Err(bad_request(&format!("Invalid sort field {field}"))),
            }
        })
        .collect()
}

/// The value a contact sorts by: milliseconds for times.
fn sort_key(contact: &Contact, field: &str) -> Value {
    match field {
        "dateAdded" | "dateUpdated" => {
            moment(contact.get(field)).map_or(Value::Null, |at| json!(at.timestamp_millis()))
        }
        "dnd" => json!(i64::from(contact.get("dnd") == Some(&json!(true)))),
        other => stored_value(contact, other).unwrap_or(Value::Null),
    }
}

fn order(a: &Contact, b: &Contact, sort: &[(String, bool)]) -> Ordering {
    for (field, descending) in sort {
        let by_field = compare(&sort_key(a, field), &sort_key(b, field));
        let by_field = if *descending {
            by_field.reverse()
        } else {
            by_field
        };
        if by_field != Ordering::Equal {
            return by_field;
        }
    }
    text(a, "id").cmp(&text(b, "id"))
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_str().cmp(&b.as_str()),
    }
}

/// The cursor a contact hands out: its sort values and its id.
fn cursor_of(contact: &Contact, sort: &[(String, bool)]) -> Value {
    let mut cursor: Vec<Value> = sort
        .iter()
        .map(|(field, _)| sort_key(contact, field))
        .collect();
    cursor.push(json!(text(contact, "id")));
    Value::Array(cursor)
}

/// Where to go on when the cursor's contact has changed since.
fn after_cursor(found: &[&Contact], cursor: &Value, sort: &[(String, bool)]) -> usize {
    let wanted = cursor.as_array().cloned().unwrap_or_default();
    found.partition_point(|contact| {
        let Value::Array(here) = cursor_of(contact, sort) else {
            return false;
        };
        for (at, (mine, theirs)) in here.iter().zip(&wanted).enumerate() {
            let by_field = compare(mine, theirs);
            let descending = sort.get(at).is_some_and(|(_, descending)| *descending);
            match if descending {
                by_field.reverse()
            } else {
                by_field
            } {
                Ordering::Less => return true,
                Ordering::Greater => return false,
                Ordering::Equal => {}
            }
        }
        true
    })
}

fn first_of_page(page: Option<&Value>, size: u64) -> Result<usize, Answer> {
    let page = page.map_or(Some(1), Value::as_u64).unwrap_or(0);
    if page == 0 {
        return Err(bad_request("page must not be less than 1"));
    }
    if page.saturating_mul(size) > WINDOW {
        return Err(bad_request(
            "page * pageLimit must not exceed 10000, use searchAfter",
        ));
    }
    Ok(usize::try_from((page - 1) * size).unwrap_or(usize::MAX))
}

fn shown(contact: &Contact, sort: &[(String, bool)]) -> Value {
    let mut shown = super::contacts::view(contact);
    for field in HIDDEN {
        shown.remove(*field);
    }
    shown.remove("fullNameLowerCase");
    shown.remove("emailLowerCase");
    shown.insert("searchAfter".into(), cursor_of(contact, sort));
    shown.insert("additionalEmails".into(), json!([]));
    shown.insert("additionalPhones".into(), json!([]));
    Value::Object(shown)
}
