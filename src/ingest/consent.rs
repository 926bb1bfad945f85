//! What a delivery says about consent, found at ingest so that it is stored in
//! the delivery's own commit: before the answer, before dedupe, before the queue.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::compliance::{Kind as Word, VendorSignal, decide};
use crate::domain::{AlowareContact, Cause, ConsentChange, Entity, GhlContact, Move, Phone, PhoneHint, TextDirection};
use crate::loops::echo;
use crate::wire::{aloware, ghl, texting};

/// Longest evidence text kept, in characters.
const EVIDENCE: usize = 1000;

/// STOP and START in an inbound text. Only the consumer's own START lifts, and
/// only what a STOP set: ours, and the one the texting vendor keeps. If the
/// vendor still refuses the number, its next answer blocks it again.
fn from_text(
    phone: &Phone,
    body: &str,
    signal: Option<VendorSignal>,
    source: &'static str,
    at: DateTime<Utc>,
) -> Vec<ConsentChange> {
    let action = match decide(body, signal).kind {
        Word::Stop => Move::Block,
        Word::Start => Move::Lift,
        Word::Help | Word::Review | Word::None => return Vec::new(),
    };
    let change = ConsentChange {
        phone: phone.clone(),
        cause: Cause::ConsumerStop,
        action,
        source,
        reason: if action == Move::Block { "STOP" } else { "START" }.to_owned(),
        evidence: Some(body.replace('\0', "").chars().take(EVIDENCE).collect()),
        occurred_at: at,
        unless_echo: None,
    };
    if action == Move::Lift && source == "texting" {
        let vendors = ConsentChange {
            cause: Cause::VendorBlock,
            ..change.clone()
        };
        return vec![change, vendors];
    }
    vec![change]
}

/// STOP and START in a text that came through GHL without a number.
pub(super) fn of_words(phone: &Phone, words: &str, at: DateTime<Utc>) -> Vec<ConsentChange> {
    from_text(phone, words, None, "ghl", at)
}

/// Consent in a texting delivery.
pub(super) fn of_texting(delivery: &texting::Delivery, own: &[Phone], now: DateTime<Utc>) -> Vec<ConsentChange> {
    let at = delivery.occurred_at.map_or(now, |t| t.min(now));
    let body = delivery.body.as_deref().unwrap_or_default();
    let signal = match delivery.kind {
        texting::Kind::OptOutStop => Some(VendorSignal::Stop),
        texting::Kind::OptOutStart => Some(VendorSignal::Start),
        texting::Kind::Received => None,
        texting::Kind::Status("failed") if opted_out_code(delivery.error_code.as_deref()) => {
            return delivery
                .consumer(own)
                .map(|phone| {
                    block(
                        phone,
                        Cause::VendorBlock,
                        "texting",
                        "blocked by STOP at the vendor",
                        at,
                    )
                })
                .into_iter()
                .collect();
        }
        texting::Kind::Sent | texting::Kind::Status(_) | texting::Kind::Other
            if delivery.direction != Some(TextDirection::Inbound) =>
        {
            return Vec::new();
        }
        texting::Kind::Sent | texting::Kind::Status(_) | texting::Kind::Other => None,
    };
    delivery
        .consumer(own)
        .map(|phone| from_text(phone, body, signal, "texting", at))
        .unwrap_or_default()
}

/// Error codes with which a vendor says "the recipient opted out"
/// (vendors/texting.md 3.6: Telnyx 40300, Twilio 21610, Bandwidth 4775).
fn opted_out_code(code: Option<&str>) -> bool {
    matches!(code, Some("40300" | "21610" | "4775"))
}

/// Consent in an Aloware delivery: its own inbound texts, its opt-out flag and
/// its do-not-call flag.
pub(super) fn of_aloware(
    delivery: &aloware::Delivery<'_>,
    contact: &AlowareContact,
    payload: &Value,
    own: &[Phone],
    now: DateTime<Utc>,
) -> Vec<ConsentChange> {
    let Some(phone) = contact.phone.as_ref().filter(|phone| !own.contains(phone)) else {
        return Vec::new();
    };
    let at = delivery
        .updated_at()
        .or_else(|| delivery.created_at())
        .map_or(now, |t| t.min(now));
    let mut changes = Vec::new();
    if delivery.kind == aloware::Kind::Text && delivery.direction() == Some(TextDirection::Inbound) {
        let body = delivery.message_text().unwrap_or_default();
        changes.extend(from_text(phone, &body, None, "aloware", at));
    }
    // The flag is news where it can have changed; every later call repeats it.
    let telling = matches!(delivery.kind.entity(), Entity::Message | Entity::Contact);
    if contact.is_opted_out == Some(true) && changes.is_empty() && telling {
        changes.push(block(phone, Cause::ConsumerStop, "aloware", "STOP", at));
    }
    if delivery.kind == aloware::Kind::ContactDnc {
        match delivery.dnc(payload) {
            Some(true) => changes.push(block(phone, Cause::VoiceDnc, "aloware", "DNC Updated", at)),
            Some(false) => changes.push(ConsentChange {
                action: Move::Lift,
                ..block(phone, Cause::VoiceDnc, "aloware", "DNC Removed", at)
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
) -> Vec<ConsentChange> {
    let at = delivery.sent_at().map_or(now, |t| t.min(now));
    let inbound = delivery.direction() == Some(TextDirection::Inbound);
    if let (true, Some(body), Some(phone)) = (inbound, delivery.message_text(), delivery.consumer(hint)) {
        if own.contains(&phone) {
            return Vec::new();
        }
        return from_text(&phone, &body, None, "ghl", at);
    }
    let (Some(phone), Some(dnd)) = (contact.phone, contact.dnd) else {
        return Vec::new();
    };
    let id = contact.id.map(|id| id.to_string()).unwrap_or_default();
    if dnd.all != Some(true) && dnd.text_message.as_deref() == Some(echo::OPTED_OUT_MARK) {
        // Our own block, shown again because something else of the contact changed.
        return Vec::new();
    }
    match (delivery.kind, dnd.blocks_texts()) {
        (ghl::Kind::DndChanged, true) => vec![ConsentChange {
            // A whole-contact DND is never our write; the channel's may be.
            unless_echo: (dnd.all != Some(true)).then(|| (id, echo::text_dnd_of(&dnd))),
            ..block(&phone, Cause::CrmDnd, "ghl", "DND", at)
        }],
        (ghl::Kind::DndChanged, false) => vec![ConsentChange {
            action: Move::Lift,
            ..block(&phone, Cause::CrmDnd, "ghl", "DND off", at)
        }],
        (ghl::Kind::ContactCreated | ghl::Kind::ContactUpdated, true) if dnd.all == Some(true) => {
            vec![block(&phone, Cause::CrmDnd, "ghl", "DND", at)]
        }
        _ => Vec::new(),
    }
}

fn block(phone: &Phone, cause: Cause, source: &'static str, reason: &str, at: DateTime<Utc>) -> ConsentChange {
    ConsentChange {
        phone: phone.clone(),
        cause,
        action: Move::Block,
        source,
        reason: reason.to_owned(),
        evidence: None,
        occurred_at: at,
        unless_echo: None,
    }
}
