//! Reads by id, which only some accounts serve and no page documents
//! (`aloware.call_surface = "legacy"`; vendors/aloware.md 5). On the documented
//! surface they are never asked for and know nothing.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::AlowareClient;
use crate::domain::{AlowareContact, AlowareContactId};
use crate::vendors::error::VendorError;
use crate::vendors::route::Route;
use crate::wire;
use crate::wire::aloware::Delivery;

impl AlowareClient {
    /// The account's record of a call, for [`Delivery::of_record`]. `None` when
    /// the account has no such call, or serves none by id.
    ///
    /// # Errors
    /// See [`VendorError`].
    pub async fn call(&self, id: &str) -> Result<Option<Value>, VendorError> {
        let this = |record: Value| {
            let is_it = Delivery::of_record(&record).communication_id().as_deref() == Some(id);
            is_it.then_some(record)
        };
        self.read("call", "/api/v1/calls", id, this).await
    }

    /// The contact with this id. `None` when the account has no such contact, or
    /// serves none by id.
    ///
    /// # Errors
    /// See [`VendorError`].
    pub async fn contact(&self, id: &AlowareContactId) -> Result<Option<AlowareContact>, VendorError> {
        let this = |answer: Value| {
            let contact = wire::aloware_contact(&answer, &self.shared.hint);
            (contact.id.as_ref() == Some(id)).then_some(contact)
        };
        self.read("contact", "/api/v1/contacts", id.as_str(), this).await
    }

    /// One thing by its id, if the answer is `this` thing. An account without the
    /// path answers with the web app's page or something else, sends to its login,
    /// or refuses the path or the token there (the web app's own API wants a
    /// session): then nothing is known, and no event may fail of that. A token
    /// that is wrong everywhere shows at the documented calls.
    async fn read<T>(
        &self,
        operation: &'static str,
        path: &'static str,
        id: &str,
        this: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, VendorError> {
        if !self.shared.legacy {
            return Ok(None);
        }
        match self.get(operation, &Route::new(path).id(id)?, &[]).await {
            Ok(answer) => {
                if let Some(thing) = this(answer) {
                    return Ok(Some(thing));
                }
            }
            Err(VendorError::NotFound) => return Ok(None),
            Err(
                VendorError::NotJson { .. }
                | VendorError::Unauthorized
                | VendorError::Forbidden
                | VendorError::Rejected {
                    status: 300..=399 | 404 | 405 | 410,
                    ..
                },
            ) => {}
            Err(other) => return Err(other),
        }
        if !self.shared.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                operation,
                "aloware.call_surface is legacy, but the account does not serve its paths: nothing is gained"
            );
        }
        Ok(None)
    }
}
