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
    /// the account has no such call, or keeps none that can be read.
    ///
    /// # Errors
    /// [`VendorError::Incomplete`] when the answer is not about this call;
    /// otherwise see [`VendorError`].
    pub async fn call(&self, id: &str) -> Result<Option<Value>, VendorError> {
        let answer = self.read("call", "/api/v1/calls", id).await?;
        match &answer {
            Some(record) if Delivery::of_record(record).communication_id().as_deref() != Some(id) => {
                Err(VendorError::Incomplete { missing: "id" })
            }
            _ => Ok(answer),
        }
    }

    /// The contact with this id. `None` when the account has no such contact, or
    /// serves none by id.
    ///
    /// # Errors
    /// [`VendorError::Incomplete`] when the answer is not about this contact;
    /// otherwise see [`VendorError`].
    pub async fn contact(&self, id: &AlowareContactId) -> Result<Option<AlowareContact>, VendorError> {
        let answer = self.read("contact", "/api/v1/contacts", id.as_str()).await?;
        let contact = answer.map(|answer| wire::aloware_contact(&answer, &self.shared.hint));
        match &contact {
            Some(contact) if contact.id.as_ref() != Some(id) => Err(VendorError::Incomplete { missing: "id" }),
            _ => Ok(contact),
        }
    }

    /// One thing by its id. An account without the path answers with the web
    /// app's page, or refuses the path: then nothing is known, and no event may
    /// fail of that.
    async fn read(&self, operation: &'static str, path: &'static str, id: &str) -> Result<Option<Value>, VendorError> {
        if !self.shared.legacy {
            return Ok(None);
        }
        match self.get(operation, &Route::new(path).id(id)?, &[]).await {
            Ok(answer) => Ok(Some(answer)),
            Err(VendorError::NotFound) => Ok(None),
            Err(
                VendorError::NotJson { .. }
                | VendorError::Rejected {
                    status: 404 | 405 | 410,
                    ..
                },
            ) => {
                if !self.shared.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        operation,
                        "aloware.call_surface is legacy, but the account does not serve its paths: nothing is gained"
                    );
                }
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}
