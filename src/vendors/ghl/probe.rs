//! Reads that tell what the token may do, for a person who asks. Each needs one
//! scope, finds nobody on purpose, and takes next to nothing of the budget.
//!
//! Nothing here can tell whether a token may write: only a write would.

use std::sync::atomic::Ordering;

use super::{CONVERSATIONS, GhlClient};
use crate::vendors::error::VendorError;
use crate::vendors::route::Route;
use crate::wire::json::{array, text};

/// Nobody's address: `.invalid` never exists.
const NOBODY: &str = "doctor@df-middleware.invalid";

impl GhlClient {
    /// Whether contacts of the location can be read (`contacts.readonly`).
    ///
    /// # Errors
    /// [`VendorError::Unauthorized`], [`VendorError::OutOfScope`], and
    /// [`VendorError::Forbidden`] for another location; otherwise see [`VendorError`].
    pub async fn probe_contacts(&self) -> Result<(), VendorError> {
        self.find_by_email(NOBODY).await.map(drop)
    }

    /// Some conversation of the location (`conversations.readonly`).
    ///
    /// # Errors
    /// As [`GhlClient::probe_contacts`].
    pub async fn probe_conversations(&self) -> Result<Option<String>, VendorError> {
        let route = Route::new("/conversations/search");
        let query = [("locationId", self.shared.location_id.as_str()), ("limit", "1")];
        let found = self
            .read_from(CONVERSATIONS, "search_conversations", &route, &query)
            .await?;
        let listed = array(&found, &["conversations"]).ok_or(VendorError::Incomplete {
            missing: "conversations",
        })?;
        Ok(listed.first().and_then(|first| text(first, &["id"])))
    }

    /// Whether its messages can be read (`conversations/message.readonly`).
    ///
    /// # Errors
    /// As [`GhlClient::probe_contacts`].
    pub async fn probe_messages(&self, conversation: &str) -> Result<(), VendorError> {
        let route = Route::new("/conversations").id(conversation)?.then("/messages");
        self.read_from(CONVERSATIONS, "list_messages", &route, &[("limit", "1")])
            .await
            .map(drop)
    }

    /// The ids of the contacts' custom fields (`locations/customFields.readonly`).
    ///
    /// # Errors
    /// As [`GhlClient::probe_contacts`].
    pub async fn custom_field_ids(&self) -> Result<Vec<String>, VendorError> {
        let route = Route::new("/locations")
            .id(&self.shared.location_id)?
            .then("/customFields");
        let found = self.read("list_custom_fields", &route, &[("model", "contact")]).await?;
        let listed = array(&found, &["customFields"]).ok_or(VendorError::Incomplete {
            missing: "customFields",
        })?;
        Ok(listed.iter().filter_map(|field| text(field, &["id"])).collect())
    }

    /// Whether `ghl.api_key` was refused and `ghl.api_key_next` taken instead.
    pub fn uses_next_token(&self) -> bool {
        self.shared.use_next.load(Ordering::Relaxed)
    }
}
