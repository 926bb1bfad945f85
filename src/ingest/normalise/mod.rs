//! From a vendor's body to events ready to be stored.

mod aloware;
mod ghl;
mod texting;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::consent::Said;
use super::keys::{DedupeKey, Person};
use crate::domain::{EventTable, Phone, PhoneHint, Source, TextingVendor};
use crate::store::ingest::NewEvent;

/// The settings that reading depends on.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How numbers without `+` are meant.
    pub hint: PhoneHint,
    /// Our own numbers.
    pub own: Vec<Phone>,
    /// Aloware event names let in; empty means all.
    pub allowed: Vec<String>,
    /// Our GHL sub-account: what another one says about consent is not for us.
    pub location: String,
    /// Whose dialect the texting webhooks are in.
    pub vendor: TextingVendor,
}

/// What a body turned out to be.
#[derive(Debug)]
pub enum Intake {
    /// A vendor's test, or nothing that names an event.
    Ping,
    /// An event the operator does not want.
    NotAllowed,
    /// Events to store, in order.
    Events(Vec<Prepared>),
}

/// One event, ready to be stored.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The row to be.
    pub row: NewEvent,
    /// Whose it is; the lane can still move to the phone's once the mapping is known.
    pub person: Person,
    /// What it says of consent without naming a number.
    pub nameless: Vec<Said>,
    /// One piece of a text: with the last one to come, the whole is read.
    pub is_piece: bool,
}

/// The body is no JSON.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid JSON")]
pub struct NotJson;

/// One authenticated body with its arrival.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Whose webhook it came through.
    pub source: Source,
    /// The raw bytes.
    pub body: &'a [u8],
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

impl Reading<'_> {
    /// Reads the body by its vendor's rules.
    ///
    /// # Errors
    /// [`NotJson`] when the body is no JSON (or nests deeper than 128 levels).
    pub fn intake(&self, rules: &Rules) -> Result<Intake, NotJson> {
        let mut payload: Value = serde_json::from_slice(self.body).map_err(|_| NotJson)?;
        let text = std::str::from_utf8(self.body).map_err(|_| NotJson)?;
        let altered = text.contains("\\u0000");
        if altered {
            strip_nul(&mut payload);
        }
        let at = self.received_at;
        let (mut intake, as_sent) = match self.source {
            Source::Aloware => (aloware::intake(payload, at, rules), true),
            Source::Ghl => (ghl::intake(payload, at, rules), true),
            Source::Texting => texting::intake(payload, at, rules),
        };
        if let (Intake::Events(events), true) = (&mut intake, as_sent && !altered)
            && let [only] = events.as_mut_slice()
            && !text.trim_start().starts_with('[')
        {
            // As sent: re-serialising could round a number.
            only.row.payload = text.to_owned();
        }
        Ok(intake)
    }
}

/// PostgreSQL's jsonb cannot hold U+0000; it becomes U+FFFD.
fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(map) => {
            let entries = std::mem::take(map);
            for (key, mut inner) in entries {
                strip_nul(&mut inner);
                map.insert(key.replace('\0', "\u{fffd}"), inner);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The parts of a row that each vendor's reader fills in.
struct Draft {
    source: Source,
    event_type: String,
    entity_type: &'static str,
    entity_id: String,
    dedupe: DedupeKey,
    person: Person,
    consent: Vec<Said>,
    payload: String,
    received_at: DateTime<Utc>,
}

/// Longest id kept as it is: an index entry has a bound of its own.
const LONGEST_ID: usize = 256;

/// An id of any length, short enough to be indexed.
fn bounded(id: String) -> String {
    if id.len() <= LONGEST_ID {
        return id;
    }
    format!("long:{}", super::keys::no_entity(&id))
}

impl Draft {
    fn prepare(mut self) -> Prepared {
        self.entity_id = bounded(self.entity_id);
        self.event_type = bounded(self.event_type);
        self.dedupe.key = bounded(self.dedupe.key);
        let order_key = self.person.order_key(self.source, self.entity_type, &self.entity_id);
        let (consent, nameless) = match &self.person.phone {
            Some(phone) => (self.consent.iter().map(|said| said.of(phone)).collect(), Vec::new()),
            None => (Vec::new(), self.consent),
        };
        let row = NewEvent {
            id: Uuid::now_v7(),
            table: match self.source {
                Source::Texting => EventTable::Texting,
                Source::Aloware | Source::Ghl => EventTable::Webhook,
            },
            source: self.source.as_str(),
            event_type: self.event_type,
            entity_type: self.entity_type,
            entity_id: self.entity_id,
            order_key,
            dedupe_key: self.dedupe.key,
            earlier: self.dedupe.earlier,
            conversation_id: None,
            from_number: None,
            to_number: None,
            payload: self.payload,
            received_at: self.received_at,
            consent,
            quarantine: None,
        };
        Prepared {
            row,
            person: self.person,
            nameless,
            is_piece: false,
        }
    }
}
