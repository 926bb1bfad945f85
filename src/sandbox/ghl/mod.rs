//! A strict GoHighLevel: one sub-account location behind a real HTTP server.
//!
//! Strictness follows what is documented or was seen live. Where the real
//! behaviour is unknown the harsher reading is played: `dndSettings` replaces,
//! `permanent` stays, undocumented query parameters and paths are refused, a
//! custom field the location does not define is dropped in silence. Not
//! played: `v3`, OAuth, tasks, `POST /conversations/messages` (it would send).

mod answers;
mod book;
mod contacts;
mod conversations;
mod events;
mod fields;
mod limits;
mod notes;
mod routes;
mod search;
mod state;
mod tags;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use serde_json::{Map, Value, json};

use self::events::{Changes, Signatory};
use self::fields::FieldDefinition;
use self::state::State;
pub use self::state::{Identifier, ProviderKind};
use super::Options;
use super::record::Journal;
use super::server::{Simulator, Station};
use super::webhook::{Delivered, Delivery, Outbox, outbox};
use super::wire::{Answer, Request, Vendor};

/// The token that is accepted unless `set_tokens` says otherwise.
pub const TOKEN: &str = "pit-00000000-sand-4b0x-0000-000000000001";
/// The location all contacts belong to.
pub const LOCATION: &str = "sandboxLocation00001";

/// A running GoHighLevel. `Station` gives it `url`, calls and faults.
pub struct GhlSim {
    station: Station,
    vendor: Arc<GhlVendor>,
}

struct GhlVendor {
    state: Mutex<State>,
    outbox: Outbox,
    signatory: Signatory,
}

impl Deref for GhlSim {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}

impl GhlVendor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the webhooks of what was just written. The state stays locked, so
    /// that webhooks leave in the order of the writes.
    fn flush(&self, state: &mut State) {
        let Some(url) = state.echo_url.clone() else {
            return;
        };
        for event in state.events.drain(..) {
            let url = url.clone();
            let body = event.to_string().into_bytes();
            let signature = self.signatory.sign(&body);
            self.outbox.send(Delivery {
                url,
                headers: vec![("X-GHL-Signature", signature)],
                body,
            });
        }
    }
}

impl Simulator for GhlVendor {
    fn knows(&self, request: &Request) -> bool {
        routes::knows(request)
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let answer = routes::answer(&mut state, request);
        self.flush(&mut state);
        answer
    }

    fn dress(&self, answer: Answer) -> Answer {
        self.state().limits.dress(answer, Utc::now())
    }
}

impl GhlSim {
    pub(super) async fn start(options: &Options, journal: Arc<Journal>) -> io::Result<Self> {
        let (outbox, courier) = outbox();
        let vendor = Arc::new(GhlVendor {
            state: Mutex::new(State::new(options.rate_limits, options.keep_last)),
            outbox,
            signatory: Signatory::new(),
        });
        let station = Station::open(Vendor::Ghl, vendor.clone(), journal, Some(courier)).await?;
        Ok(Self { station, vendor })
    }

