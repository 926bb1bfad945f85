//! Aloware's do-not-call flag → tags on the GHL contact. The registry was
//! already changed when the delivery was stored, if that named the number.

use serde_json::json;

use super::opt_out::record;
use super::opt_out_ghl::CALL_TAGS;
use super::person::{Someone, asked_for, find_or_create, mapped};
use super::{Desk, Flowed, Ledger, tags};
use crate::domain::{Cause, ConsentChange, Entity, Event, Failure, Flow, LogEntry, Move, Phone, Source};
use crate::loops::echo;
use crate::store::{echoes, opt_out_deliveries, opt_outs};
use crate::wire::aloware::Delivery;

/// Sets or removes the tags, as the delivery's flag says (where Aloware had to be
/// asked whose it is, also as the contact's flag says), unless a later delivery
/// that arrived before it says otherwise, or the flag is what we set ourselves.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, event: &Event) -> Flowed {
    let id = &event.entity_id;
    let skipped = |reason: &str| Ok(vec![LogEntry::skipped(Flow::AlowareToGhl, Entity::Contact, id, reason)]);
    let shown = delivery.contact(&desk.rules.hint);
    let nameless = shown.phone.is_none();
    let mut someone = asked_for(desk, shown).await?;
    if someone.phone().is_none() {
        let known = mapped(desk, &someone).await?.and_then(|mapping| mapping.phone);
        someone.aloware.phone = known.and_then(|phone| Phone::from_e164(&phone));
    }
    let Some(phone) = someone.phone() else {
        return skipped("No phone number for DNC sync");
    };
    let flags = [delivery.dnc(&event.payload), someone.aloware.is_dnc];
    let Some(on) = flags.into_iter().flatten().reduce(|told, asked| told || asked) else {
        return skipped("DNC event says neither on nor off");
    };
    if desk.rules.own.contains(phone) {
        return skipped("own_number");
    }
    // A row typed by hand has a random id: it never passed the door either.
    let unheard = nameless || event.id.get_version_num() == 4;
    if on && is_own_echo(desk, &someone, phone, unheard).await? {
        return skipped("own_echo");
    }
    if unheard {
        record(desk, &consent(phone, on, delivery, event)).await?;
    }
    let client = desk.db.client().await?;
    match (on, opt_outs::latest(&client, phone, Cause::VoiceDnc).await?) {
        (true, None | Some(false)) => return skipped("a later DNC off holds"),
        (false, Some(true)) => return skipped("a later DNC on holds"),
        (true, Some(true)) | (false, _) => {}
    }
    let tags: Vec<String> = CALL_TAGS.iter().map(|tag| (*tag).to_owned()).collect();
    let step = format!("dnc:{}", event.id);
    let action = if on { Move::Block } else { Move::Lift };
    opt_out_deliveries::request(&client, event, Source::Ghl, phone, action).await?;
    drop(client);
    let (contact, state) = if on {
        let Some(contact) = find_or_create(desk, ledger, &someone, "bidirectional").await? else {
            return skipped("No phone number for DNC sync");
        };
        tags::put_proven(desk, ledger, &contact, &step, &tags).await?;
        (contact, "opted_out")
    } else {
        let Some(mapping) = mapped(desk, &someone).await? else {
            let client = desk.db.client().await?;
            opt_out_deliveries::waive(&client, event.id, None, UNMAPPED).await?;
            return skipped(UNMAPPED);
        };
        tags::take(desk, ledger, &mapping.ghl, &step, &tags).await?;
        (mapping.ghl, "opted_in")
    };
    let proof = match on {
        true => json!({"contact": contact.as_str(), "tags": tags}),
        false => json!({"contact": contact.as_str(), "tagsRemoved": tags}),
    };
    let client = desk.db.client().await?;
    opt_out_deliveries::confirm(&client, event.id, Source::Ghl, &proof).await?;
    let entry = LogEntry::success(Flow::AlowareToGhl, Entity::Contact, id, contact.as_str());
    Ok(vec![entry.with_message(format!("DNC status: {state}"))])
}

const UNMAPPED: &str = "No contact mapping found";

/// Whether the flag is what we set ourselves. Where the delivery named the number, the
/// registry was asked when it came and took an echo for nobody's block; where it did
/// not, or was not asked, this is where it shows.
async fn is_own_echo(desk: &Desk, someone: &Someone, phone: &Phone, unheard: bool) -> Result<bool, Failure> {
    let Some(id) = &someone.aloware.id else {
        return Ok(false);
    };
    let client = desk.db.client().await?;
    if !unheard && opt_outs::latest(&client, phone, Cause::VoiceDnc).await? == Some(true) {
        return Ok(false);
    }
    let (stored, run) = (echo::do_not_call(true), echo::do_not_call_run());
    let taken = echoes::take(&client, "aloware", id.as_str(), &[&stored, &run]).await?;
    Ok(taken > 0)
}

fn consent(phone: &Phone, on: bool, delivery: &Delivery<'_>, event: &Event) -> ConsentChange {
    let told_at = delivery.updated_at().or_else(|| delivery.created_at());
    ConsentChange {
        phone: phone.clone(),
        cause: Cause::VoiceDnc,
        action: if on { Move::Block } else { Move::Lift },
        source: "aloware",
        reason: if on { "DNC Updated" } else { "DNC Removed" }.to_owned(),
        evidence: None,
        occurred_at: told_at.map_or(event.received_at, |at| at.min(event.received_at)),
        unless_echo: None,
        decided_by: None,
    }
}
