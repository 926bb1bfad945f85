//! What a simulated location holds, how it is set up, and how a contact is
//! written: one place decides what changed and which webhooks that causes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::book::{Book, Contact, stamp, text};
use super::events::{Changes, contact_event, envelope};
use super::fields::{FieldDefinition, merge_custom_fields, texts};
use super::limits::Limits;
use super::scopes::Reach;
use super::{LOCATION, TOKEN};

/// What the location matches duplicates by, in order of priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
}

impl Identifier {
    /// The property of a contact, and `matchingField` of a duplicate answer.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// How the SMS conversation provider of the marketplace app is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Extra provider: `type` must be `Custom`, the provider id is required.
    Custom,
    /// The location's default SMS provider: `type` must be `SMS`.
    Sms,
}

/// The whole location.
pub(super) struct State {
    pub(super) tokens: Vec<String>,
    pub(super) reach: Reach,
    pub(super) location: String,
    pub(super) book: Book,
    pub(super) notes: HashMap<String, Vec<Value>>,
    pub(super) conversations: HashMap<String, String>,
    pub(super) messages: VecDeque<Value>,
    pub(super) provider: Option<(String, ProviderKind)>,
    pub(super) call_provider: Option<String>,
    /// Messages get the time of their recording as their date.
    pub(super) own_dates: bool,
    pub(super) status_token: Option<String>,
    pub(super) allow_duplicates: bool,
    pub(super) priority: Vec<Identifier>,
    pub(super) dnd_merges: bool,
    pub(super) tags_answer_delta: bool,
    pub(super) search_lag: Duration,
    pub(super) custom_fields: Vec<FieldDefinition>,
    pub(super) users: Vec<Value>,
    pub(super) limits: Limits,
    pub(super) keep_last: usize,
    /// Where webhooks go; without it none are made.
    pub(super) echo_url: Option<String>,
    pub(super) events: Vec<Value>,
}

impl State {
    pub(super) fn new(limited: bool, keep_last: usize) -> Self {
        Self {
            tokens: vec![TOKEN.to_owned()],
            reach: Reach::Location(None),
            location: LOCATION.to_owned(),
            book: Book::default(),
            notes: HashMap::new(),
            conversations: HashMap::new(),
            messages: VecDeque::new(),
            provider: None,
            call_provider: None,
            own_dates: false,
            status_token: None,
            allow_duplicates: false,
            priority: vec![Identifier::Email, Identifier::Phone],
            dnd_merges: false,
            tags_answer_delta: false,
            search_lag: Duration::ZERO,
            custom_fields: Vec::new(),
            users: Vec::new(),
            limits: Limits::documented(limited),
            keep_last,
            echo_url: None,
            events: Vec::new(),
        }
    }

    /// The contact that has this body's phone or e-mail, by priority.
    pub(super) fn duplicate_of(
        &self,
        body: &Map<String, Value>,
        except: Option<&str>,
    ) -> Option<(&Contact, Identifier)> {
        self.priority.iter().find_map(|by| {
            let value = text(body, by.field())?;
            let found = self.owner(*by, value)?;
            (text(found, "id") != except).then_some((found, *by))
        })
    }

    /// The contact that has this e-mail or phone.
    pub(super) fn owner(&self, by: Identifier, value: &str) -> Option<&Contact> {
        match by {
            Identifier::Email => self.book.with_email(value),
            Identifier::Phone => self.book.with_phone(value),
        }
    }

    /// Creates a contact from a normalised body.
    pub(super) fn create(&mut self, id: &str, body: Map<String, Value>, at: DateTime<Utc>) {
        let location = self.location.clone();
        self.book.create(id.to_owned(), &location, at);
        self.write(
            id,
            body,
            Changes {
                created: true,
                ..Changes::default()
            },
            at,
        );
    }

    /// Writes a normalised body over a contact, and queues the webhooks of
    /// what changed. Nothing changed: nothing moves, not even `dateUpdated`.
    pub(super) fn write(&mut self, id: &str, body: Map<String, Value>, mut changes: Changes, at: DateTime<Utc>) {
        let Some(before) = self.book.get(id).cloned() else {
            return;
        };
        let mut after = before.clone();
        let names = (
            body.contains_key("name"),
            body.contains_key("firstName") || body.contains_key("lastName"),
        );
        for (name, value) in body {
            match (name.as_str(), value) {
                ("locationId" | "createNewIfDuplicateAllowed", _) => {}
                ("customFields", value) => merge_custom_fields(&mut after, &value, &self.custom_fields),
                ("dndSettings", value) => self.write_dnd(&mut after, &value),
                (_, Value::Null) => drop(after.remove(&name)),
                (_, value) => drop(after.insert(name, value)),
            }
        }
        align_names(&mut after, names);
        let dnd = |contact: &Contact| (contact.get("dnd").cloned(), contact.get("dndSettings").cloned());
        changes.tags |= before.get("tags") != after.get("tags");
        changes.dnd |= dnd(&before) != dnd(&after);
        changes.fields |= plain(&before) != plain(&after);
        if changes.any() {
            after.insert("dateUpdated".into(), json!(stamp(at)));
        }
        let heard = self.echo_url.is_some();
        for kind in changes.events().into_iter().filter(|_| heard) {
            self.events.push(contact_event(kind, &self.location, &after));
        }
        self.book.put(id, after);
    }

    /// The tags of a contact.
    pub(super) fn tags(&self, id: &str) -> Vec<String> {
        self.book
            .get(id)
            .map(|contact| texts(contact, "tags"))
            .unwrap_or_default()
    }

    /// Queues a webhook about something that is not a contact.
    pub(super) fn announce(&mut self, kind: &str, resource: Map<String, Value>) {
        if self.echo_url.is_some() {
            self.events.push(envelope(kind, &self.location, resource));
        }
    }

    /// Whether PUT merges or replaces `dndSettings` is unknown, so the harsher
    /// reading is the default: channels that are not sent are lost. A
    /// `permanent` channel stays as it is.
    fn write_dnd(&self, contact: &mut Contact, written: &Value) {
        let before = contact
            .get("dndSettings")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut after = if self.dnd_merges { before.clone() } else { Map::new() };
        after.extend(written.as_object().cloned().unwrap_or_default());
        for (channel, setting) in before {
            if setting.get("status") == Some(&json!("permanent")) {
                after.insert(channel, setting);
            }
        }
        contact.insert("dndSettings".into(), Value::Object(after));
    }
}

/// `name` is first and last name together, whichever of them was written.
fn align_names(contact: &mut Contact, (whole, parts): (bool, bool)) {
    if whole && !parts {
        let name = text(contact, "name").unwrap_or_default().to_owned();
        let (first, last) = name.split_once(' ').unwrap_or((name.as_str(), ""));
        for (field, value) in [("firstName", first), ("lastName", last)] {
            match value.trim() {
                "" => drop(contact.remove(field)),
                value => drop(contact.insert(field.into(), json!(value))),
            }
        }
    } else if parts {
        let both = [text(contact, "firstName"), text(contact, "lastName")];
        let name = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
        match name.as_str() {
            "" => drop(contact.remove("name")),
            name => drop(contact.insert("name".into(), json!(name))),
        }
    }
}

/// The contact without what has events of its own or none.
fn plain(contact: &Contact) -> Contact {
    let mut plain = contact.clone();
    for name in ["tags", "dnd", "dndSettings", "inboundDndSettings", "dateUpdated"] {
        plain.remove(name);
    }
    plain
}
