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
mod filters;
mod limits;
mod message_rules;
mod message_views;
mod notes;
mod routes;
mod scopes;
mod search;
mod setup;
mod state;
mod tags;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};

use self::events::Signatory;
use self::state::State;
pub use self::state::{Identifier, ProviderKind};
use super::Options;
use super::record::Journal;
use super::server::Simulator;
use super::station::Station;
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

    /// A contact as GET shows it.
    pub fn contact(&self, id: &str) -> Option<Value> {
        self.vendor.state().book.get(id).map(contacts::view).map(Value::Object)
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
        let phone = state.book.get(contact)?.get("phone").cloned().unwrap_or_default();
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
        events::envelope(kind, LOCATION, resource.as_object().cloned().unwrap_or_default())
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
