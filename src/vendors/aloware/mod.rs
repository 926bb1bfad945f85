//! The Aloware client: look up and upsert contacts by phone, take one off the
//! dialer's lists, list the users. There is nothing else a token can do, but
//! where an account serves reads by id.
//! Facts and their sources: vendors/aloware.md.

mod forms;
mod legacy;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

pub use forms::FormRequest;

use super::budget::{Budget, Priority};
use super::client::http_client;
use super::error::{SetupError, VendorError};
use super::route::Route;
use super::transport::{Call, Transport, encode};
use crate::config;
use crate::domain::{AlowareContact, AlowareContactId, Phone, PhoneHint, Source};
use crate::loops::Intent;
use crate::wire;
use crate::wire::json::{array, text};

/// A client of one Aloware account. Cheap to clone; clones share the budget
/// and the breaker.
#[derive(Clone)]
pub struct AlowareClient {
    shared: Arc<Shared>,
    lane: Option<Priority>,
}

struct Shared {
    transport: Transport,
    token: SecretString,
    hint: PhoneHint,
    /// Whether the account is said to serve reads by id.
    legacy: bool,
    /// Whether it was said that the account does not.
    warned: AtomicBool,
}

/// An agent's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlowareUser {
    /// Numeric on the wire; `user_id` of a call.
    pub id: String,
    /// Full name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}

impl AlowareClient {
    /// Makes a client. `region` is for numbers without `+`.
    ///
    /// # Errors
    /// [`SetupError`] when the base address cannot be used.
    pub fn new(aloware: &config::Aloware, http: &config::Http, region: &str) -> Result<Self, SetupError> {
        Self::over(http_client(&[&aloware.base_url])?, aloware, http, region)
    }

    pub(super) fn over(
        client: reqwest::Client,
        aloware: &config::Aloware,
        http: &config::Http,
        region: &str,
    ) -> Result<Self, SetupError> {
        let budget = Budget::new(aloware.rate_limit, None);
        let transport = Transport::new(client, Source::Aloware, &aloware.base_url, http.timeout, budget)?;
        Ok(Self {
            shared: Arc::new(Shared {
                transport,
                token: aloware.api_token.clone(),
                hint: PhoneHint::region(region),
                legacy: aloware.call_surface == config::CallSurface::Legacy,
                warned: AtomicBool::new(false),
            }),
            lane: None,
        })
    }

    /// The same client with every call at this priority.
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

    /// Looks a contact up by phone, the only key there is (vendors/aloware.md 2.1).
    ///
    /// # Errors
    /// See [`VendorError`]; nobody found is `Ok(None)`.
    pub async fn lookup(&self, phone: &Phone) -> Result<Option<AlowareContact>, VendorError> {
        let route = Route::new("/api/v1/webhook/contact/phone-number");
        match self.get("lookup", &route, &[("phone_number", phone.as_str())]).await {
            Ok(answer) => {
                let contact = wire::aloware_contact(&answer, &self.shared.hint);
                if contact.id.is_none() {
                    return Err(VendorError::Incomplete { missing: "id" });
                }
                Ok(Some(contact))
            }
            Err(VendorError::NotFound) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Creates or updates the contact with this phone, and returns its id when
    /// the answer names it (`contact_id`, vendors/aloware.md 2.2).
    ///
    /// # Errors
    /// [`VendorError::Rejected`] with 409 in spite of `force_update`, which no
    /// repetition changes; otherwise see [`VendorError`].
    pub async fn upsert(&self, _proof: &Intent, form: &FormRequest) -> Result<Option<AlowareContactId>, VendorError> {
        let route = Route::new("/api/v1/webhook/forms");
        match self.post("upsert", &route, &form.body()).await {
            Ok(answer) => Ok(text(&answer, &["contact_id", "contact.id"]).and_then(|id| AlowareContactId::new(&id))),
            Err(VendorError::Duplicate { .. }) => Err(VendorError::Rejected {
                status: 409,
                code: None,
            }),
            Err(other) => Err(other),
        }
    }

    /// Takes the contact off **all** Power Dialer lists; there is no call for
    /// one list (vendors/aloware.md 2.4).
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone; otherwise see
    /// [`VendorError`].
    pub async fn remove_from_lists(&self, _proof: &Intent, id: &AlowareContactId) -> Result<(), VendorError> {
        let contact_id = id
            .as_str()
            .parse::<u64>()
            .map_or_else(|_| Value::from(id.as_str()), Value::from);
        let route = Route::new("/api/v1/webhook/powerdialer-remove-contact-from-lists");
        self.post("remove_from_lists", &route, &Removal { contact_id }).await?;
        Ok(())
    }

    /// The account's users, without the deleted ones. Also the cheapest way to
    /// try a token (vendors/aloware.md 2.8).
    ///
    /// # Errors
    /// See [`VendorError`].
    pub async fn users(&self) -> Result<Vec<AlowareUser>, VendorError> {
        let answer = self.get("users", &Route::new("/api/v1/webhook/users"), &[]).await?;
        let listed = answer
            .as_array()
            .map(Vec::as_slice)
            .or_else(|| array(&answer, &["data", "users"]));
        let listed = listed.ok_or(VendorError::Incomplete { missing: "users" })?;
        Ok(listed
            .iter()
            .filter_map(|user| {
                Some(AlowareUser {
                    id: text(user, &["id"])?,
                    name: text(user, &["name"]),
                    email: text(user, &["email"]),
                })
            })
            .filter(|user| !user.email.as_ref().is_some_and(|email| email.contains("_deleted_")))
            .collect())
    }

    /// A read: the token stands in the query.
    async fn get(
        &self,
        operation: &'static str,
        route: &Route,
        query: &[(&'static str, &str)],
    ) -> Result<Value, VendorError> {
        let mut with_token = vec![("api_token", self.shared.token.expose_secret())];
        with_token.extend_from_slice(query);
        self.send(operation, Method::GET, route, &with_token, None).await
    }

    /// A write: the token stands in the body.
    async fn post(
        &self,
        operation: &'static str,
        route: &Route,
        fields: &impl Serialize,
    ) -> Result<Value, VendorError> {
        let body = encode(&WithToken {
            api_token: self.shared.token.expose_secret(),
            fields,
        })?;
        self.send(operation, Method::POST, route, &[], Some(&body)).await
    }

    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        route: &Route,
        query: &[(&'static str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Value, VendorError> {
        let call = Call {
            operation,
            method,
            route,
            query,
            headers: &[],
            body,
            priority: self.lane.unwrap_or(Priority::Contact),
        };
        Ok(self.shared.transport.send(call).await?.json)
    }
}

#[derive(Serialize)]
struct WithToken<'c, T: Serialize> {
    api_token: &'c str,
    #[serde(flatten)]
    fields: &'c T,
}

#[derive(Serialize)]
struct Removal {
    contact_id: Value,
}

impl fmt::Debug for AlowareClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlowareClient")
            .field("lane", &self.lane)
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}
