//! The call's entry in the person's GHL conversation, where a call provider is
//! configured. Written once; what is learnt later goes into the notes.

use super::forms::FORMS;
use super::story::Story;
use crate::domain::{Entity, Failure, Flow, GhlContactId, LogEntry, PhoneHint, SyncStatus};
use crate::loops::Intent;
use crate::store::effects::{Confirmed, Prior};
use crate::sync::{Desk, Ledger, ghl_failed};
use crate::vendors::ghl::{CallRecord, CallStatus};
use crate::vendors::{GhlClient, VendorError};
use crate::wire::aloware::{Delivery, Kind};

/// How a refused entry is remembered: it is not tried again.
const REFUSED: &str = "refused";

/// Brings the call into the conversation. GHL's refusal for good (a provider it
/// does not know, another phone than the contact's, a scope the token lacks) is
/// one row in the log, and no reason to fail a delivery whose notes are written.
pub(super) async fn put(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    story: &Story<'_>,
    in_place: &[Confirmed],
) -> Result<Option<LogEntry>, Failure> {
    let ghl = &desk.vendors.ghl;
    let step = story.step("entry");
    if !ghl.has_calls() || !story.has_ended() || in_place.iter().any(|done| done.step == step) {
        return Ok(None);
    }
    let rules = &desk.rules;
    let Some(record) = record(story, contact, &rules.hint, rules.recording_links) else {
        return Ok(None);
    };
    let (prior, intent) = ledger.announce(&step, &[]).await?;
    match write(ghl, &intent, prior, &record).await {
        Ok(id) => {
            ledger.confirm(&intent, id, None);
            Ok(None)
        }
        Err(error) if is_final(&error) => {
            ledger.confirm(&intent, None, Some(REFUSED.to_owned()));
            let reason = format!("call entry: {error}");
            let mut row = LogEntry::skipped(Flow::AlowareToGhl, Entity::Call, &record.alt_id, reason);
            row.status = SyncStatus::Error;
            Ok(Some(row.with_target(contact.as_str())))
        }
        Err(error) => Err(ghl_failed(error)),
    }
}

/// The entry's id, written now or found where an earlier run left it.
async fn write(
    ghl: &GhlClient,
    intent: &Intent,
    prior: Prior,
    record: &CallRecord,
) -> Result<Option<String>, VendorError> {
    let known = match prior {
        Prior::Done { vendor_id, .. } => return Ok(vendor_id),
        Prior::Unconfirmed { ago } => ghl.find_call(record, ago).await?,
        Prior::Fresh => None,
    };
    match known {
        Some(id) => Ok(Some(id)),
        None => ghl.record_call(intent, record).await.map(Some),
    }
}

/// Whether trying the entry again would change nothing.
fn is_final(error: &VendorError) -> bool {
    matches!(
        error,
        VendorError::Rejected { .. }
            | VendorError::Unprocessable { .. }
            | VendorError::Incomplete { .. }
            | VendorError::OutOfScope
            | VendorError::Forbidden
            | VendorError::NotFound
    )
}

/// Nothing without a direction or a number: GHL asks for both.
fn record(story: &Story<'_>, contact: &GhlContactId, hint: &PhoneHint, links: bool) -> Option<CallRecord> {
    let of_call = Kind::CallEnded;
    let recording = FORMS.iter().find(|form| form.kind == Kind::Recording);
    Some(CallRecord {
        contact: contact.clone(),
        direction: story.direction()?,
        consumer: story.person(hint).phone?,
        ours: story.fact(of_call, |delivery| delivery.our_number(hint)),
        status: story.fact(of_call, status).unwrap_or(CallStatus::Completed),
        date: story.fact(of_call, Delivery::created_at)?,
        alt_id: story.id().to_owned(),
        recording: recording.filter(|_| links).and_then(|form| story.content(form)),
    })
}

/// Aloware's outcome by its code, else by its word (vendors/aloware.md 3.6).
fn status(delivery: &Delivery<'_>) -> Option<CallStatus> {
    if delivery.kind == Kind::CallStarted {
        return None;
    }
    let word = delivery
        .told_text(&["disposition_status", "status"])
        .unwrap_or_default();
    match (
        delivery.told_integer(&["disposition_status2"]),
        word.to_lowercase().as_str(),
    ) {
        (Some(2), _) | (None, "abandoned") => Some(CallStatus::Canceled),
        (Some(3), _) | (None, "missed") => Some(CallStatus::NoAnswer),
        (Some(4), _) | (None, "completed") => Some(CallStatus::Completed),
        (Some(5..=7), _) | (None, "failed" | "dead-end" | "invalid") => Some(CallStatus::Failed),
        (Some(12 | 13), _) | (None, "voicemail") => Some(CallStatus::Voicemail),
        _ => None,
    }
}
