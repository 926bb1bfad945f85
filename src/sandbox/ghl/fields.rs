//! What a contact body may hold and how the API rewrites it: phones to E.164,
//! tags to lower case, custom fields from `field_value` to `value`.

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::book::Contact;
use crate::sandbox::shape::{Fields, Kind, e164, violations};

/// Writable on create, upsert and PUT.
pub(super) const COMMON: &Fields = &[
    ("firstName", Kind::TextOrNull),
    ("lastName", Kind::TextOrNull),
    ("name", Kind::TextOrNull),
    ("email", Kind::TextOrNull),
    ("phone", Kind::TextOrNull),
    ("address1", Kind::TextOrNull),
    ("city", Kind::TextOrNull),
    ("state", Kind::TextOrNull),
    ("postalCode", Kind::Text),
    ("country", Kind::Text),
    ("website", Kind::TextOrNull),
    ("timezone", Kind::TextOrNull),
    ("dnd", Kind::Flag),
    ("dndSettings", Kind::Any),
    ("inboundDndSettings", Kind::Any),
    ("tags", Kind::Texts),
    ("customFields", Kind::Any),
    ("dateOfBirth", Kind::TextOrNull),
];

/// Only on create and upsert.
pub(super) const CREATE: &Fields = &[
    ("locationId", Kind::Text),
    ("gender", Kind::Text),
    ("companyName", Kind::TextOrNull),
    ("source", Kind::Text),
    ("assignedTo", Kind::Text),
];

/// Only on PUT.
pub(super) const UPDATE: &Fields = &[("source", Kind::TextOrNull), ("assignedTo", Kind::TextOrNull)];

/// Only on upsert.
pub(super) const UPSERT: &Fields = &[("createNewIfDuplicateAllowed", Kind::Flag)];

const OUTBOUND_DND: &[&str] = &["active", "inactive", "permanent"];
const INBOUND_DND: &[&str] = &["active", "inactive"];
const CHANNELS: &Fields = &[
    ("Call", Kind::Any),
    ("Email", Kind::Any),
    ("SMS", Kind::Any),
    ("WhatsApp", Kind::Any),
    ("GMB", Kind::Any),
    ("FB", Kind::Any),
];
const CHANNEL: &Fields = &[
    ("status", Kind::OneOf(OUTBOUND_DND)),
    ("message", Kind::Text),
    ("code", Kind::Text),
];
const INBOUND_CHANNEL: &Fields = &[("status", Kind::OneOf(INBOUND_DND)), ("message", Kind::Text)];
const CUSTOM_FIELD: &Fields = &[("id", Kind::Text), ("key", Kind::Text), ("field_value", Kind::Any)];

/// A custom field the location defines.
#[derive(Clone, Debug)]
pub(super) struct FieldDefinition {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) name: String,
    pub(super) data_type: String,
}

/// Trimmed, lower case, once each, empties left out.
pub(super) fn clean_tags<'a>(tags: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut clean: Vec<String> = Vec::new();
    for tag in tags.map(|tag| tag.trim().to_lowercase()) {
        if !tag.is_empty() && !clean.contains(&tag) {
            clean.push(tag);
        }
    }
    clean
}

