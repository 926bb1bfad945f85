//! Notes of a contact. They have no idempotency key: the caller puts a marker
//! into the body and looks for it before it repeats a create (vendors/ghl.md 2.4).

use reqwest::Method;

use super::bodies::NoteBody;
use super::contacts::contact_route;
use super::{GhlClient, contact_write};
use crate::domain::GhlContactId;
use crate::loops::Intent;
use crate::vendors::budget::Priority;
use crate::vendors::error::VendorError;
use crate::wire::json::{array, text};

/// A note as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The note's id.
    pub id: String,
    /// Its text.
    pub body: String,
}

impl GhlClient {
    /// Adds a note and returns its id.
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone;
    /// [`VendorError::Incomplete`] when the answer names no note.
    pub async fn create_note(
        &self,
        _proof: &Intent,
        contact: &GhlContactId,
        body: &str,
    ) -> Result<String, VendorError> {
        let operation = contact_write("create_note", Method::POST, Priority::Message);
        let route = contact_route(contact)?.then("/notes");
        let answer = self.write(operation, &route, &NoteBody { body }).await?;
        text(&answer, &["note.id", "id"]).ok_or(VendorError::Incomplete { missing: "note.id" })
    }

    /// Replaces a note's text.
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when contact or note is gone; otherwise see
    /// [`VendorError`].
    pub async fn update_note(
        &self,
        _proof: &Intent,
        contact: &GhlContactId,
        note_id: &str,
        body: &str,
    ) -> Result<(), VendorError> {
        let operation = contact_write("update_note", Method::PUT, Priority::Message);
        let route = contact_route(contact)?.then("/notes").id(note_id)?;
        self.write(operation, &route, &NoteBody { body }).await?;
        Ok(())
    }

    /// Reads the contact's notes. There is no paging and no list over contacts.
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone;
    /// [`VendorError::Incomplete`] when the answer has no list.
    pub async fn list_notes(&self, contact: &GhlContactId) -> Result<Vec<Note>, VendorError> {
        let route = contact_route(contact)?.then("/notes");
        let answer = self.read("list_notes", &route, &[]).await?;
        let notes = array(&answer, &["notes"]).ok_or(VendorError::Incomplete { missing: "notes" })?;
        Ok(notes
            .iter()
            .filter_map(|note| {
                Some(Note {
                    id: text(note, &["id"])?,
                    body: text(note, &["body"]).unwrap_or_default(),
                })
            })
            .collect())
    }
}
