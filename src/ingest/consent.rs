//! What a delivery says about consent, found at ingest so that it is stored in
//! the delivery's own commit: before the answer, before dedupe, before the queue.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::compliance::{Kind as Word, decide};
use crate::domain::{
    AlowareContact, Cause, ConsentChange, Entity, GhlContact, Move, Phone, PhoneHint, TextDirection, VendorSignal,
};
use crate::loops::echo;
use crate::wire::{aloware, ghl, texting};

/// Longest evidence text kept, in characters.
const EVIDENCE: usize = 1000;

/// A change of consent that a delivery tells. Whose number it is about the
/// delivery may leave out; a mapping can know it.
#[derive(Clone, Debug)]
pub struct Said {
    cause: Cause,
    action: Move,
    source: &'static str,
    reason: &'static str,
    evidence: Option<String>,
    occurred_at: DateTime<Utc>,
    unless_echo: Option<(String, String)>,
}

impl Said {
    /// Whether it is a consumer's STOP.
    pub(super) fn is_stop(&self) -> bool {
        (self.cause, self.action) == (Cause::ConsumerStop, Move::Block)
    }

    /// The change, of this number's consent.
    pub(super) fn of(&self, phone: &Phone) -> ConsentChange {
        ConsentChange {
            phone: phone.clone(),
            cause: self.cause,
            action: self.action,
            source: self.source,
            reason: self.reason.to_owned(),
            evidence: self.evidence.clone(),
            occurred_at: self.occurred_at,
            unless_echo: self.unless_echo.clone(),
            decided_by: None,
        }
    }
}

/// STOP and START in an inbound text, and what a person must read first. Only the
/// consumer's own START lifts, and only what a STOP set: ours, and the one the
/// texting vendor keeps. If the vendor still refuses the number, its next answer
/// blocks it again.
fn from_text(body: &str, signal: Option<VendorSignal>, source: &'static str, at: DateTime<Utc>) -> Vec<Said> {
    let verdict = decide(body, signal);
    let (cause, action, reason) = match verdict.kind {
        Word::Stop => (Cause::ConsumerStop, Move::Block, "STOP"),
        Word::Start => (Cause::ConsumerStop, Move::Lift, "START"),
        Word::Review => (Cause::PendingReview, Move::Block, verdict.rule),
        Word::Help | Word::None => return Vec::new(),
    };
    let change = Said {
        cause,
        action,
        source,
        reason,
        evidence: Some(body.replace('\0', "").chars().take(EVIDENCE).collect()),
        occurred_at: at,
        unless_echo: None,
    };
    if action == Move::Lift && source == "texting" {
        let vendors = Said {
            cause: Cause::VendorBlock,
            ..change.clone()
        };
        return vec![change, vendors];
    }
    vec![change]
}

/// Consent in a texting delivery, of its consumer. A piece of a text says nothing
/// before all of it is there.
pub(super) fn of_texting(delivery: &texting::Delivery, own: &[Phone], now: DateTime<Utc>) -> Vec<Said> {
    let at = delivery.occurred_at.map_or(now, |t| t.min(now));
    let body = delivery.body.as_deref().unwrap_or_default();
    let inbound = delivery.heading(own) == Some(TextDirection::Inbound);
    match delivery.kind {
        texting::Kind::Status(_) if delivery.signal == Some(VendorSignal::Stop) => {
            vec![block(
                Cause::VendorBlock,
                "texting",
                "blocked by STOP at the vendor",
                at,
            )]
        }
        // The report of an opt-out is about its number, whichever side names it.
        texting::Kind::OptOutStop | texting::Kind::OptOutStart => from_text(body, delivery.signal, "texting", at),
        _ if inbound && !delivery.is_piece() => {
            let said = from_text(body, delivery.signal, "texting", at);
            if delivery.unsigned { doubted(said) } else { said }
        }
        _ => Vec::new(),
    }
}

/// Whoever learns the address of a vendor that signs nothing can write a START
/// there: a person of ours reads it first (vendors/texting.md 2.1).
fn doubted(said: Vec<Said>) -> Vec<Said> {
    let (lifts, mut said): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.action == Move::Lift);
    said.extend(lifts.into_iter().take(1).map(|start| Said {
        cause: Cause::PendingReview,
        action: Move::Block,
        reason: "unsigned_start",
        ..start
    }));
    said
}

