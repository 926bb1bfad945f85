//! Contacts between GHL and Aloware: read both, merge, write only what differs.

use super::person::Someone;
use super::{Desk, Flowed, Ledger, aloware_failed, custom_fields, ghl_failed};
use crate::conflicts::{Merge, Mode, differing, merge};
use crate::domain::{
    AlowareContact, AlowareContactId, Entity, Failure, Flow, GhlContact, GhlContactId, LogEntry, PersonFields, Phone,
};
use crate::store::contact_mappings::{self, Keys, Mapping};
use crate::vendors::VendorError;
use crate::vendors::aloware::FormRequest;
use crate::vendors::ghl::ContactPatch;

/// Why a contact that was mapped is no longer: a `sync_log` text.
pub(super) const GONE: &str = "Contact not found in GHL";

/// Brings a GHL contact and its Aloware counterpart in step. `shown` is the
/// contact as a delivery showed it: when it says nothing new, no vendor is asked.
pub async fn ghl_to_aloware(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    id: &GhlContactId,
    shown: Option<&GhlContact>,
) -> Flowed {
    let skipped = |reason: &str| LogEntry::skipped(Flow::GhlToAloware, Entity::Contact, id.as_str(), reason);
    let mapping = by_ghl_id(desk, id).await?;
    if let (Some(shown), Some(mapping)) = (shown, &mapping)
        && let (Some(base), Some(aloware)) = (&mapping.base, &mapping.aloware)
        && differing(&shown.fields, base) == PersonFields::default()
    {
        return Ok(vec![
            skipped("no_change: the fields are those last synchronised").with_target(aloware.as_str()),
        ]);
    }
    let ghl = match desk.vendors.ghl.get_contact(id).await {
        Ok(contact) => contact,
        Err(VendorError::NotFound) => {
            contact_mappings::tombstone(&desk.db.client().await?, id).await?;
            return Ok(vec![skipped(GONE)]);
        }
        Err(error) => return Err(ghl_failed(error)),
    };
    let Some(phone) = ghl.phone.clone() else {
        return Ok(vec![skipped("No phone number: Aloware keeps contacts by phone")]);
    };
    if desk.rules.own.contains(&phone) {
        return Ok(vec![skipped("own_number")]);
    }
    let aloware = desk.vendors.aloware.lookup(&phone).await.map_err(aloware_failed)?;
    let pair = Pair {
        id,
        phone: &phone,
        ghl: &ghl,
        aloware: aloware.as_ref(),
    };
    pair.synchronise(desk, ledger, mapping.as_ref()).await
}

/// A GHL contact and its Aloware counterpart, both as they are now.
struct Pair<'a> {
    id: &'a GhlContactId,
    phone: &'a Phone,
    ghl: &'a GhlContact,
    aloware: Option<&'a AlowareContact>,
}

