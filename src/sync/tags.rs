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

/// Removes tags; removing what is not there is harmless.
pub(super) async fn take(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
    tags: &[String],
) -> Result<(), Failure> {
    let opposites = echoes(contact, tags).into_iter().map(|added| Echo {
        fingerprint: added.replaces,
        replaces: added.fingerprint,
        ..added
    });
    let (_, intent) = ledger.announce(step, &opposites.collect::<Vec<_>>()).await?;
    desk.vendors
        .ghl
        .remove_tags(&intent, contact, tags)
        .await
        .map_err(|e| notes::gone(e, contact))?;
    ledger.confirm(&intent, Some(contact.to_string()), None);
    Ok(())
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

/// Adds tags and has GHL show that they are there: what it answers, else the contact.
/// Confirmed only then, so a retry asks again instead of believing.
pub(super) async fn put_proven(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
    tags: &[String],
) -> Result<(), Failure> {
    let (_, intent) = ledger.announce(step, &echoes(contact, tags)).await?;
    let ghl = &desk.vendors.ghl;
    let answered = ghl.add_tags(&intent, contact, tags).await;
    if !all_in(&answered.map_err(|e| notes::gone(e, contact))?, tags) {
        let shown = ghl.get_contact(contact).await.map_err(|e| notes::gone(e, contact))?;
        if !all_in(&shown.tags.unwrap_or_default(), tags) {
            return Err(Failure::transient("ghl does not show the tags it took"));
        }
    }
    ledger.confirm(&intent, Some(contact.to_string()), Some(print(tags)));
    Ok(())
}

/// Whether all of these are among what GHL shows, which is in lower case.
pub(super) fn all_in(shown: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|tag| shown.contains(&tag.trim().to_lowercase()))
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