/// A STOP of which nobody knows who wrote it to whom: it counts for the sender it
/// names, unless that is us. Whoever it was, they are not texted.
pub(super) fn of_undecided(delivery: &texting::Delivery, own: &[Phone], now: DateTime<Utc>) -> Vec<ConsentChange> {
    let Some(sender) = delivery.from.as_ref().filter(|phone| !own.contains(phone)) else {
        return Vec::new();
    };
    let at = delivery.occurred_at.map_or(now, |t| t.min(now));
    let said = from_text(
        delivery.body.as_deref().unwrap_or_default(),
        delivery.signal,
        "texting",
        at,
    );
    let stops = said.iter().filter(|said| said.action == Move::Block);
    stops.map(|said| said.of(sender)).collect()
}

/// Consent in an Aloware delivery: its own inbound texts, its opt-out flag and
/// its do-not-call flag. What is said of one of our own lines is nobody's.
pub(super) fn of_aloware(
    delivery: &aloware::Delivery<'_>,
    contact: &AlowareContact,
    payload: &Value,
    own: &[Phone],
    now: DateTime<Utc>,
) -> Vec<Said> {
    if contact.phone.as_ref().is_some_and(|phone| own.contains(phone)) {
        return Vec::new();
    }
    let at = delivery
        .updated_at()
        .or_else(|| delivery.created_at())
        .map_or(now, |t| t.min(now));
    let mut changes = Vec::new();
    if delivery.kind == aloware::Kind::Text && delivery.direction() == Some(TextDirection::Inbound) {
        let body = delivery.message_text().unwrap_or_default();
        changes.extend(from_text(&body, None, "aloware", at));
    }
    // The flag is news where it can have changed; every later call repeats it.
    let telling = matches!(delivery.kind.entity(), Entity::Message | Entity::Contact);
    let told = changes.iter().any(|change| change.cause == Cause::ConsumerStop);
    if contact.is_opted_out == Some(true) && !told && telling {
        changes.push(block(Cause::ConsumerStop, "aloware", "STOP", at));
    }
    if delivery.kind == aloware::Kind::ContactDnc {
        match delivery.dnc(payload) {
            Some(true) => changes.push(Said {
                unless_echo: contact.id.as_ref().map(|id| (id.to_string(), echo::do_not_call(true))),
                ..block(Cause::VoiceDnc, "aloware", "DNC Updated", at)
            }),
            Some(false) => changes.push(Said {
                action: Move::Lift,
                ..block(Cause::VoiceDnc, "aloware", "DNC Removed", at)
            }),
            None => {}
        }
    }
    changes
}

/// Consent in a GHL delivery: texts that came in through GHL, and do-not-disturb.
pub(super) fn of_ghl(
    delivery: &ghl::Delivery<'_>,
    contact: GhlContact,
    hint: &PhoneHint,
    own: &[Phone],
    now: DateTime<Utc>,
) -> Vec<Said> {
    let at = delivery.sent_at().map_or(now, |t| t.min(now));
    let inbound = delivery.direction() == Some(TextDirection::Inbound);
    let text = delivery.message_text();
    let shown = if text.is_some() {
        delivery.consumer(hint)
    } else {
        contact.phone
    };
    if shown.is_some_and(|phone| own.contains(&phone)) {
        return Vec::new();
    }
    if let (true, Some(body)) = (inbound, text) {
        return from_text(&body, None, "ghl", at);
    }
    let Some(dnd) = contact.dnd else {
        return Vec::new();
    };
    let id = contact.id.map(|id| id.to_string()).unwrap_or_default();
    if echo::is_own_mark(&dnd) {
        // Our own block, shown again because something else of the contact changed.
        return Vec::new();
    }
    match (delivery.kind, dnd.blocks_texts()) {
        (ghl::Kind::DndChanged, true) => vec![Said {
            // A whole-contact DND is never our write; the channel's may be.
            unless_echo: (dnd.all != Some(true)).then(|| (id, echo::text_dnd_of(&dnd))),
            ..block(Cause::CrmDnd, "ghl", "DND", at)
        }],
        (ghl::Kind::DndChanged, false) => vec![Said {
            action: Move::Lift,
            ..block(Cause::CrmDnd, "ghl", "DND off", at)
        }],
        (ghl::Kind::ContactCreated | ghl::Kind::ContactUpdated, true) if dnd.all == Some(true) => {
            vec![block(Cause::CrmDnd, "ghl", "DND", at)]
        }
        _ => Vec::new(),
    }
}

fn block(cause: Cause, source: &'static str, reason: &'static str, at: DateTime<Utc>) -> Said {
    Said {
        cause,
        action: Move::Block,
        source,
        reason,
        evidence: None,
        occurred_at: at,
        unless_echo: None,
    }
}
