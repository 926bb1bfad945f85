//! Webhooks as the vendor sends them: a flat envelope, signed with Ed25519
//! over the raw bytes, in `X-GHL-Signature`.
//!
//! The key is made anew for every simulator; `public_key_base64` is what the
//! daemon under test must be configured with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Map, Value, json};

use super::book::{Contact, stamp};

/// The DER prefix of an Ed25519 public key.
const SPKI_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Properties a contact event carries.
const CONTACT_FIELDS: &[&str] = &[
    "id",
    "address1",
    "city",
    "state",
    "companyName",
    "country",
    "source",
    "dateAdded",
    "dateOfBirth",
    "dnd",
    "email",
    "name",
    "firstName",
    "lastName",
    "phone",
    "postalCode",
    "tags",
    "website",
    "assignedTo",
    "customFields",
];

/// The signing half of the vendor.
pub(super) struct Signatory {
    key: SigningKey,
}

impl Signatory {
    pub(super) fn new() -> Self {
        let mut secret = [0_u8; 32];
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        for (place, byte) in secret.iter_mut().zip(halves.iter().flat_map(|half| half.as_bytes())) {
            *place = *byte;
        }
        Self {
            key: SigningKey::from_bytes(&secret),
        }
    }

    pub(super) fn sign(&self, body: &[u8]) -> String {
        STANDARD.encode(self.key.sign(body).to_bytes())
    }

    pub(super) fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(super) fn public_key_pem(&self) -> String {
        let der = [SPKI_PREFIX, &self.public_key()].concat();
        let text = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }
}

/// What a write changed, as far as webhooks tell it apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) created: bool,
    pub(super) fields: bool,
    pub(super) tags: bool,
    pub(super) dnd: bool,
}

impl Changes {
    /// Whether anything a webhook or `dateUpdated` tells of changed.
    pub(super) fn any(self) -> bool {
        self.created || self.fields || self.tags || self.dnd
    }

    /// The types of the events these changes cause, in the order sent. A
    /// create is one event, whatever else it set.
    pub(super) fn events(self) -> Vec<&'static str> {
        if self.created {
            return vec!["ContactCreate"];
        }
        [
            (self.fields, "ContactUpdate"),
            (self.tags, "ContactTagUpdate"),
            (self.dnd, "ContactDndUpdate"),
        ]
        .into_iter()
        .filter_map(|(happened, kind)| happened.then_some(kind))
        .collect()
    }
}

/// Adds what every event carries.
pub(super) fn envelope(kind: &str, location: &str, resource: Map<String, Value>) -> Value {
    let mut event = resource;
    event.insert("type".into(), json!(kind));
    event.insert("locationId".into(), json!(location));
    event.insert("appId".into(), json!("5a11d0b0c0ffee0123456789"));
    event.insert("versionId".into(), json!("5a11d0b0c0ffee0123456789"));
    event.insert("timestamp".into(), json!(stamp(Utc::now())));
    event.insert("webhookId".into(), json!(uuid::Uuid::new_v4().to_string()));
    Value::Object(event)
}

/// A contact event: the contact now, without what changed and who did it.
pub(super) fn contact_event(kind: &str, location: &str, contact: &Contact) -> Value {
    let mut resource = Map::new();
    for name in CONTACT_FIELDS {
        if let Some(value) = contact.get(*name) {
            resource.insert((*name).to_owned(), value.clone());
        }
    }
    resource.insert("attachments".into(), json!([]));
    if kind == "ContactDndUpdate" {
        let settings = contact.get("dndSettings").cloned().unwrap_or_else(|| json!({}));
        resource.insert("dndSettings".into(), settings);
    }
    envelope(kind, location, resource)
}