impl Pair<'_> {
    async fn synchronise(&self, desk: &Desk, ledger: &mut Ledger<'_>, mapping: Option<&Mapping>) -> Flowed {
        let theirs = self.aloware.map(|contact| contact.fields.clone()).unwrap_or_default();
        let base = mapping.and_then(|mapping| mapping.base.as_ref());
        let mut merged = merge(desk.rules.mode, base, &self.ghl.fields, &theirs);
        let aloware_id = self.write_aloware(desk, ledger, &merged, &theirs).await?;
        let known = aloware_id
            .or_else(|| self.aloware.and_then(|contact| contact.id.clone()))
            .or_else(|| mapping.and_then(|mapping| mapping.aloware.clone()));
        let aloware_id = match known {
            Some(id) => id,
            None => self.look_up_again(desk).await?,
        };
        let remark = self.write_ghl(desk, ledger, &mut merged, &aloware_id).await?;
        self.remember(desk, &aloware_id, &merged).await?;
        let mut entry = LogEntry::success(
            Flow::GhlToAloware,
            Entity::Contact,
            self.id.as_str(),
            aloware_id.as_str(),
        );
        entry.decisions = Some(merged.to_json());
        entry.message = remark.map(str::to_owned);
        Ok(vec![entry])
    }

    /// Writes what Aloware lacks. In `aloware` mode only a missing contact is made.
    async fn write_aloware(
        &self,
        desk: &Desk,
        ledger: &mut Ledger<'_>,
        merged: &Merge,
        theirs: &PersonFields,
    ) -> Result<Option<AlowareContactId>, Failure> {
        let mut changes = differing(&merged.fields, theirs);
        changes.phone = None;
        let missing = self.aloware.is_none();
        if !missing && (changes == PersonFields::default() || desk.rules.mode == Mode::Aloware) {
            return Ok(None);
        }
        let (_, intent) = ledger.announce(&format!("aloware:forms:{}", self.id), &[]).await?;
        let form = FormRequest {
            fields: changes,
            ..FormRequest::new(self.phone.clone())
        };
        let id = desk
            .vendors
            .aloware
            .upsert(&intent, &form)
            .await
            .map_err(aloware_failed)?;
        ledger.confirm(&intent, id.as_ref().map(ToString::to_string), None);
        Ok(id)
    }

    /// Writes what GHL lacks, in one call; in `ghl` mode GHL is never written. An
    /// e-mail that GHL knows as somebody else's is left out of `merged` and told.
    async fn write_ghl(
        &self,
        desk: &Desk,
        ledger: &mut Ledger<'_>,
        merged: &mut Merge,
        aloware: &AlowareContactId,
    ) -> Result<Option<&'static str>, Failure> {
        let mut changes = differing(&merged.fields, &self.ghl.fields);
        // The phone is what both sides were matched by; its spelling is GHL's business.
        changes.phone = None;
        let mut patch = ContactPatch {
            fields: changes,
            custom_fields: custom_fields::lacking(&desk.rules.custom_fields, self.ghl, aloware, self.aloware),
            ..ContactPatch::default()
        };
        if desk.rules.mode == Mode::Ghl || patch.is_empty() {
            return Ok(None);
        }
        let (_, intent) = ledger.announce(&format!("ghl:fields:{}", self.id), &[]).await?;
        let mut written = desk.vendors.ghl.update_contact(&intent, self.id, &patch).await;
        let taken = matches!(written, Err(VendorError::Duplicate { .. })) && patch.fields.email.take().is_some();
        if taken {
            merged.leave_email(self.ghl.fields.email.clone());
            written = desk.vendors.ghl.update_contact(&intent, self.id, &patch).await;
        }
        written.map_err(ghl_failed)?;
        ledger.confirm(&intent, Some(self.id.to_string()), None);
        Ok(taken.then_some("the e-mail belongs to another GHL contact and was not written"))
    }

    /// The answer to a new form need not name the contact.
    async fn look_up_again(&self, desk: &Desk) -> Result<AlowareContactId, Failure> {
        let found = desk.vendors.aloware.lookup(self.phone).await.map_err(aloware_failed)?;
        found
            .and_then(|contact| contact.id)
            .ok_or_else(|| Failure::transient("aloware does not show the new contact yet"))
    }

    async fn remember(&self, desk: &Desk, aloware: &AlowareContactId, merged: &Merge) -> Result<(), Failure> {
        let client = desk.db.client().await?;
        let keys = Keys {
            ghl: Some(self.id),
            aloware: Some(aloware),
            phone: Some(self.phone),
            email: merged.fields.email.as_deref(),
        };
        contact_mappings::upsert(&client, self.id, keys, "bidirectional").await?;
        let mut base = merged.fields.clone();
        base.phone = self.ghl.fields.phone.clone();
        Ok(contact_mappings::save_base(&client, self.id, &base).await?)
    }
}

async fn by_ghl_id(desk: &Desk, id: &GhlContactId) -> Result<Option<Mapping>, Failure> {
    let client = desk.db.client().await?;
    let keys = Keys {
        ghl: Some(id),
        ..Keys::default()
    };
    Ok(contact_mappings::find(&client, keys).await?)
}

/// Marks the mapping: a later call or text gets a fresh contact.
pub async fn ghl_deleted(desk: &Desk, id: &GhlContactId) -> Flowed {
    let entry = |reason: &str| LogEntry::skipped(Flow::GhlToAloware, Entity::Contact, id.as_str(), reason);
    let tombstone = contact_mappings::tombstone(&desk.db.client().await?, id).await?;
    Ok(vec![match tombstone {
        Some(Some(aloware)) => {
            entry("contact.deleted not fully implemented - manual cleanup may be needed").with_target(&aloware)
        }
        Some(None) => entry("contact deleted; it had no Aloware contact"),
        None => entry("No contact mapping found"),
    }])
}

/// An Aloware contact event: GHL is the source of truth unless the operator
/// chose Aloware.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, contact: AlowareContact, entity_id: &str) -> Flowed {
    let skipped = |reason: &str| {
        Ok(vec![LogEntry::skipped(
            Flow::AlowareToGhl,
            Entity::Contact,
            entity_id,
            reason,
        )])
    };
    if desk.rules.mode != Mode::Aloware {
        return skipped("aloware_contact_event_ignored_source_of_truth_is_ghl");
    }
    let (Some(phone), Some(aloware_id)) = (contact.phone.clone(), contact.id.clone()) else {
        return skipped("No phone number in payload");
    };
    let someone = Someone {
        aloware: contact.clone(),
    };
    let Some(id) = super::person::find_or_create(desk, ledger, &someone, "aloware_to_ghl").await? else {
        return skipped("own_number");
    };
    let ghl = desk.vendors.ghl.get_contact(&id).await.map_err(ghl_failed)?;
    let pair = Pair {
        id: &id,
        phone: &phone,
        ghl: &ghl,
        aloware: Some(&contact),
    };
    let mut merged = merge(Mode::Aloware, None, &ghl.fields, &contact.fields);
    let remark = pair.write_ghl(desk, ledger, &mut merged, &aloware_id).await?;
    pair.remember(desk, &aloware_id, &merged).await?;
    let mut entry = LogEntry::success(Flow::AlowareToGhl, Entity::Contact, entity_id, id.as_str());
    entry.decisions = Some(merged.to_json());
    entry.message = remark.map(str::to_owned);
    Ok(vec![entry])
}
