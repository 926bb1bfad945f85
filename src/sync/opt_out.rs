//! STOP and START, carried to GHL: tags and the SMS channel's do-not-disturb.
//! The registry was changed in the commit that stored the delivery; this is
//! the rest of the world learning it.

use chrono::{DateTime, Utc};

use super::person::{Someone, find_or_create, mapped};
use super::{Desk, Flowed, Ledger, notes, tags};
use crate::domain::{Cause, ConsentChange, Dnd, Entity, Event, Failure, Flow, GhlContactId, LogEntry, Move, Phone};
use crate::loops::echo;
use crate::store::effects::Echo;
use crate::store::{StoreError, opt_outs};

/// What a blocked contact carries in GHL.
const TAGS: [&str; 2] = ["DNC-SMS", "SMS Opted Out"];

fn tags() -> Vec<String> {
    TAGS.iter().map(|tag| (*tag).to_owned()).collect()
}

/// Marks the person as opted out in GHL; creates the contact if there is none,
/// so that nobody can text the number from the CRM either. A STOP that a later
/// START has already overtaken changes nothing.
pub async fn stop_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, flow: Flow, phone: &Phone, event: &Event) -> Flowed {
    if opt_outs::active_causes(&desk.db.client().await?, phone)
        .await?
        .is_empty()
    {
        return Ok(vec![skipped(flow, event, "a later START holds")]);
    }
    let someone = Someone::with_phone(phone);
    let Some(contact) = find_or_create(desk, ledger, &someone, "bidirectional").await? else {
        return Ok(vec![skipped(flow, event, "own_number")]);
    };
    let step = format!("optout:{}", event.id);
    set_dnd(desk, ledger, &contact, &step, true).await?;
    tags::put(desk, ledger, &contact, &format!("{step}:tags"), &tags()).await?;
    Ok(vec![
        LogEntry::success(flow, Entity::OptOut, &event.entity_id, contact.as_str()).with_message("STOP"),
    ])
}

/// A STOP written through GHL in a delivery without a number: the contact tells
/// whose it is, and the registry learns it now.
pub async fn stop_by_contact(desk: &Desk, ledger: &mut Ledger<'_>, id: &GhlContactId, event: &Event) -> Flowed {
    let contact = desk.vendors.ghl.get_contact(id).await.map_err(|e| notes::gone(e, id))?;
    let Some(phone) = contact.phone else {
        return Ok(vec![skipped(
            Flow::GhlToAloware,
            event,
            "the contact has no phone number",
        )]);
    };
    let change = ConsentChange {
        phone: phone.clone(),
        cause: Cause::ConsumerStop,
        action: Move::Block,
        source: "ghl",
        reason: "STOP".to_owned(),
        evidence: None,
        occurred_at: event.received_at,
        unless_echo: None,
    };
    record(desk, &change).await?;
    stop_to_ghl(desk, ledger, Flow::GhlToAloware, &phone, event).await
}

/// A do-not-disturb change in a delivery that does not show it, or shows no number:
/// the registry learns what GHL holds of the contact now.
pub async fn dnd_by_contact(desk: &Desk, id: &GhlContactId, told_at: Option<DateTime<Utc>>, event: &Event) -> Flowed {
    let skipped = |reason: &str| {
        let entry = LogEntry::skipped(Flow::GhlToAloware, Entity::Contact, &event.entity_id, reason);
        Ok(vec![entry])
    };
    let contact = desk.vendors.ghl.get_contact(id).await.map_err(|e| notes::gone(e, id))?;
    let Some(phone) = contact.phone else {
        return skipped("the contact has no phone number");
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
    let on = dnd.blocks_texts();
    let change = ConsentChange {
        phone,
        cause: Cause::CrmDnd,
        action: if on { Move::Block } else { Move::Lift },
        source: "ghl",
        reason: if on { "DND" } else { "DND off" }.to_owned(),
        evidence: None,
        occurred_at: told_at.map_or(event.received_at, |at| at.min(event.received_at)),
        unless_echo: None,
    };
    record(desk, &change).await?;
    skipped("do-not-disturb recorded in the registry")
}

/// Tells the registry what a delivery said of somebody whose number it did not name.
pub(super) async fn record(desk: &Desk, change: &ConsentChange) -> Result<(), Failure> {
    let mut client = desk.db.client().await?;
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    opt_outs::apply(&transaction, &[change]).await?;
    Ok(transaction.commit().await.map_err(StoreError::from)?)
}

/// Takes the marks away again, unless another cause still blocks the number:
/// START reverses what STOP did and nothing else.
pub async fn start_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, flow: Flow, phone: &Phone, event: &Event) -> Flowed {
    let causes = opt_outs::active_causes(&desk.db.client().await?, phone).await?;
    if !causes.is_empty() {
        let names: Vec<&str> = causes.iter().copied().map(Cause::as_str).collect();
        return Ok(vec![skipped(
            flow,
            event,
            &format!("still blocked: {}", names.join(", ")),
        )]);
    }
    let Some(mapping) = mapped(desk, &Someone::with_phone(phone)).await? else {
        return Ok(vec![skipped(flow, event, "No contact mapping found")]);
    };
    let step = format!("optin:{}", event.id);
    set_dnd(desk, ledger, &mapping.ghl, &step, false).await?;
    take_tags(desk, ledger, &mapping.ghl, &format!("{step}:tags"), &tags()).await?;
    let entry = LogEntry::success(flow, Entity::OptOut, &event.entity_id, mapping.ghl.as_str());
    Ok(vec![entry.with_message("START")])
}

fn skipped(flow: Flow, event: &Event, reason: &str) -> LogEntry {
    LogEntry::skipped(flow, Entity::OptOut, &event.entity_id, reason)
}

/// Sets the SMS channel, keeping the others as GHL has them now.
async fn set_dnd(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
    blocked: bool,
) -> Result<(), Failure> {
    let current = desk
        .vendors
        .ghl
        .get_contact(contact)
        .await
        .map_err(|e| notes::gone(e, contact))?;
    let dnd: Dnd = current.dnd.unwrap_or_default();
    if dnd.channel_blocked("SMS") == blocked {
        return Ok(());
    }
    let echo = Echo {
        vendor: "ghl",
        entity_id: contact.to_string(),
        fingerprint: echo::text_dnd(blocked),
        replaces: echo::text_dnd(!blocked),
    };
    let (_, intent) = ledger.announce(&format!("{step}:dnd"), &[echo]).await?;
    let message = if blocked {
        echo::OPTED_OUT_MARK
    } else {
        "Opted in by text"
    };
    desk.vendors
        .ghl
        .set_text_dnd(&intent, contact, &dnd, blocked, message)
        .await
        .map_err(|e| notes::gone(e, contact))?;
    ledger.confirm(&intent, Some(contact.to_string()), None);
    Ok(())
}

/// Removes tags; removing what is not there is harmless.
pub(super) async fn take_tags(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
    tags: &[String],
) -> Result<(), Failure> {
    let echoes: Vec<Echo> = tags
        .iter()
        .map(|tag| Echo {
            vendor: "ghl",
            entity_id: contact.to_string(),
            fingerprint: echo::tag_removed(tag),
            replaces: echo::tag_added(tag),
        })
        .collect();
    let (_, intent) = ledger.announce(step, &echoes).await?;
    desk.vendors
        .ghl
        .remove_tags(&intent, contact, tags)
        .await
        .map_err(|e| notes::gone(e, contact))?;
    ledger.confirm(&intent, Some(contact.to_string()), None);
    Ok(())
}
