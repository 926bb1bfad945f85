//! The GoHighLevel client: credentials, headers and the budget of one
//! sub-account. Facts and their sources: vendors/ghl.md.

mod bodies;
mod calls;
mod contacts;
mod conversations;
mod dnd;
mod notes;
mod probe;
mod tags;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;

pub use bodies::{ContactPatch, NewContact};
pub use calls::{CallRecord, CallStatus};
pub use contacts::Upserted;
pub use conversations::{MessageRecord, MessageStatus};
pub use notes::Note;

use super::budget::{Budget, Priority};
use super::client::{bearer, http_client};
use super::error::{SetupError, VendorError};
use super::route::Route;
use super::transport::{Call, Transport, encode};
use crate::config;
use crate::domain::{PhoneHint, Source};

/// `Version` of the contacts service (vendors/ghl.md 1); required on every call.
const CONTACTS: HeaderValue = HeaderValue::from_static("2021-07-28");
/// `Version` of the conversations service.
const CONVERSATIONS: HeaderValue = HeaderValue::from_static("2021-04-15");

/// A client of one GHL sub-account. Cheap to clone; clones share the budget,
/// the breaker and what was learnt about token and provider type.
#[derive(Clone)]
pub struct GhlClient {
    shared: Arc<Shared>,
    lane: Option<Priority>,
}

struct Shared {
    transport: Transport,
    location_id: String,
    provider_id: Option<String>,
    call_provider_id: Option<String>,
    hint: PhoneHint,
    token: HeaderValue,
    next_token: Option<HeaderValue>,
    /// Whether `next_token` is the one that works. Written by the call that
    /// found it out, read by all.
    use_next: AtomicBool,
    /// The message type that the provider accepted; see `conversations`.
    provider_type: AtomicU8,
}

/// What differs between operations.
struct Operation {
    name: &'static str,
    method: Method,
    version: HeaderValue,
    priority: Priority,
}

impl GhlClient {
    /// Makes a client. `region` is for numbers without `+`.
    ///
    /// # Errors
    /// [`SetupError`] when a token or the base address cannot be used.
    pub fn new(ghl: &config::Ghl, http: &config::Http, region: &str) -> Result<Self, SetupError> {
        Self::over(http_client(&[&ghl.base_url])?, ghl, http, region)
    }

    pub(super) fn over(
        client: reqwest::Client,
        ghl: &config::Ghl,
        http: &config::Http,
        region: &str,
    ) -> Result<Self, SetupError> {
        let token = |secret: &secrecy::SecretString| bearer(secret.expose_secret(), Source::Ghl);
        let budget = Budget::new(ghl.rate_limit, Some(ghl.daily_limit));
        Ok(Self {
            shared: Arc::new(Shared {
                transport: Transport::new(client, Source::Ghl, &ghl.base_url, http.timeout, budget)?,
                location_id: ghl.location_id.clone(),
                provider_id: ghl.conversation_provider_id.clone(),
                call_provider_id: ghl.call_provider_id.clone(),
                hint: PhoneHint::region(region),
                token: token(&ghl.api_key)?,
                next_token: ghl.api_key_next.as_ref().map(token).transpose()?,
                use_next: AtomicBool::new(false),
                provider_type: AtomicU8::new(0),
            }),
            lane: None,
        })
    }

    /// The same client with every call at this priority, instead of each
    /// operation's own (do-not-disturb first, then texts and notes, contacts).
    #[must_use]
    pub fn at(&self, priority: Priority) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            lane: Some(priority),
        }
    }

    pub(super) fn budget(&self) -> Budget {
        self.shared.transport.budget()
    }

    pub(super) fn down_for(&self) -> Option<Duration> {
        self.shared.transport.down_for()
    }

    /// Whether the breaker lets calls through as usual.
    pub fn is_up(&self) -> bool {
        self.shared.transport.is_up()
    }

    /// Makes a call, with the other token when this one answers 401 during a
    /// rotation ("Rotate and expire later" keeps both valid, vendors/ghl.md 1).
    async fn call(
        &self,
        operation: Operation,
        route: &Route,
        query: &[(&'static str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Value, VendorError> {
        let next_first = self.shared.use_next.load(Ordering::Relaxed);
        let first = self.attempt(&operation, route, query, body, next_first).await;
        if self.shared.next_token.is_none() || !matches!(first, Err(VendorError::Unauthorized)) {
            return first;
        }
        let second = self.attempt(&operation, route, query, body, !next_first).await;
        if matches!(second, Err(VendorError::Unauthorized)) {
            return second;
        }
        if second.is_ok() {
            self.shared.use_next.store(!next_first, Ordering::Relaxed);
            tracing::warn!(vendor = "ghl", next = !next_first, "token refused, the other one works");
        }
        second
    }

    async fn attempt(
        &self,
        operation: &Operation,
        route: &Route,
        query: &[(&'static str, &str)],
        body: Option<&[u8]>,
        use_next: bool,
    ) -> Result<Value, VendorError> {
        let next = self.shared.next_token.as_ref().filter(|_| use_next);
        let token = next.unwrap_or(&self.shared.token);
        let call = Call {
            operation: operation.name,
            method: operation.method.clone(),
            route,
            query,
            headers: &[
                (AUTHORIZATION, token.clone()),
                (HeaderName::from_static("version"), operation.version.clone()),
            ],
            body,
            priority: self.priority(operation.priority),
        };
        Ok(self.shared.transport.send(call).await?.json)
    }

    /// An opt-out goes first in whatever lane the client is.
    fn priority(&self, own: Priority) -> Priority {
        match own {
            Priority::OptOut => own,
            Priority::Message | Priority::Contact | Priority::Background => self.lane.unwrap_or(own),
        }
    }
    /// A read from the contacts service.
    async fn read(
        &self,
        name: &'static str,
        route: &Route,
        query: &[(&'static str, &str)],
    ) -> Result<Value, VendorError> {
        self.read_from(CONTACTS, name, route, query).await
    }

    /// A read from the service of this `Version`.
    async fn read_from(
        &self,
        version: HeaderValue,
        name: &'static str,
        route: &Route,
        query: &[(&'static str, &str)],
    ) -> Result<Value, VendorError> {
        let operation = Operation {
            name,
            method: Method::GET,
            version,
            priority: Priority::Contact,
        };
        self.call(operation, route, query, None).await
    }

    async fn write(&self, operation: Operation, route: &Route, body: &impl Serialize) -> Result<Value, VendorError> {
        self.call(operation, route, &[], Some(&encode(body)?)).await
    }
}

/// A write to the contacts service.
fn contact_write(name: &'static str, method: Method, priority: Priority) -> Operation {
    Operation {
        name,
        method,
        version: CONTACTS,
        priority,
    }
}

impl fmt::Debug for GhlClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GhlClient")
            .field("lane", &self.lane)
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}
