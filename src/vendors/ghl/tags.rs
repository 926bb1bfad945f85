//! Tags: added and removed one by one, never replaced as a whole. A PUT with
//! `tags` would wipe what people set (vendors/ghl.md 2.2, gotcha 2).

use reqwest::Method;

use super::bodies::{TagsBody, tidy_tags};
use super::contacts::contact_route;
use super::{GhlClient, contact_write};
use crate::domain::GhlContactId;
use crate::loops::Intent;
use crate::vendors::budget::Priority;
use crate::vendors::error::VendorError;
use crate::wire::json::array;

impl GhlClient {
    /// Adds tags, in lower case as GHL stores them; the others stay. No tags,
    /// no call. Answers the tags that GHL answered: all, or only the new ones
    /// (vendors/ghl.md does not know).
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone; otherwise see
    /// [`VendorError`].
    pub async fn add_tags(
        &self,
        _proof: &Intent,
        id: &GhlContactId,
        tags: &[String],
    ) -> Result<Vec<String>, VendorError> {
        self.change_tags("add_tags", Method::POST, id, tags).await
    }

    /// Removes tags; the others stay. No tags, no call. The vendor wants a
    /// JSON body on this DELETE (gotcha 20).
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone; otherwise see
    /// [`VendorError`].
    pub async fn remove_tags(&self, _proof: &Intent, id: &GhlContactId, tags: &[String]) -> Result<(), VendorError> {
        self.change_tags("remove_tags", Method::DELETE, id, tags).await?;
        Ok(())
    }

    async fn change_tags(
        &self,
        name: &'static str,
        method: Method,
        id: &GhlContactId,
        tags: &[String],
    ) -> Result<Vec<String>, VendorError> {
        let tags = tidy_tags(tags);
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let operation = contact_write(name, method, Priority::Message);
        let route = contact_route(id)?.then("/tags");
        let answer = self.write(operation, &route, &TagsBody { tags }).await?;
        let answered = array(&answer, &["tags"]).unwrap_or_default();
        Ok(answered
            .iter()
            .filter_map(|tag| Some(tag.as_str()?.to_lowercase()))
            .collect())
    }
}
