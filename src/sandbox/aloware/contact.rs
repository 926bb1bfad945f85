//! An Aloware contact: written as `city`, read as `cnam_city`; one shape for
//! the lookup and a slightly larger one for webhooks.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// `(written as, read as)` of the plain text properties.
const TEXTS: &[(&str, &str)] = &[
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("email", "email"),
    ("company_name", "company_name"),
    ("lead_source", "lead_source"),
    ("timezone", "timezone"),
    ("city", "cnam_city"),
    ("state", "cnam_state"),
    ("zipcode", "cnam_zipcode"),
    ("country", "cnam_country"),
    ("address", "address"),
    ("website", "website"),
    ("notes", "notes"),
    ("date_of_birth", "date_of_birth"),
    ("csf1", "csf1"),
    ("csf2", "csf2"),
];

/// A contact of the account.
#[derive(Clone, Debug)]
pub(super) struct AlowareContact {
    pub(super) id: i64,
    pub(super) phone: String,
    pub(super) name: Option<String>,
    /// By read name.
    pub(super) values: Map<String, Value>,
    pub(super) tags: Vec<String>,
    pub(super) lists: BTreeSet<i64>,
    pub(super) in_power_dialer: bool,
    pub(super) is_dnc: bool,
    pub(super) is_opted_out: bool,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
}

impl AlowareContact {
    pub(super) fn new(id: i64, phone: &str, at: DateTime<Utc>) -> Self {
        Self {
            id,
            phone: phone.to_owned(),
            name: None,
            values: Map::new(),
            tags: Vec::new(),
            lists: BTreeSet::new(),
            in_power_dialer: false,
            is_dnc: false,
            is_opted_out: false,
            created: at,
            updated: at,
        }
    }

    /// Writes a form over the contact. Tags and lists are only ever added,
    /// `notes` is replaced, and `is_dnc: 0` clears nothing: no public way to
    /// clear it is known.
    pub(super) fn write(&mut self, form: &Map<String, Value>) {
        for (written, read) in TEXTS {
            if let Some(value) = form.get(*written) {
                self.values.insert((*read).to_owned(), value.clone());
            }
        }
        for number in ["user_id", "sequence_id", "disposition_status_id"] {
            if let Some(value) = form.get(number).and_then(integer) {
                self.values.insert(number.to_owned(), json!(value));
            }
        }
        if let Some(name) = form.get("name").and_then(Value::as_str) {
            let (first, last) = name.split_once(' ').unwrap_or((name, ""));
            self.values.insert("first_name".into(), json!(first));
            self.values.insert("last_name".into(), json!(last));
            self.name = Some(name.to_owned());
        } else if form.contains_key("first_name") || form.contains_key("last_name") {
            let part = |name: &str| self.values.get(name).and_then(Value::as_str).unwrap_or_default();
            let whole = format!("{} {}", part("first_name"), part("last_name"));
            self.name = Some(whole.trim().to_owned());
        }
        for tag in parts(form.get("tags")) {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
        self.lists.extend(
            parts(form.get("list_ids"))
                .iter()
                .filter_map(|id| id.parse::<i64>().ok()),
        );
        self.in_power_dialer |= form.get("add_to_powerdialer").is_some_and(truthy);
        self.is_dnc |= form.get("is_dnc").is_some_and(truthy);
    }

    /// As the lookup answers: a bare object with a numeric id.
    pub(super) fn lookup(&self) -> Value {
        let value = |name: &str| self.values.get(name).cloned().unwrap_or(Value::Null);
        let mut shown = Map::new();
        for (_, read) in TEXTS {
            shown.insert((*read).to_owned(), value(read));
        }
        let rest = json!({
            "id": self.id,
            "company_id": 9001,
            "user_id": value("user_id"),
            "name": self.name,
            "phone_number": self.phone,
            "cnam_source": null,
            "lead_source_id": null,
            "intake_source": "form-capture",
            "initial_campaign_id": null,
            "campaign_ids": [],
            "disposition_status_id": value("disposition_status_id"),
            "sequence_id": value("sequence_id"),
            "workflow_id": null,
            "custom_link": null,
            "integration_data": null,
            "is_dnc": self.is_dnc,
            "is_blocked": false,
            "lrn_type": 1,
            "text_authorized": 0,
            "text_authorized_at": null,
            "tags": self.tags,
            "inbound_call_count": 0,
            "outbound_call_count": 0,
            "inbound_sms_count": 0,
            "outbound_sms_count": 0,
            "nb_communications": 0,
            "unread_count": 0,
            "unread_missed_call_count": 0,
            "unread_voicemail_count": 0,
            "last_engagement_at": null,
            "last_engagement_text": null,
            "uuid_v4": format!("00000000-0000-4000-8000-{:012}", self.id),
            "created_at": stamp(self.created),
        });
        if let Value::Object(rest) = rest {
            shown.extend(rest);
        }
        Value::Object(shown)
    }

    /// As a webhook carries it.
    pub(super) fn in_webhook(&self) -> Value {
        let mut shown = self.lookup();
        if let Some(map) = shown.as_object_mut() {
            map.insert("is_opted_out".into(), json!(self.is_opted_out));
            map.insert("contact_source".into(), Value::Null);
            map.insert("updated_at".into(), json!(stamp(self.updated)));
        }
        shown
    }
}

/// A number, or digits in a string.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// True or 1.
pub(super) fn truthy(value: &Value) -> bool {
    value.as_bool().unwrap_or(value.as_i64() == Some(1))
}

/// Naive UTC, as the vendor writes times.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The parts of a comma-separated property.
fn parts(value: Option<&Value>) -> Vec<String> {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
