//! A STOP in the dialer: do-not-call and off its lists, as `sync.opt_out_to_aloware`
//! says. Aloware keeps its own opt-outs from texts; what it offers us is do-not-call
//! (vendors/aloware.md 2.3). Nobody is created there for it.

use serde_json::json;

use super::{Desk, Ledger, OptOutToAloware, aloware_failed};
use crate::domain::{AlowareContactId, Event, Failure, Move, Phone, Source};
use crate::loops::echo;
use crate::store::effects::Echo;
use crate::store::opt_out_deliveries;
use crate::vendors::VendorError;
use crate::vendors::aloware::FormRequest;

/// That do-not-call outlives a START, for whoever reads the log.
pub(super) const STAYS: &str = "do-not-call stays: its API cannot clear it, a person must do so there";

/// Takes the person off the dialer and reads back that it holds. Always looked up
/// first: a form for a number Aloware does not have would create somebody.
///
/// Answers what was done there; `None` when there was nothing to do.
pub(super) async fn stop(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    phone: &Phone,
    event: &Event,
) -> Result<Option<&'static str>, Failure> {
    if desk.rules.opt_out_to_aloware == OptOutToAloware::Off || desk.rules.own.contains(phone) {
        return Ok(None);
    }
    let client = desk.db.client().await?;
    opt_out_deliveries::request(&client, event, Source::Aloware, phone, Move::Block).await?;
    drop(client);
    let known = desk.vendors.aloware.lookup(phone).await.map_err(aloware_failed)?;
    let Some((contact, id)) = known.and_then(|contact| contact.id.clone().map(|id| (contact, id))) else {
        let client = desk.db.client().await?;
        let nobody = "Aloware has nobody with this number";
        opt_out_deliveries::waive(&client, event.id, Some(Source::Aloware), nobody).await?;
        return Ok(None);
    };
    take_off_lists(desk, ledger, &id, event).await?;
    let mut is_dnc = contact.is_dnc == Some(true);
    if desk.rules.opt_out_to_aloware == OptOutToAloware::Dnc && !is_dnc {
        set_dnc(desk, ledger, phone, &id, event).await?;
        is_dnc = true;
    }
    let proof = json!({"contact": id.as_str(), "isDnc": is_dnc, "lists": "removed from all"});
    let client = desk.db.client().await?;
    opt_out_deliveries::confirm(&client, event.id, Source::Aloware, &proof).await?;
    Ok(Some(match is_dnc {
        true => "off all lists, do-not-call",
        false => "off all lists",
    }))
}

async fn take_off_lists(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    id: &AlowareContactId,
    event: &Event,
) -> Result<(), Failure> {
    let (_, intent) = ledger.announce(&format!("optout:{}:unlist", event.id), &[]).await?;
    match desk.vendors.aloware.remove_from_lists(&intent, id).await {
        // Gone a moment after it was found: on no list either.
        Ok(()) | Err(VendorError::NotFound) => ledger.confirm(&intent, Some(id.to_string()), None),
        Err(error) => return Err(aloware_failed(error)),
    }
    Ok(())
}

/// Sets do-not-call. Aloware tells us of it as if somebody there had done it: that
/// delivery is our own write, and no block that a START could not lift.
async fn set_dnc(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    phone: &Phone,
    id: &AlowareContactId,
    event: &Event,
) -> Result<(), Failure> {
    let echo = |fingerprint: String| Echo {
        vendor: "aloware",
        entity_id: id.to_string(),
        fingerprint,
        replaces: echo::do_not_call(false),
    };
    let echoes = [echo(echo::do_not_call(true)), echo(echo::do_not_call_run())];
    let (_, intent) = ledger.announce(&format!("optout:{}:dnc", event.id), &echoes).await?;
    let form = FormRequest {
        is_dnc: Some(true),
        ..FormRequest::new(phone.clone())
    };
    let aloware = &desk.vendors.aloware;
    aloware.upsert(&intent, &form).await.map_err(aloware_failed)?;
    let shown = aloware.lookup(phone).await.map_err(aloware_failed)?;
    if shown.and_then(|contact| contact.is_dnc) != Some(true) {
        return Err(Failure::transient("aloware does not show the do-not-call it took"));
    }
    ledger.confirm(&intent, Some(id.to_string()), None);
    Ok(())
}
