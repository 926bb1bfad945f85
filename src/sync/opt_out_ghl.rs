//! An opt-out's marks on the GHL contact: tags, and do-not-disturb by channel. What
//! GHL answers to a write is the proof that it is in place; where the answer does not
//! show it the contact is read once, and without proof the write counts as not made.

use serde_json::{Value, json};

use super::{Desk, Ledger, notes, tags};
use crate::domain::{Cause, Dnd, Failure, GhlContactId};
use crate::loops::echo;
use crate::store::effects::Echo;

/// What a contact that must not be texted carries in GHL.
const TEXT_TAGS: [&str; 2] = ["DNC-SMS", "SMS Opted Out"];
/// What a contact that must not be called carries.
pub(super) const CALL_TAGS: [&str; 2] = ["DNC", "Do Not Call"];

/// Which channels are closed, and the tags that say so.
pub(super) struct Marks {
    channels: &'static [&'static str],
    tags: Vec<String>,
}

impl Marks {
    /// What the causes ask for: a STOP is about texts; what a person of ours or a
    /// lawyer demands is about calls, too.
    pub(super) fn of(causes: &[Cause]) -> Self {
        let calls = causes.iter().any(|cause| matches!(cause, Cause::Manual | Cause::Legal));
        let (channels, tags): (&'static [&'static str], _) = match calls {
            true => (&["SMS", "Call"], [TEXT_TAGS, CALL_TAGS].concat()),
            false => (&["SMS"], TEXT_TAGS.to_vec()),
        };
        Self {
            channels,
            tags: tags.into_iter().map(str::to_owned).collect(),
        }
    }

    fn stand_in(&self, dnd: &Dnd) -> bool {
        self.channels.iter().all(|channel| dnd.channel_blocked(channel))
    }
}

/// Puts the marks on; answers the proof, which names no person. What stands there
/// already costs no write.
pub(super) async fn mark(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
    marks: &Marks,
) -> Result<Value, Failure> {
    let ghl = &desk.vendors.ghl;
    let read = async || ghl.get_contact(contact).await.map_err(|e| notes::gone(e, contact));
    let seen = read().await?;
    let mut dnd = seen.dnd.unwrap_or_default();
    if !marks.stand_in(&dnd) {
        let echo = text_echo(contact, true);
        let (_, intent) = ledger.announce(&format!("{step}:dnd"), &[echo]).await?;
        let shown = ghl
            .set_dnd(&intent, contact, &dnd, (marks.channels, true), echo::OPTED_OUT_MARK)
            .await
            .map_err(|e| notes::gone(e, contact))?;
        dnd = match shown.filter(|shown| marks.stand_in(shown)) {
            Some(shown) => shown,
            None => read().await?.dnd.unwrap_or_default(),
        };
        if !marks.stand_in(&dnd) {
            return Err(Failure::transient("ghl does not show the do-not-disturb it took"));
        }
        ledger.confirm(&intent, Some(contact.to_string()), None);
    }
    if !tags::all_in(&seen.tags.unwrap_or_default(), &marks.tags) {
        tags::put_proven(desk, ledger, contact, &format!("{step}:tags"), &marks.tags).await?;
    }
    Ok(json!({"contact": contact.as_str(), "doNotDisturb": marks.channels, "tags": marks.tags}))
}

/// Takes the marks off again; those of calls only where they are ours.
pub(super) async fn unmark(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    contact: &GhlContactId,
    step: &str,
) -> Result<Value, Failure> {
    let ghl = &desk.vendors.ghl;
    let current = ghl.get_contact(contact).await.map_err(|e| notes::gone(e, contact))?;
    let dnd = current.dnd.unwrap_or_default();
    let ours = dnd.call_message.as_deref() == Some(echo::OPTED_OUT_MARK);
    let marks = Marks::of(if ours { &[Cause::Manual] } else { &[Cause::ConsumerStop] });
    if marks.channels.iter().any(|channel| dnd.channel_blocked(channel)) {
        let echo = text_echo(contact, false);
        let (_, intent) = ledger.announce(&format!("{step}:dnd"), &[echo]).await?;
        ghl.set_dnd(&intent, contact, &dnd, (marks.channels, false), "Opted in by text")
            .await
            .map_err(|e| notes::gone(e, contact))?;
        ledger.confirm(&intent, Some(contact.to_string()), None);
    }
    tags::take(desk, ledger, contact, &format!("{step}:tags"), &marks.tags).await?;
    Ok(json!({"contact": contact.as_str(), "doNotDisturb": [], "tagsRemoved": marks.tags}))
}

fn text_echo(contact: &GhlContactId, blocked: bool) -> Echo {
    Echo {
        vendor: "ghl",
        entity_id: contact.to_string(),
        fingerprint: echo::text_dnd(blocked),
        replaces: echo::text_dnd(!blocked),
    }
}
