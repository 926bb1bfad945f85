//! The body of `POST /api/v1/webhook/forms`, Aloware's only way to write a
//! contact (vendors/aloware.md 2.2). Keyed by phone.

use serde::Serialize;

use crate::domain::{PersonFields, Phone};

/// A contact to be created or updated. Only what is set is sent; `force_update`
/// always is, since without it a known phone is answered 409.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormRequest {
    /// Whose contact.
    pub phone: Phone,
    /// Names, e-mail and place. Its `phone` is not read.
    pub fields: PersonFields,
    /// Postal code.
    pub zipcode: Option<String>,
    /// Street.
    pub address: Option<String>,
    /// First custom field; ours to keep the GHL contact id in.
    pub csf1: Option<String>,
    /// Second custom field.
    pub csf2: Option<String>,
    /// Where the contact came from.
    pub lead_source: Option<String>,
    /// Lists to add the contact to. Nothing public removes it from one.
    pub list_ids: Vec<String>,
    /// Tags to add, by name. Nothing public removes one.
    pub tags: Vec<String>,
    /// Do-not-call. Whether `false` clears it is not known.
    pub is_dnc: Option<bool>,
}

impl FormRequest {
    /// A form that says nothing but the phone.
    pub fn new(phone: Phone) -> Self {
        Self {
            phone,
            fields: PersonFields::default(),
            zipcode: None,
            address: None,
            csf1: None,
            csf2: None,
            lead_source: None,
            list_ids: Vec::new(),
            tags: Vec::new(),
            is_dnc: None,
        }
    }

    pub(super) fn body(&self) -> FormBody<'_> {
        let person = &self.fields;
        FormBody {
            phone_number: self.phone.as_str(),
            force_update: true,
            first_name: person.first_name.as_deref(),
            last_name: person.last_name.as_deref(),
            email: person.email.as_deref(),
            timezone: person.timezone.as_deref(),
            city: person.city.as_deref(),
            state: person.state.as_deref(),
            country: person.country.as_deref(),
            zipcode: self.zipcode.as_deref(),
            address: self.address.as_deref(),
            lead_source: self.lead_source.as_deref(),
            csf1: self.csf1.as_deref(),
            csf2: self.csf2.as_deref(),
            list_ids: joined(&self.list_ids),
            tags: joined(&self.tags),
            is_dnc: self.is_dnc,
        }
    }
}

/// Lists travel as comma-separated text.
fn joined(items: &[String]) -> Option<String> {
    let items: Vec<&str> = items
        .iter()
        .map(|item| item.trim())
        .filter(|item| !item.is_empty())
        .collect();
    (!items.is_empty()).then(|| items.join(","))
}

#[derive(Serialize)]
pub(super) struct FormBody<'c> {
    phone_number: &'c str,
    force_update: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zipcode: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_source: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csf1: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csf2: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_ids: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    /// A boolean, as the published endpoint has it; the vendor's own client writes 1, as
    /// it does for `force_update`. What it did is read back either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_dnc: Option<bool>,
}
