//! STOP and START, carried to the other systems. The registry was changed in the
//! commit that stored the delivery; this is the rest of the world learning it.

use chrono::{DateTime, Utc};

use super::opt_out_ghl::{Marks, mark, unmark};
use super::person::{Someone, find_or_create, mapped};
use super::{Desk, Flowed, Ledger, notes, opt_out_aloware};
use crate::domain::{
    Cause, ConsentChange, Entity, Event, Failure, Flow, GhlContact, GhlContactId, LogEntry, Move, Phone, Source,
};
use crate::loops::echo;
use crate::store::{opt_out_deliveries, opt_outs};

/// Carries a STOP on: marks the person in GHL, creating the contact if there is
/// none, so that nobody can text the number from the CRM either; and takes the
/// person off the dialer, unless the dialer itself told us. A STOP that a later
/// START has already overtaken changes nothing. That one system cannot be reached
/// keeps the other from nothing.
pub async fn stop(desk: &Desk, ledger: &mut Ledger<'_>, flow: Flow, phone: &Phone, event: &Event) -> Flowed {
    let client = desk.db.client().await?;
    let causes = opt_outs::opted_out(&client, phone).await?;
    if causes.is_empty() {
        let why = "a later START holds";
        opt_out_deliveries::waive(&client, event.id, None, why).await?;
        return Ok(vec![skipped(flow, event, why)]);
    }
    drop(client);
    let crm = stop_in_ghl(desk, ledger, flow, phone, event, &causes).await;
    let dialer = match flow {
        Flow::AlowareToGhl => Ok(None),
        _ => opt_out_aloware::stop(desk, ledger, phone, event).await,
    };
    Ok(vec![remarked(crm?, dialer?)])
}

async fn stop_in_ghl(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    flow: Flow,
    phone: &Phone,
    event: &Event,
    causes: &[Cause],
) -> Result<LogEntry, Failure> {
    if desk.rules.own.contains(phone) {
        return Ok(skipped(flow, event, "own_number"));
    }
    let client = desk.db.client().await?;
    opt_out_deliveries::request(&client, event, Source::Ghl, phone, Move::Block).await?;
    drop(client);
    let someone = Someone::with_phone(phone);
    let Some(contact) = find_or_create(desk, ledger, &someone, "bidirectional").await? else {
        return Ok(skipped(flow, event, "own_number"));
    };
    let step = format!("optout:{}", event.id);
    let proof = mark(desk, ledger, &contact, &step, &Marks::of(causes)).await?;
    let client = desk.db.client().await?;
    opt_out_deliveries::confirm(&client, event.id, Source::Ghl, &proof).await?;
    Ok(LogEntry::success(flow, Entity::OptOut, &event.entity_id, contact.as_str()).with_message("STOP"))
}

/// An event has one row: what became of it in the dialer stands beside it.
fn remarked(entry: LogEntry, remark: Option<&str>) -> LogEntry {
    let Some(remark) = remark else { return entry };
    let message = format!("{}; Aloware: {remark}", entry.message.as_deref().unwrap_or_default());
    entry.with_message(message)
}

/// A STOP written through GHL in a delivery without a number: the contact tells
/// whose it is, and the registry learns it now.
pub async fn stop_by_contact(desk: &Desk, ledger: &mut Ledger<'_>, id: &GhlContactId, event: &Event) -> Flowed {
    let contact = asked(desk, id).await?;
    let Some(phone) = contact.phone else {
        return Ok(vec![skipped(Flow::GhlToAloware, event, NO_PHONE)]);
    };
    let stop = reported(&phone, Cause::ConsumerStop, Move::Block, "STOP", event.received_at);
    record(desk, &stop).await?;
    self::stop(desk, ledger, Flow::GhlToAloware, &phone, event).await
}

/// As [`stop_by_contact`], of a text that a person must read: `rule` found it.
pub async fn review_by_contact(
    desk: &Desk,
    id: &GhlContactId,
    (rule, body): (&str, &str),
    told_at: Option<DateTime<Utc>>,
    event: &Event,
) -> Flowed {
    let contact = asked(desk, id).await?;
    let Some(phone) = contact.phone.filter(|phone| !desk.rules.own.contains(phone)) else {
        return Ok(vec![skipped(Flow::GhlToAloware, event, NO_PHONE)]);
    };
    let at = told_at.map_or(event.received_at, |at| at.min(event.received_at));
    let hold = ConsentChange {
        evidence: Some(body.chars().take(EVIDENCE).collect()),
        ..reported(&phone, Cause::PendingReview, Move::Block, rule, at)
    };
    record(desk, &hold).await?;
    Ok(vec![skipped(
        Flow::GhlToAloware,
        event,
        "held until a person has read it",
    )])
}

