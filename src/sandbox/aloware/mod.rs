//! A strict Aloware: contact lookup, the Lead API, lists, users, texts.
//!
//! There is no read of lists and tags, and no way to take a tag or a single list
//! away, because the vendor offers none. Calls and contacts are read by id only
//! after [`AlowareSim::serve_reads_by_id`].

mod contact;
mod legacy;
mod routes;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::Value;

use self::contact::AlowareContact;
use self::state::State;
use super::Options;
use super::record::Journal;
use super::server::Simulator;
use super::shape::e164;
use super::station::Station;
use super::webhook::{Delivered, Delivery, Outbox, outbox};
use super::wire::{Answer, Request, Vendor};

/// The accepted `api_token`.
pub const TOKEN: &str = "aloware-sandbox-token";

/// A running Aloware. `Station` gives it `url`, calls and faults.
pub struct AlowareSim {
    station: Station,
    vendor: Arc<AlowareVendor>,
}

struct AlowareVendor {
    state: Mutex<State>,
    outbox: Outbox,
    keep_last: usize,
}

impl Deref for AlowareSim {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}

impl AlowareVendor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the webhooks of what was just written, in order.
    fn flush(&self, state: &mut State) {
        let Some((url, authorization)) = state.echo.clone() else {
            return;
        };
        for event in state.events.drain(..) {
            let mut headers = vec![("User-Agent", "GuzzleHttp/7".to_owned())];
            headers.extend(authorization.clone().map(|value| ("Authorization", value)));
            let body = event.to_string().into_bytes();
            self.outbox.send(Delivery {
                url: url.clone(),
                headers,
                body,
            });
        }
    }
}

impl Simulator for AlowareVendor {
    fn knows(&self, request: &Request) -> bool {
        routes::knows(request) || legacy::knows(&self.state(), request)
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let answer = legacy::answer(&state, request).unwrap_or_else(|| routes::answer(&mut state, request));
        let surplus = state.sent.len().saturating_sub(self.keep_last);
        state.sent.drain(..surplus);
        self.flush(&mut state);
        answer
    }
}

impl AlowareSim {
    pub(super) async fn start(options: &Options, journal: Arc<Journal>) -> io::Result<Self> {
        let (outbox, courier) = outbox();
        let vendor = Arc::new(AlowareVendor {
            state: Mutex::new(State::new(TOKEN)),
            outbox,
            keep_last: options.keep_last,
        });
        let station = Station::open(Vendor::Aloware, vendor.clone(), journal, Some(courier)).await?;
        Ok(Self { station, vendor })
    }

    /// The accepted `api_token`.
    pub fn set_token(&self, token: &str) {
        self.vendor.state().token = token.to_owned();
    }

    /// Adds a user to `GET users`.
    pub fn add_user(&self, user: Value) {
        self.vendor.state().users.push(user);
    }

    /// From now on the account serves `/calls/{id}` and `/contacts/{id}`, as the
    /// seed's account did.
    pub fn serve_reads_by_id(&self) {
        self.vendor.state().legacy = true;
    }

    /// Keeps a call to be read by its `id`, in place of an earlier one.
    pub fn put_call(&self, call: Value) {
        let id = match call.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(id) => id.to_string(),
            None => return,
        };
        self.vendor.state().calls.insert(id, call);
    }

    /// Seeds a contact without a webhook: properties of a form, of which
    /// `phone_number` is required, plus `is_opted_out`. Returns the id, or 0
    /// for a phone that is no phone.
    pub fn add_contact(&self, form: Value) -> i64 {
        let form = form.as_object().cloned().unwrap_or_default();
        let raw = form.get("phone_number").and_then(Value::as_str).unwrap_or_default();
        let Some(phone) = e164(raw) else {
            return 0;
        };
        let mut state = self.vendor.state();
        let known = state.by_phone(&phone).cloned();
        let id = known.as_ref().map_or_else(|| state.next_id(), |contact| contact.id);
        let mut contact = known.unwrap_or_else(|| AlowareContact::new(id, &phone, Utc::now()));
        contact.write(&form);
        contact.is_opted_out |= form.get("is_opted_out").is_some_and(contact::truthy);
        state.put(contact);
        id
    }

    /// Changes a contact as a person would in the app, with the webhooks that
    /// causes. `is_dnc` and `is_opted_out` can be cleared this way. False if no
    /// contact has this phone.
    pub fn edit_contact(&self, phone: &str, form: Value) -> bool {
        let form = form.as_object().cloned().unwrap_or_default();
        let mut state = self.vendor.state();
        let Some(before) = state.by_phone(phone).cloned() else {
            return false;
        };
        let mut after = before.clone();
        after.write(&form);
        if let Some(dnc) = form.get("is_dnc") {
            after.is_dnc = contact::truthy(dnc);
        }
        if let Some(out) = form.get("is_opted_out") {
            after.is_opted_out = contact::truthy(out);
        }
        state.replace(&before, after, Utc::now());
        self.vendor.flush(&mut state);
        true
    }

    /// The contact with this E.164 phone, as the lookup answers.
    pub fn contact_by_phone(&self, phone: &str) -> Option<Value> {
        self.vendor.state().by_phone(phone).map(AlowareContact::lookup)
    }

    /// All contacts as the lookup answers, oldest first.
    pub fn contacts(&self) -> Vec<Value> {
        self.vendor.state().all().map(AlowareContact::lookup).collect()
    }

    /// The contact as a webhook carries it, to build events around it.
    pub fn webhook_contact(&self, phone: &str) -> Option<Value> {
        self.vendor.state().by_phone(phone).map(AlowareContact::in_webhook)
    }

    /// The ids of the lists a contact is on.
    pub fn lists_of(&self, phone: &str) -> Vec<i64> {
        let state = self.vendor.state();
        state
            .by_phone(phone)
            .into_iter()
            .flat_map(|contact| contact.lists.iter().copied())
            .collect()
    }

    /// Whether the contact is in its owner's power dialer.
    pub fn in_power_dialer(&self, phone: &str) -> bool {
        self.vendor
            .state()
            .by_phone(phone)
            .is_some_and(|contact| contact.in_power_dialer)
    }

    /// Bodies of accepted `sms-gateway/send` calls, without the token.
    pub fn texts(&self) -> Vec<Value> {
        self.vendor.state().sent.clone()
    }

    /// Every write that changes something is sent there as a webhook, in
    /// order, once, with Basic authorisation if `(user, password)` is given.
    pub fn echo_to(&self, url: &str, basic: Option<(&str, &str)>) {
        let authorization = basic
            .map(|(user, password)| STANDARD.encode(format!("{user}:{password}")))
            .map(|encoded| format!("Basic {encoded}"));
        self.vendor.state().echo = Some((url.to_owned(), authorization));
    }

    /// No webhooks any more.
    pub fn stop_echo(&self) {
        self.vendor.state().echo = None;
    }

    /// The webhooks sent so far.
    pub fn echoes(&self) -> Vec<Delivered> {
        self.vendor.outbox.sent()
    }

    /// Waits until every webhook is delivered or lost; false on timeout.
    pub async fn echoes_settled(&self, timeout: Duration) -> bool {
        self.vendor.outbox.idle(timeout).await
    }
}
