//! Tags: added once per set; a set that is already confirmed costs no call.

use super::{Desk, Ledger, notes};
use crate::domain::{Failure, GhlContactId};
use crate::loops::{Intent, echo};
use crate::store::effects::{Echo, Prior};

/// Adds tags to a contact.
pub(super) async fn put(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
    tags: &[String],
) -> Result<(), Failure> {
    if tags.is_empty() {
        return Ok(());
    }
    let announced = ledger.announce(step, &echoes(contact, tags)).await?;
    put_announced(desk, ledger, contact, tags, announced).await
}

/// The webhooks that adding these tags will cause.
pub(super) fn echoes(contact: &GhlContactId, tags: &[String]) -> Vec<Echo> {
    tags.iter()
        .map(|tag| Echo {
            vendor: "ghl",
            entity_id: contact.to_string(),
            fingerprint: echo::tag_added(tag),
            replaces: echo::tag_removed(tag),
        })
        .collect()
}

/// What a set is compared by.
pub(super) fn print(tags: &[String]) -> String {
    notes::fingerprint(&tags.join("\n"))
}

/// Adds tags whose addition was announced.
pub(super) async fn put_announced(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    tags: &[String],
    (prior, intent): (Prior, Intent),
) -> Result<(), Failure> {
    let print = print(tags);
    if matches!(&prior, Prior::Done { fingerprint: Some(done), .. } if *done == print) {
        return Ok(());
    }
    desk.vendors
        .ghl
        .add_tags(&intent, contact, tags)
        .await
        .map_err(|e| notes::gone(e, contact))?;
    ledger.confirm(&intent, Some(contact.to_string()), Some(print));
    Ok(())
}