    /// The accepted bearer tokens; two during a rotation.
    pub fn set_tokens(&self, tokens: &[&str]) {
        self.vendor.state().tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    /// Configures the SMS conversation provider; without one, texts cannot be
    /// recorded.
    pub fn set_provider(&self, id: &str, kind: ProviderKind) {
        self.vendor.state().provider = Some((id.to_owned(), kind));
    }

    /// Configures the call provider; without one, calls cannot be recorded.
    pub fn set_call_provider(&self, id: &str) {
        self.vendor.state().call_provider = Some(id.to_owned());
    }

    /// Only this token may set message statuses: that of the app that owns the
    /// provider, as in reality. Until called, every accepted token may.
    pub fn restrict_status_to(&self, token: &str) {
        self.vendor.state().status_token = Some(token.to_owned());
    }

    /// "Allow Duplicate Contact" of the location; off by default.
    pub fn allow_duplicates(&self, allowed: bool) {
        self.vendor.state().allow_duplicates = allowed;
    }

    /// The order of duplicate matching; e-mail, then phone by default. What is
    /// left out is not matched at all.
    pub fn set_match_priority(&self, priority: &[Identifier]) {
        self.vendor.state().priority = priority.to_vec();
    }

    /// PUT merges `dndSettings` instead of replacing them.
    pub fn merge_dnd_settings(&self, merges: bool) {
        self.vendor.state().dnd_merges = merges;
    }

    /// Tag answers hold only what was added or removed, not the full set.
    pub fn answer_tags_as_delta(&self, delta: bool) {
        self.vendor.state().tags_answer_delta = delta;
    }

    /// Contacts changed less than this long ago are missing from the search.
    pub fn set_search_lag(&self, lag: Duration) {
        self.vendor.state().search_lag = lag;
    }

    /// Other limits than the documented 100 in 10 s and 200 000 a day.
    pub fn set_rate_limit(&self, burst: u32, interval: Duration, daily: u32) {
        self.vendor.state().limits.set(burst, interval, daily);
    }

    /// No rate limit; the headers still come.
    pub fn lift_rate_limit(&self) {
        self.vendor.state().limits.lift();
    }

    /// Defines a contact custom field; once there is one, only defined ones
    /// are stored.
    pub fn define_custom_field(&self, id: &str, key: &str, name: &str, data_type: &str) {
        self.vendor.state().custom_fields.push(FieldDefinition {
            id: id.to_owned(),
            key: key.to_owned(),
            name: name.to_owned(),
            data_type: data_type.to_owned(),
        });
    }

    /// Adds a user to `GET /users/`.
    pub fn add_user(&self, user: Value) {
        self.vendor.state().users.push(user);
    }

    /// Seeds a contact, without a webhook and without the duplicate check.
    /// Properties are those of a create body, `customFields` in write form; an
    /// `id` is kept, so are `dateAdded` and `dateUpdated`. Returns the id.
    pub fn add_contact(&self, contact: Value) -> String {
        let mut body = contact.as_object().cloned().unwrap_or_default();
        let given = |body: &mut Map<String, Value>, name: &str| body.remove(name);
        let id = given(&mut body, "id").and_then(|id| id.as_str().map(str::to_owned));
        let dates = ["dateAdded", "dateUpdated"].map(|name| (name, given(&mut body, name)));
        let id = id.unwrap_or_else(book::new_id);
        let mut state = self.vendor.state();
        // Values a validator would refuse are kept as they are: old data is like that.
        let body = fields::normalise(body.clone()).unwrap_or(body);
        state.create(&id, body, Utc::now());
        state.events.clear();
        if let Some(mut stored) = state.book.get(&id).cloned() {
            for (name, value) in dates {
                if let Some(value) = value {
                    stored.insert(name.to_owned(), value);
                }
            }
            state.book.put(&id, stored);
        }
        id
    }

    /// Changes a contact as a person would in the app: any property, with the
    /// webhooks that causes. False if it does not exist.
    pub fn edit_contact(&self, id: &str, change: Value) -> bool {
        let body = change.as_object().cloned().unwrap_or_default();
        let body = fields::normalise(body.clone()).unwrap_or(body);
        let mut state = self.vendor.state();
        let known = state.book.get(id).is_some();
        state.write(id, body, Changes::default(), Utc::now());
        self.vendor.flush(&mut state);
        known
    }

    /// Deletes a contact as a merge does: its id answers 400 from now on.
    /// False if it did not exist.
    pub fn remove_contact(&self, id: &str) -> bool {
        self.vendor.state().book.remove(id).is_some()
    }

    /// A contact as GET shows it.
    pub fn contact(&self, id: &str) -> Option<Value> {
        self.vendor
            .state()
            .book
            .get(id)
            .map(contacts::view)
            .map(Value::Object)
    }

    /// The contact with this E.164 phone.
    pub fn contact_by_phone(&self, phone: &str) -> Option<Value> {
        self.vendor
            .state()
            .book
            .with_phone(phone)
            .map(contacts::view)
            .map(Value::Object)
    }

    /// All contacts, oldest first.
    pub fn contacts(&self) -> Vec<Value> {
        self.vendor
            .state()
            .book
            .all()
            .map(contacts::view)
            .map(Value::Object)
            .collect()
    }

    /// The note texts of a contact, oldest first.
    pub fn notes(&self, id: &str) -> Vec<String> {
        let state = self.vendor.state();
        let notes = state.notes.get(id).into_iter().flatten();
        notes
            .filter_map(|note| note.get("body")?.as_str().map(str::to_owned))
            .collect()
    }

    /// The tags of a contact.
    pub fn tags(&self, id: &str) -> Vec<String> {
        self.vendor.state().tags(id)
    }

    /// All recorded messages and calls, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        self.vendor.state().messages.iter().cloned().collect()
    }

    /// An agent texts from the app: records a pending outbound message and
    /// returns the body GHL posts to the provider's delivery URL. The caller
    /// posts it, signed with `sign`.
    pub fn agent_text(&self, contact: &str, message: &str) -> Option<Value> {
        let mut state = self.vendor.state();
        let phone = state
            .book
            .get(contact)?
            .get("phone")
            .cloned()
            .unwrap_or_default();
        let conversation = state
            .conversations
            .entry(contact.to_owned())
            .or_insert_with(book::new_id)
            .clone();
        let id = book::new_id();
        let location = state.location.clone();
        state.messages.push_back(json!({
            "id": id, "contactId": contact, "conversationId": conversation, "type": "SMS",
            "direction": "outbound", "body": message, "status": "pending", "source": "app",
            "locationId": location, "dateAdded": book::stamp(Utc::now()),
        }));
        Some(json!({
            "contactId": contact, "locationId": location, "messageId": id, "type": "SMS",
            "phone": phone, "message": message, "attachments": [], "userId": "sandboxUser000000001",
        }))
    }

    /// Every write that changes something is sent there as the real, signed
    /// webhook, in order.
    pub fn echo_to(&self, url: &str) {
        self.vendor.state().echo_url = Some(url.to_owned());
    }

    /// No webhooks any more.
    pub fn stop_echo(&self) {
        self.vendor.state().echo_url = None;
    }

    /// The webhooks sent so far.
    pub fn echoes(&self) -> Vec<Delivered> {
        self.vendor.outbox.sent()
    }

    /// Waits until every webhook is delivered or lost; false on timeout.
    pub async fn echoes_settled(&self, timeout: Duration) -> bool {
        self.vendor.outbox.idle(timeout).await
    }

    /// A webhook body of any type, with the real envelope.
    pub fn event(&self, kind: &str, resource: Value) -> Value {
        events::envelope(
            kind,
            LOCATION,
            resource.as_object().cloned().unwrap_or_default(),
        )
    }

    /// `X-GHL-Signature` for these bytes.
    pub fn sign(&self, body: &[u8]) -> String {
        self.vendor.signatory.sign(body)
    }

    /// The raw 32-byte public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.vendor.signatory.public_key()
    }

    /// The raw public key in base64.
    pub fn public_key_base64(&self) -> String {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(self.public_key())
    }

    /// The public key as the vendor publishes it.
    pub fn public_key_pem(&self) -> String {
        self.vendor.signatory.public_key_pem()
    }
}
