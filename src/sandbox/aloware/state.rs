//! The simulated account: contacts by phone, users, texts handed in, and the
//! webhooks its own writes cause.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::contact::AlowareContact;

/// First contact id: as large as real ones.
const FIRST_ID: i64 = 985_000_001;

/// The whole account.
pub(super) struct State {
    pub(super) token: String,
    pub(super) users: Vec<Value>,
    pub(super) sent: Vec<Value>,
    /// Whether reads by id are served.
    pub(super) legacy: bool,
    /// What they answer of calls, by id.
    pub(super) calls: BTreeMap<String, Value>,
    /// Where webhooks go and their Basic `Authorization`, if any.
    pub(super) echo: Option<(String, Option<String>)>,
    pub(super) events: Vec<Value>,
    contacts: BTreeMap<i64, AlowareContact>,
    by_phone: HashMap<String, i64>,
    last_id: i64,
}

impl State {
    pub(super) fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            users: Vec::new(),
            sent: Vec::new(),
            legacy: false,
            calls: BTreeMap::new(),
            echo: None,
            events: Vec::new(),
            contacts: BTreeMap::new(),
            by_phone: HashMap::new(),
            last_id: FIRST_ID - 1,
        }
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn by_phone(&self, phone: &str) -> Option<&AlowareContact> {
        self.contacts.get(self.by_phone.get(phone)?)
    }

    pub(super) fn by_id(&self, id: i64) -> Option<&AlowareContact> {
        self.contacts.get(&id)
    }

    pub(super) fn by_id_mut(&mut self, id: i64) -> Option<&mut AlowareContact> {
        self.contacts.get_mut(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &AlowareContact> {
        self.contacts.values()
    }

    pub(super) fn put(&mut self, contact: AlowareContact) {
        self.by_phone.insert(contact.phone.clone(), contact.id);
        self.contacts.insert(contact.id, contact);
    }

    /// Stores a changed contact and announces what changed; an unchanged one
    /// causes no webhook.
    pub(super) fn replace(&mut self, before: &AlowareContact, mut after: AlowareContact, at: DateTime<Utc>) {
        let changed = before.lookup() != after.lookup() || before.is_opted_out != after.is_opted_out;
        let dnc_changed = before.is_dnc != after.is_dnc;
        if changed {
            after.updated = at;
            self.announce("Contact-Updated", &after);
        }
        if dnc_changed {
            self.announce("Contact-DncUpdated", &after);
        }
        self.put(after);
    }

    /// Queues a webhook; the wire names of contact events are a guess, no
    /// source ever saw one.
    pub(super) fn announce(&mut self, event: &str, contact: &AlowareContact) {
        if self.echo.is_some() {
            self.events.push(json!({"body": contact.in_webhook(), "event": event}));
        }
    }
}