/// A do-not-disturb change in a delivery that does not show it, or shows no number:
/// the registry learns what GHL holds of the contact now.
pub async fn dnd_by_contact(desk: &Desk, id: &GhlContactId, told_at: Option<DateTime<Utc>>, event: &Event) -> Flowed {
    let skipped = |reason: &str| {
        let entry = LogEntry::skipped(Flow::GhlToAloware, Entity::Contact, &event.entity_id, reason);
        Ok(vec![entry])
    };
    let contact = asked(desk, id).await?;
    let Some(phone) = contact.phone else {
        return skipped(NO_PHONE);
    };
    if desk.rules.own.contains(&phone) {
        return skipped("own_number");
    }
    let Some(dnd) = contact.dnd else {
        return skipped("the contact shows no do-not-disturb");
    };
    if echo::is_own_mark(&dnd) {
        return skipped("our own do-not-disturb");
    }
    let (action, reason) = match dnd.blocks_texts() {
        true => (Move::Block, "DND"),
        false => (Move::Lift, "DND off"),
    };
    let at = told_at.map_or(event.received_at, |at| at.min(event.received_at));
    record(desk, &reported(&phone, Cause::CrmDnd, action, reason, at)).await?;
    skipped("do-not-disturb recorded in the registry")
}

/// Longest evidence kept, in characters: as at ingest.
const EVIDENCE: usize = 1000;

const NO_PHONE: &str = "the contact has no phone number";

async fn asked(desk: &Desk, id: &GhlContactId) -> Result<GhlContact, Failure> {
    desk.vendors.ghl.get_contact(id).await.map_err(|e| notes::gone(e, id))
}

fn reported(phone: &Phone, cause: Cause, action: Move, reason: &str, at: DateTime<Utc>) -> ConsentChange {
    ConsentChange {
        phone: phone.clone(),
        cause,
        action,
        source: "ghl",
        reason: reason.to_owned(),
        evidence: None,
        occurred_at: at,
        unless_echo: None,
        decided_by: None,
    }
}

/// Tells the registry what a delivery said of somebody whose number it did not name.
pub(super) async fn record(desk: &Desk, change: &ConsentChange) -> Result<(), Failure> {
    Ok(opt_outs::record(&mut desk.db.client().await?, change).await?)
}

/// Takes the marks away again, unless another cause still blocks the number:
/// START reverses what STOP did and nothing else.
pub async fn start(desk: &Desk, ledger: &mut Ledger<'_>, flow: Flow, phone: &Phone, event: &Event) -> Flowed {
    let causes = opt_outs::opted_out(&desk.db.client().await?, phone).await?;
    if !causes.is_empty() {
        let names: Vec<&str> = causes.iter().copied().map(Cause::as_str).collect();
        let why = format!("still blocked: {}", names.join(", "));
        return Ok(vec![skipped(flow, event, &why)]);
    }
    let Some(mapping) = mapped(desk, &Someone::with_phone(phone)).await? else {
        return Ok(vec![skipped(flow, event, "No contact mapping found")]);
    };
    let client = desk.db.client().await?;
    opt_out_deliveries::request(&client, event, Source::Ghl, phone, Move::Lift).await?;
    drop(client);
    let step = format!("optin:{}", event.id);
    let proof = unmark(desk, ledger, &mapping.ghl, &step).await?;
    let client = desk.db.client().await?;
    opt_out_deliveries::confirm(&client, event.id, Source::Ghl, &proof).await?;
    let entry = LogEntry::success(flow, Entity::OptOut, &event.entity_id, mapping.ghl.as_str());
    let told = opt_out_deliveries::dialer_was_told(&client, phone).await?;
    Ok(vec![remarked(
        entry.with_message("START"),
        told.then_some(opt_out_aloware::STAYS),
    )])
}

fn skipped(flow: Flow, event: &Event, reason: &str) -> LogEntry {
    LogEntry::skipped(flow, Entity::OptOut, &event.entity_id, reason)
}
