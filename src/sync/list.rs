//! GHL tags → Aloware lists, for the one contact whose tags changed.

use super::{Desk, Flowed, Ledger, aloware_failed};
use crate::domain::{AlowareContactId, Entity, Failure, Flow, GhlContact, GhlContactId, LogEntry, Phone};
use crate::loops::echo::TagDelta;
use crate::store::contact_mappings::{self, Keys, Mapping};
use crate::store::echoes;
use crate::vendors::VendorError;
use crate::vendors::aloware::FormRequest;
use crate::wire::ghl::NamedTag;

/// Compares the tags with those last known and moves the contact in the
/// configured lists. Aloware can add to one list, and take away only from all.
///
/// `named` is the one tag that the seed's own events name instead of the set.
pub async fn ghl_to_aloware(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    id: &GhlContactId,
    shown: &GhlContact,
    named: Option<NamedTag>,
) -> Flowed {
    let skipped = |reason: &str| {
        Ok(vec![LogEntry::skipped(
            Flow::GhlToAloware,
            Entity::Tag,
            id.as_str(),
            reason,
        )])
    };
    let client = desk.db.client().await?;
    let keys = Keys {
        ghl: Some(id),
        ..Keys::default()
    };
    let mapping = contact_mappings::find(&client, keys).await?;
    let before = mapping.as_ref().and_then(|m| m.ghl_tags.clone()).unwrap_or_default();
    let full_set = shown.tags.clone().or_else(|| named.map(|tag| tag.applied_to(&before)));
    let Some(tags) = &full_set else {
        return skipped("No tags in payload");
    };
    let changed = TagDelta::between(&before, tags);
    let nothing_new = changed.is_empty();
    let delta = changed
        .clone()
        .without_echoes(&echoes::live(&client, "ghl", id.as_str()).await?);
    drop(client);
    let own = changed.fingerprints();
    if delta.is_empty() {
        save(desk, id, mapping.as_ref(), shown, tags, &own).await?;
        return skipped(if nothing_new {
            "no_change: the tags are those last seen"
        } else {
            "own_echo"
        });
    }
    let lists = ListMoves::of(&delta, tags, &desk.rules.tag_lists);
    if lists.added.is_empty() && lists.removed.is_empty() {
        save(desk, id, mapping.as_ref(), shown, tags, &own).await?;
        return skipped("No Aloware list is configured for the changed tags");
    }
    let mapped_phone = || mapping.as_ref().and_then(|m| Phone::from_e164(m.phone.as_deref()?));
    let Some(phone) = shown.phone.clone().or_else(mapped_phone) else {
        return skipped("No phone number: Aloware keeps contacts by phone");
    };
    let mapped = mapping.and_then(|m| m.aloware);
    let log = lists.carry_out(desk, ledger, id, &phone, mapped).await?;
    save(desk, id, None, shown, tags, &own).await?;
    Ok(log)
}

/// Remembers the tag set and uses the echoes up that it showed; a contact that
/// was never mapped gets its row.
async fn save(
    desk: &Desk,
    id: &GhlContactId,
    mapping: Option<&Mapping>,
    shown: &GhlContact,
    tags: &[String],
    seen: &[String],
) -> Result<(), Failure> {
    let client = desk.db.client().await?;
    if mapping.is_none() {
        let keys = Keys {
            ghl: Some(id),
            aloware: None,
            phone: shown.phone.as_ref(),
            email: shown.fields.email.as_deref(),
        };
        contact_mappings::upsert(&client, id, keys, "bidirectional").await?;
    }
    contact_mappings::save_tags(&client, id, tags).await?;
    // Each echo comes back once; the same change later is a person's.
    let seen: Vec<&String> = seen.iter().collect();
    echoes::take(&client, "ghl", id.as_str(), &seen).await?;
    Ok(())
}

/// What a removal really did, for whoever reads the log.
const FROM_ALL_LISTS: &str = "removed from ALL Aloware lists: Aloware has no call for one list";

/// Which configured lists a tag change concerns: `(tag, list id)`.
#[derive(Debug, PartialEq, Eq)]
struct ListMoves {
    added: Vec<(String, String)>,
    removed: Vec<(String, String)>,
    /// Lists the contact must still be in after a removal from all.
    kept: Vec<String>,
}

