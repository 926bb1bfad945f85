//! Request bodies of the contacts service: exactly the documented fields, and
//! only those that have a value. GHL refuses unknown fields with 422, and
//! `locationId` on a PUT (vendors/ghl.md 1 and 2).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::domain::{PersonFields, Phone};

/// A contact to be created or upserted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewContact {
    /// Who. The phone is sent only when it is E.164. An upsert should carry
    /// one identifier: of two that match different people, GHL silently
    /// ignores one (vendors/ghl.md 2.1).
    pub fields: PersonFields,
    /// Where the contact came from.
    pub source: Option<String>,
    /// Values by custom field id.
    pub custom_fields: BTreeMap<String, Value>,
    /// Tags of a created contact. Never sent on an upsert, where they would
    /// replace all tags.
    pub tags: Vec<String>,
}

/// Changes to a contact; what is `None` or empty is left alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactPatch {
    /// Changed fields. The phone is sent only when it is E.164.
    pub fields: PersonFields,
    /// Where the contact came from.
    pub source: Option<String>,
    /// Values by custom field id.
    pub custom_fields: BTreeMap<String, Value>,
}

impl ContactPatch {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.fields == PersonFields::default() && self.source.is_none() && self.custom_fields.is_empty()
    }
}

/// The part that create, upsert and PUT have in common.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'c str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    custom_fields: Vec<CustomField<'c>>,
}

/// Written as `field_value`, read as `value`.
#[derive(Serialize)]
struct CustomField<'c> {
    id: &'c str,
    field_value: &'c Value,
}

/// POST /contacts/ and POST /contacts/upsert.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactBody<'c> {
    pub(super) location_id: &'c str,
    #[serde(flatten)]
    pub(super) fields: Fields<'c>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
}

/// POST and DELETE …/tags.
#[derive(Serialize)]
pub(super) struct TagsBody {
    pub(super) tags: Vec<String>,
}

/// POST …/notes and PUT …/notes/{id}.
#[derive(Serialize)]
pub(super) struct NoteBody<'c> {
    pub(super) body: &'c str,
}

impl<'c> Fields<'c> {
    pub(super) fn of(person: &'c PersonFields, source: Option<&'c str>, custom: &'c BTreeMap<String, Value>) -> Self {
        Self {
            first_name: person.first_name.as_deref(),
            last_name: person.last_name.as_deref(),
            email: person.email.as_deref(),
            phone: person
                .phone
                .as_deref()
                .filter(|phone| Phone::from_e164(phone).is_some()),
            timezone: person.timezone.as_deref(),
            country: person.country.as_deref(),
            state: person.state.as_deref(),
            city: person.city.as_deref(),
            source,
            custom_fields: custom
                .iter()
                .map(|(id, field_value)| CustomField { id, field_value })
                .collect(),
        }
    }
}

/// Tags as GHL stores them: trimmed, lower case, each once.
pub(super) fn tidy_tags(tags: &[String]) -> Vec<String> {
    let mut tidy: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim().to_lowercase()) {
        if !tag.is_empty() && !tidy.contains(&tag) {
            tidy.push(tag);
        }
    }
    tidy
}
