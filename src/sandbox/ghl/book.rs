//! The contacts of a location, found by id, phone and e-mail.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// A contact as the API shows it.
pub(super) type Contact = Map<String, Value>;

/// All contacts of the location.
#[derive(Default)]
pub(super) struct Book {
    contacts: HashMap<String, Contact>,
    order: Vec<String>,
    by_phone: HashMap<String, Vec<String>>,
    by_email: HashMap<String, Vec<String>>,
}

/// A string property of a contact or body.
pub(super) fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

/// Now, as the API writes times.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Twenty characters, as the API's ids.
pub(super) fn new_id() -> String {
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(20);
    id
}

impl Book {
    pub(super) fn get(&self, id: &str) -> Option<&Contact> {
        self.contacts.get(id)
    }

    /// All contacts, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Contact> {
        self.order.iter().filter_map(|id| self.contacts.get(id))
    }

    /// A new contact with the given id and location.
    pub(super) fn create(&mut self, id: String, location: &str, at: DateTime<Utc>) -> &mut Contact {
        self.order.push(id.clone());
        let contact = self.contacts.entry(id.clone()).or_default();
        contact.insert("id".into(), json!(id));
        contact.insert("locationId".into(), json!(location));
        contact.insert("type".into(), json!("lead"));
        contact.insert("dnd".into(), json!(false));
        contact.insert("tags".into(), json!([]));
        contact.insert("customFields".into(), json!([]));
        contact.insert("dateAdded".into(), json!(stamp(at)));
        contact.insert("dateUpdated".into(), json!(stamp(at)));
        contact
    }

    /// Stores a changed contact under its id.
    pub(super) fn put(&mut self, id: &str, contact: Contact) {
        self.forget(id);
        if let Some(phone) = text(&contact, "phone") {
            self.by_phone.entry(phone.to_owned()).or_default().push(id.to_owned());
        }
        if let Some(email) = text(&contact, "email") {
            self.by_email
                .entry(email.to_lowercase())
                .or_default()
                .push(id.to_owned());
        }
        self.contacts.insert(id.to_owned(), contact);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Contact> {
        self.forget(id);
        self.order.retain(|other| other != id);
        self.contacts.remove(id)
    }

    /// The oldest contact with exactly this phone.
    pub(super) fn with_phone(&self, phone: &str) -> Option<&Contact> {
        self.by_phone.get(phone)?.iter().find_map(|id| self.contacts.get(id))
    }

    /// The oldest contact with this e-mail, in any case.
    pub(super) fn with_email(&self, email: &str) -> Option<&Contact> {
        self.by_email
            .get(&email.to_lowercase())?
            .iter()
            .find_map(|id| self.contacts.get(id))
    }

    /// Takes a contact out of the indexes.
    fn forget(&mut self, id: &str) {
        let Some(contact) = self.contacts.get(id) else {
            return;
        };
        let keys = [
            (&mut self.by_phone, text(contact, "phone").map(str::to_owned)),
            (&mut self.by_email, text(contact, "email").map(str::to_lowercase)),
        ];
        for (index, key) in keys {
            let Some(key) = key else { continue };
            if let Some(ids) = index.get_mut(&key) {
                ids.retain(|other| other != id);
                if ids.is_empty() {
                    index.remove(&key);
                }
            }
        }
    }
}