impl ListMoves {
    fn of(delta: &TagDelta, tags: &[String], lists: &std::collections::BTreeMap<String, String>) -> Self {
        let listed = |changed: &[String]| -> Vec<(String, String)> {
            changed
                .iter()
                .filter_map(|tag| Some((tag.clone(), lists.get(tag)?.clone())))
                .collect()
        };
        let now: Vec<String> = tags.iter().map(|tag| tag.trim().to_lowercase()).collect();
        Self {
            added: listed(&delta.added),
            removed: listed(&delta.removed),
            kept: listed(&now).into_iter().map(|(_, list)| list).collect(),
        }
    }

    async fn carry_out(
        &self,
        desk: &Desk,
        ledger: &mut Ledger<'_>,
        id: &GhlContactId,
        phone: &Phone,
        aloware: Option<AlowareContactId>,
    ) -> Flowed {
        let mut join: Vec<String> = self.added.iter().map(|(_, list)| list.clone()).collect();
        let mut known = aloware;
        if !self.removed.is_empty() {
            known = take_off(desk, ledger, id, phone, known).await?;
            if known.is_some() {
                join.clone_from(&self.kept);
            }
        }
        if !join.is_empty() {
            let (_, intent) = ledger.announce(&format!("aloware:list:{id}"), &[]).await?;
            let form = FormRequest {
                list_ids: join,
                ..FormRequest::new(phone.clone())
            };
            desk.vendors
                .aloware
                .upsert(&intent, &form)
                .await
                .map_err(aloware_failed)?;
            ledger.confirm(&intent, None, None);
        }
        let row = |(tag, list): &(String, String)| LogEntry::success(Flow::GhlToAloware, Entity::List, tag, list);
        let removed = self.removed.iter().map(|pair| match (&known, self.kept.is_empty()) {
            (None, _) => {
                let reason = "No Aloware contact: it is on no list";
                LogEntry::skipped(Flow::GhlToAloware, Entity::List, &pair.0, reason).with_target(&pair.1)
            }
            (Some(_), true) => row(pair).with_message(FROM_ALL_LISTS),
            (Some(_), false) => {
                row(pair).with_message(format!("{FROM_ALL_LISTS}; those of its other tags were set again"))
            }
        });
        Ok(self.added.iter().map(row).chain(removed).collect())
    }
}

/// Takes the contact off all lists and answers its Aloware id; `None` when
/// Aloware has nobody with this number. A mapped id that is gone is no obstacle:
/// the contact may have been made anew, and the mapping then learns its new id.
async fn take_off(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    id: &GhlContactId,
    phone: &Phone,
    mapped: Option<AlowareContactId>,
) -> Result<Option<AlowareContactId>, Failure> {
    let aloware = &desk.vendors.aloware;
    let (_, intent) = ledger.announce(&format!("aloware:unlist:{id}"), &[]).await?;
    if let Some(mapped) = mapped {
        match aloware.remove_from_lists(&intent, &mapped).await {
            Ok(()) => {
                ledger.confirm(&intent, Some(mapped.to_string()), None);
                return Ok(Some(mapped));
            }
            Err(VendorError::NotFound) => {}
            Err(error) => return Err(aloware_failed(error)),
        }
    }
    let found = aloware.lookup(phone).await.map_err(aloware_failed)?;
    let found = found.and_then(|contact| contact.id);
    if let Some(found) = &found {
        let keys = Keys {
            aloware: Some(found),
            ..Keys::default()
        };
        contact_mappings::upsert(&desk.db.client().await?, id, keys, "bidirectional").await?;
        aloware
            .remove_from_lists(&intent, found)
            .await
            .map_err(aloware_failed)?;
    }
    ledger.confirm(&intent, found.as_ref().map(ToString::to_string), None);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_tags_move_and_the_others_are_set_again() {
        let lists = [
            ("hot".to_owned(), "301".to_owned()),
            ("call me".to_owned(), "302".to_owned()),
        ]
        .into();
        let delta = TagDelta {
            added: vec!["plain".to_owned()],
            removed: vec!["hot".to_owned()],
        };
        let moves = ListMoves::of(&delta, &["Call Me".to_owned(), "plain".to_owned()], &lists);
        assert_eq!(moves.added, []);
        assert_eq!(moves.removed, [("hot".to_owned(), "301".to_owned())]);
        assert_eq!(moves.kept, ["302"]);
    }
}
