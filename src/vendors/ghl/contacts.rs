//! Contacts: read one, find one by phone or e-mail, create, upsert, change.

use reqwest::Method;
use serde_json::Value;

use super::bodies::{ContactBody, ContactPatch, Fields, NewContact, tidy_tags};
use super::{GhlClient, contact_write};
use crate::domain::{GhlContact, GhlContactId, Phone};
use crate::loops::Intent;
use crate::vendors::budget::Priority;
use crate::vendors::error::VendorError;
use crate::vendors::route::Route;
use crate::wire;
use crate::wire::json::{at, flag};

/// What an upsert ended in.
#[derive(Clone, Debug, PartialEq)]
pub struct Upserted {
    /// The contact as it is now. Compare its phone or e-mail with what was
    /// sent: GHL ignores a field that belongs to somebody else without a word.
    pub contact: GhlContact,
    /// The contact's id.
    pub id: GhlContactId,
    /// Whether it was created.
    pub new: bool,
}

impl GhlClient {
    /// Reads a contact.
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when it was deleted or merged (GHL answers 400
    /// for that, vendors/ghl.md 2.6); otherwise see [`VendorError`].
    pub async fn get_contact(&self, id: &GhlContactId) -> Result<GhlContact, VendorError> {
        let answer = self.read("get_contact", &contact_route(id)?, &[]).await?;
        self.contact(&answer).map(|(contact, _)| contact)
    }

    /// Finds the contact with exactly this phone. Fresh, unlike the search
    /// index (vendors/ghl.md 2, `search/duplicate`).
    ///
    /// # Errors
    /// See [`VendorError`]; nobody found is `Ok(None)`.
    pub async fn find_by_phone(&self, phone: &Phone) -> Result<Option<GhlContact>, VendorError> {
        let hit = self.find_duplicate(("number", phone.as_str())).await?;
        Ok(hit.filter(|contact| contact.phone.as_ref() == Some(phone)))
    }

    /// Finds the contact with exactly this e-mail address, ignoring case.
    ///
    /// # Errors
    /// See [`VendorError`]; nobody found is `Ok(None)`.
    pub async fn find_by_email(&self, email: &str) -> Result<Option<GhlContact>, VendorError> {
        let wanted = email.trim();
        if wanted.is_empty() {
            return Ok(None);
        }
        let hit = self.find_duplicate(("email", wanted)).await?;
        Ok(hit.filter(|contact| {
            let found = contact.fields.email.as_deref();
            found.is_some_and(|found| found.to_lowercase() == wanted.to_lowercase())
        }))
    }

    async fn find_duplicate(&self, by: (&'static str, &str)) -> Result<Option<GhlContact>, VendorError> {
        let route = Route::new("/contacts/search/duplicate");
        let query = [("locationId", self.shared.location_id.as_str()), by];
        match self.read("find_contact", &route, &query).await {
            Ok(answer) if answer.is_object() && nobody(&answer) => Ok(None),
            Ok(answer) => self.contact(&answer).map(|(contact, _)| Some(contact)),
            Err(VendorError::NotFound) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Creates a contact and returns it with its id.
    ///
    /// # Errors
    /// [`VendorError::Duplicate`] with the existing contact's id;
    /// [`VendorError::Unprocessable`] after which the contact may exist
    /// nevertheless (I#64): search before creating again.
    pub async fn create_contact(&self, _proof: &Intent, new: &NewContact) -> Result<GhlContact, VendorError> {
        let body = self.contact_body(new, tidy_tags(&new.tags));
        let operation = contact_write("create_contact", Method::POST, Priority::Contact);
        // The trailing slash is part of the documented path.
        let answer = self.write(operation, &Route::new("/contacts/"), &body).await?;
        self.contact(&answer).map(|(contact, _)| contact)
    }

    /// Finds by the location's own rule, or creates. Never sends tags.
    ///
    /// # Errors
    /// [`VendorError::Duplicate`] is possible here too (vendors/ghl.md 2.1).
    pub async fn upsert_contact(&self, _proof: &Intent, new: &NewContact) -> Result<Upserted, VendorError> {
        let body = self.contact_body(new, Vec::new());
        let operation = contact_write("upsert_contact", Method::POST, Priority::Contact);
        let answer = self.write(operation, &Route::new("/contacts/upsert"), &body).await?;
        let (contact, id) = self.contact(&answer)?;
        Ok(Upserted {
            contact,
            id,
            new: flag(&answer, &["new"]).unwrap_or(false),
        })
    }

    /// Changes the given fields and no others; never tags. An empty patch makes
    /// no call.
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone; otherwise see
    /// [`VendorError`].
    pub async fn update_contact(
        &self,
        _proof: &Intent,
        id: &GhlContactId,
        patch: &ContactPatch,
    ) -> Result<(), VendorError> {
        if patch.is_empty() {
            return Ok(());
        }
        let body = Fields::of(&patch.fields, patch.source.as_deref(), &patch.custom_fields);
        let operation = contact_write("update_contact", Method::PUT, Priority::Contact);
        self.write(operation, &contact_route(id)?, &body).await?;
        Ok(())
    }

    fn contact_body<'c>(&'c self, new: &'c NewContact, tags: Vec<String>) -> ContactBody<'c> {
        ContactBody {
            location_id: &self.shared.location_id,
            fields: Fields::of(&new.fields, new.source.as_deref(), &new.custom_fields),
            tags,
        }
    }

    /// The contact of an answer, which must name itself.
    fn contact(&self, answer: &Value) -> Result<(GhlContact, GhlContactId), VendorError> {
        let contact = wire::ghl_contact(answer, &self.shared.hint);
        let id = contact
            .id
            .clone()
            .ok_or(VendorError::Incomplete { missing: "contact.id" })?;
        Ok((contact, id))
    }
}

/// `{"contact":null}` is how nobody looks (vendors/ghl.md 2).
fn nobody(answer: &Value) -> bool {
    at(answer, "contact").is_none() && at(answer, "id").is_none()
}

/// `/contacts/{id}`
pub(super) fn contact_route(id: &GhlContactId) -> Result<Route, VendorError> {
    Route::new("/contacts").id(id.as_str())
}
