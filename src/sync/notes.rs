//! Notes: written once, found again by their marker, updated in place.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use super::{Desk, Ledger, ghl_failed};
use crate::domain::{Failure, GhlContactId};
use crate::loops::Intent;
use crate::store::effects::Prior;
use crate::vendors::VendorError;

/// The last line of a note of ours: tells which delivery wrote it, so that a
/// note whose confirmation was lost in a crash is found instead of repeated.
pub(super) fn marker(kind: &str, id: &str) -> String {
    format!("[df:{kind}:{id}]")
}

/// One format and one zone for all notes: `2026-08-05 20:58 UTC`.
pub(super) fn stamp(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M %Z").to_string()
}

/// What a content is compared by.
pub(super) fn fingerprint(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// A note to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note<'a> {
    /// Its name in the ledger.
    pub(super) step: &'a str,
    /// What it is found by.
    pub(super) marker: &'a str,
    /// Its text, the marker included.
    pub(super) body: &'a str,
}

/// Brings a note to its text and answers its id: created once, updated when a
/// later delivery knows more.
pub(super) async fn put(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    note: Note<'_>,
) -> Result<String, Failure> {
    let announced = ledger.announce(note.step, &[]).await?;
    put_announced(desk, ledger, contact, note, announced).await
}

/// Brings a note whose writing was announced to its text.
pub(super) async fn put_announced(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    note: Note<'_>,
    (prior, intent): (Prior, Intent),
) -> Result<String, Failure> {
    let Note { marker, body, .. } = note;
    let print = fingerprint(body);
    let ghl = &desk.vendors.ghl;
    let existing = match prior {
        Prior::Fresh => None,
        Prior::Done {
            vendor_id: Some(id),
            fingerprint,
        } if fingerprint.as_deref() == Some(print.as_str()) => return Ok(id),
        Prior::Done { vendor_id, .. } => vendor_id,
        Prior::Unconfirmed { .. } => {
            let notes = ghl.list_notes(contact).await.map_err(|e| gone(e, contact))?;
            match notes.into_iter().find(|note| note.body.contains(marker)) {
                Some(note) if note.body == body => {
                    ledger.confirm(&intent, Some(note.id.clone()), Some(print));
                    return Ok(note.id);
                }
                found => found.map(|note| note.id),
            }
        }
    };
    let updated = match &existing {
        Some(id) => match ghl.update_note(&intent, contact, id, body).await {
            Ok(()) => existing.clone(),
            // Somebody deleted the note: write it anew. If it was the contact
            // that is gone, the creation says so.
            Err(VendorError::NotFound) => None,
            Err(error) => return Err(ghl_failed(error)),
        },
        None => None,
    };
    let id = match updated {
        Some(id) => id,
        None => ghl
            .create_note(&intent, contact, body)
            .await
            .map_err(|e| gone(e, contact))?,
    };
    ledger.confirm(&intent, Some(id.clone()), Some(print));
    Ok(id)
}

/// The failure text by which a run says that GHL no longer has a contact.
const GONE: &str = "ghl contact gone";

/// A mapped contact that GHL no longer has fails the run; the router then
/// forgets the mapping and the next run finds the person anew.
pub(super) fn gone(error: VendorError, contact: &GhlContactId) -> Failure {
    match error {
        VendorError::NotFound => Failure::transient(format!("{GONE}: {contact}")),
        other => ghl_failed(other),
    }
}

/// The contact a failure says is gone.
pub(super) fn gone_contact(failure: &Failure) -> Option<GhlContactId> {
    let id = failure.reason().strip_prefix(GONE)?.strip_prefix(": ")?;
    GhlContactId::new(id)
}