/// The strings of an array property.
pub(super) fn texts(map: &Map<String, Value>, name: &str) -> Vec<String> {
    map.get(name)
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The values as they will be stored, or the validator's complaints.
pub(super) fn normalise(mut body: Map<String, Value>) -> Result<Map<String, Value>, Vec<String>> {
    let mut wrong = Vec::new();
    if let Some(phone) = body.get("phone").and_then(Value::as_str) {
        match e164(phone) {
            Some(number) => drop(body.insert("phone".into(), json!(number))),
            None => wrong.push("phone must be a valid phone number".to_owned()),
        }
    }
    if let Some(email) = body.get("email").and_then(Value::as_str)
        && !is_email(email)
    {
        wrong.push("email must be an email".to_owned());
    }
    if let Some(date) = body.get("dateOfBirth").and_then(Value::as_str) {
        match birth_date(date) {
            Some(date) => drop(body.insert("dateOfBirth".into(), json!(date))),
            None => wrong.push("dateOfBirth must be a valid date".to_owned()),
        }
    }
    if body.contains_key("tags") {
        let tags = clean_tags(texts(&body, "tags").iter().map(String::as_str));
        body.insert("tags".into(), json!(tags));
    }
    if let Some(settings) = body.get("dndSettings") {
        check_dnd("dndSettings", settings, CHANNELS, CHANNEL, &mut wrong);
    }
    if let Some(settings) = body.get("inboundDndSettings") {
        let all = &[("all", Kind::Any)];
        check_dnd("inboundDndSettings", settings, all, INBOUND_CHANNEL, &mut wrong);
    }
    if let Some(fields) = body.get("customFields") {
        check_custom_fields(fields, &mut wrong);
    }
    if wrong.is_empty() { Ok(body) } else { Err(wrong) }
}

/// Writes custom fields over the stored ones, in the form they are read. A
/// field the location does not define is dropped without a word.
pub(super) fn merge_custom_fields(contact: &mut Contact, written: &Value, defined: &[FieldDefinition]) {
    let mut stored = contact
        .get("customFields")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for field in written.as_array().into_iter().flatten() {
        let key = field.get("key").and_then(Value::as_str);
        let key = key.map(|key| key.strip_prefix("contact.").unwrap_or(key));
        let by_key = || defined.iter().find(|known| key == Some(known.key.as_str()));
        let id = match field.get("id").and_then(Value::as_str) {
            Some(id) if defined.is_empty() || defined.iter().any(|known| known.id == id) => id,
            Some(_) => continue,
            None => match by_key() {
                Some(known) => known.id.as_str(),
                None => continue,
            },
        };
        let value = field.get("field_value").cloned().unwrap_or(Value::Null);
        let cleared = value.is_null() || value == json!("");
        let place = stored.iter().position(|old| old.get("id") == Some(&json!(id)));
        match (place, cleared) {
            (Some(at), true) => drop(stored.remove(at)),
            (Some(at), false) => {
                if let Some(old) = stored.get_mut(at) {
                    *old = json!({"id": id, "value": value});
                }
            }
            (None, true) => {}
            (None, false) => stored.push(json!({"id": id, "value": value})),
        }
    }
    contact.insert("customFields".into(), Value::Array(stored));
}

fn check_dnd(name: &str, settings: &Value, channels: &Fields, channel: &Fields, wrong: &mut Vec<String>) {
    let Some(settings) = settings.as_object() else {
        wrong.push(format!("{name} must be an object"));
        return;
    };
    let mut report = |path: &str, found: Vec<(String, String)>| {
        wrong.extend(found.into_iter().map(|(_, text)| format!("{path}.{text}")));
    };
    report(name, violations(settings, &[channels], &[]));
    for (key, value) in settings {
        let path = format!("{name}.{key}");
        match value.as_object() {
            Some(value) => report(&path, violations(value, &[channel], &["status"])),
            None => report(&path, vec![(key.clone(), format!("{key} must be an object"))]),
        }
    }
}

fn check_custom_fields(fields: &Value, wrong: &mut Vec<String>) {
    let Some(list) = fields.as_array() else {
        wrong.push("customFields must be an array".to_owned());
        return;
    };
    for (at, field) in list.iter().enumerate() {
        let Some(field) = field.as_object() else {
            wrong.push(format!("customFields.{at} must be an object"));
            continue;
        };
        for (_, text) in violations(field, &[CUSTOM_FIELD], &[]) {
            wrong.push(format!("customFields.{at}.{text}"));
        }
        if !field.contains_key("id") && !field.contains_key("key") {
            wrong.push(format!("customFields.{at}.id should not be empty"));
        }
        if !field.contains_key("field_value") {
            wrong.push(format!("customFields.{at}.field_value should not be empty"));
        }
    }
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else {
        return false;
    };
    !name.is_empty()
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !text.chars().any(char::is_whitespace)
        && !domain.contains('@')
}

/// One of the eight documented formats, as the API gives it back.
fn birth_date(text: &str) -> Option<String> {
    let even = text.replace(['/', '.', '_'], "-");
    ["%Y-%m-%d", "%m-%d-%Y"]
        .iter()
        .find_map(|format| NaiveDate::parse_from_str(&even, format).ok())
        .map(|date| format!("{date}T00:00:00.000Z"))
}
