//! POST /contacts/search: filters, order, the two kinds of paging.
//!
//! Names come back lower-cased only, and `dndSettings` not at all, as reported
//! of the real index. `GhlSim::set_search_lag` hides fresh changes.

use std::cmp::Ordering;

use chrono::{TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::answers::{Outcome, bad_request, check_location, ok, only_query, read_body};
use super::book::{Contact, text};
use super::filters::{TEXT_LIMIT, all_match, moment, stored_value};
use super::state::State;
use crate::sandbox::shape::{Fields, Kind};
use crate::sandbox::wire::{Answer, Request};

/// Paging by number ends here; beyond it only `searchAfter` works.
const WINDOW: u64 = 10_000;
/// The largest page of the documented example.
const PAGE_LIMIT: u64 = 500;

const BODY: &Fields = &[
    ("locationId", Kind::Text),
    ("pageLimit", Kind::Number),
    ("page", Kind::Number),
    ("searchAfter", Kind::Any),
    ("filters", Kind::Any),
    ("sort", Kind::Any),
    ("query", Kind::Text),
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
        return Err(bad_request("query must be shorter than or equal to 75 characters"));
    }
    let sort = read_sort(&body)?;
    let lag = TimeDelta::from_std(state.search_lag).unwrap_or(TimeDelta::zero());
    let visible_until = Utc::now() - lag;
    let mut found = Vec::new();
    for contact in state.book.all() {
        let fresh = lag > TimeDelta::zero() && moment(contact.get("dateUpdated")).is_some_and(|at| at > visible_until);
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
    let list = sort.as_array().ok_or_else(|| bad_request("sort must be an array"))?;
    if list.is_empty() || list.len() > 2 {
        return Err(bad_request("sort takes one or two fields"));
    }
    list.iter()
        .map(|entry| {
            let field = entry.get("field").and_then(Value::as_str).unwrap_or_default();
            let direction = entry.get("direction").and_then(Value::as_str).unwrap_or("desc");
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
        let by_field = if *descending { by_field.reverse() } else { by_field };
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
    let mut cursor: Vec<Value> = sort.iter().map(|(field, _)| sort_key(contact, field)).collect();
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
            match if descending { by_field.reverse() } else { by_field } {
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
        return Err(bad_request("page * pageLimit must not exceed 10000, use searchAfter"));
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
