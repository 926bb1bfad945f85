//! Finding a person in GHL: by mapping, else by phone, else created once.

use super::{Desk, Ledger, aloware_failed, ghl_failed};
use crate::domain::{AlowareContact, Failure, GhlContactId, PersonFields, Phone};
use crate::store::contact_mappings::{self, Keys, Mapping};
use crate::vendors::VendorError;
use crate::vendors::ghl::NewContact;

/// What is known of a person outside GHL.
#[derive(Clone, Debug, Default)]
pub(super) struct Someone {
    /// Aloware's record, as far as the delivery showed it.
    pub(super) aloware: AlowareContact,
}

impl Someone {
    /// A person of whom only the number is known.
    pub(super) fn with_phone(phone: &Phone) -> Self {
        Self {
            aloware: AlowareContact {
                phone: Some(phone.clone()),
                ..AlowareContact::default()
            },
        }
    }

    pub(super) fn phone(&self) -> Option<&Phone> {
        self.aloware.phone.as_ref()
    }

    fn email(&self) -> Option<&str> {
        self.aloware.fields.email.as_deref()
    }

    /// A shared mailbox must not merge two people: the e-mail counts only when
    /// there is no phone.
    fn keys(&self) -> Keys<'_> {
        Keys {
            ghl: None,
            aloware: self.aloware.id.as_ref(),
            phone: self.phone(),
            email: if self.phone().is_none() { self.email() } else { None },
        }
    }
}

/// The person a delivery is about. Where it shows an id and no number, an account
/// that serves contacts by id is asked (`aloware.call_surface`); others are not.
pub(super) async fn asked_for(desk: &Desk, shown: AlowareContact) -> Result<Someone, Failure> {
    let record = match &shown.id {
        Some(id) if shown.phone.is_none() => desk.vendors.aloware.contact(id).await.map_err(aloware_failed)?,
        _ => None,
    };
    let aloware = match record {
        Some(mut record) => {
            record.fields.email = record.fields.email.or(shown.fields.email);
            record.disposition = record.disposition.or(shown.disposition);
            record
        }
        None => shown,
    };
    Ok(Someone { aloware })
}

/// As [`asked_for`], for those who only need the GHL contact: where that is mapped
/// to Aloware's id already, nobody is asked.
pub(super) async fn asked_for_unless_mapped(desk: &Desk, shown: AlowareContact) -> Result<Someone, Failure> {
    if is_mapped(desk, &shown).await? {
        return Ok(Someone { aloware: shown });
    }
    asked_for(desk, shown).await
}

/// Whether the Aloware id alone finds the GHL contact.
pub(super) async fn is_mapped(desk: &Desk, shown: &AlowareContact) -> Result<bool, Failure> {
    let Some(id) = &shown.id else {
        return Ok(false);
    };
    let keys = Keys {
        aloware: Some(id),
        ..Keys::default()
    };
    Ok(contact_mappings::find(&desk.db.client().await?, keys).await?.is_some())
}

/// The person's mapping, without asking GHL.
pub(super) async fn mapped(desk: &Desk, someone: &Someone) -> Result<Option<Mapping>, Failure> {
    let client = desk.db.client().await?;
    Ok(contact_mappings::find(&client, someone.keys()).await?)
}

/// The person's GHL contact, created if GHL has none; `None` when nothing
/// identifies the person. `direction` is the mapping's.
pub(super) async fn find_or_create(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    someone: &Someone,
    direction: &str,
) -> Result<Option<GhlContactId>, Failure> {
    if let Some(id) = find(desk, someone, direction).await? {
        return Ok(Some(id));
    }
    if is_own(desk, someone) || (someone.phone().is_none() && someone.email().is_none()) {
        return Ok(None);
    }
    let id = create(desk, ledger, someone).await?;
    remember(desk, &id, someone, direction).await?;
    Ok(Some(id))
}

fn is_own(desk: &Desk, someone: &Someone) -> bool {
    someone.phone().is_some_and(|phone| desk.rules.own.contains(phone))
}

/// The person's GHL contact, mapped if it was not; `None` when GHL has none.
pub(super) async fn find(desk: &Desk, someone: &Someone, direction: &str) -> Result<Option<GhlContactId>, Failure> {
    if is_own(desk, someone) {
        return Ok(None);
    }
    if let Some(mapping) = mapped(desk, someone).await? {
        if mapping.aloware.is_none() && someone.aloware.id.is_some() {
            remember(desk, &mapping.ghl, someone, direction).await?;
        }
        return Ok(Some(mapping.ghl));
    }
    let found = match (someone.phone(), someone.email()) {
        (Some(phone), _) => desk.vendors.ghl.find_by_phone(phone).await,
        (None, Some(email)) => desk.vendors.ghl.find_by_email(email).await,
        (None, None) => return Ok(None),
    }
    .map_err(ghl_failed)?;
    let id = found.and_then(|contact| contact.id);
    if let Some(id) = &id {
        remember(desk, id, someone, direction).await?;
    }
    Ok(id)
}

/// Creates by upsert with the one identifier that found nobody: a retry after
/// an unknown outcome, or a second daemon, finds instead of doubling.
async fn create(desk: &Desk, ledger: &mut Ledger<'_>, someone: &Someone) -> Result<GhlContactId, Failure> {
    let mut fields = PersonFields {
        first_name: someone.aloware.fields.first_name.clone(),
        last_name: someone.aloware.fields.last_name.clone(),
        ..PersonFields::default()
    };
    let key = match someone.phone() {
        Some(phone) => {
            fields.phone = Some(phone.as_str().to_owned());
            phone.as_str().to_owned()
        }
        None => {
            fields.email = someone.email().map(str::to_owned);
            fields.email.clone().unwrap_or_default()
        }
    };
    let step = format!("ghl:contact:create:{}", super::notes::fingerprint(&key));
    let (_, intent) = ledger.announce(&step, &[]).await?;
    let new = NewContact {
        fields,
        source: Some("df-middleware".to_owned()),
        ..NewContact::default()
    };
    let id = match desk.vendors.ghl.upsert_contact(&intent, &new).await {
        Ok(upserted) => upserted.id,
        Err(VendorError::Duplicate { id: Some(id), .. }) => {
            GhlContactId::new(&id).ok_or_else(|| Failure::permanent("ghl duplicate names no contact"))?
        }
        // 422 on creation may have created: the next run's search tells.
        Err(error @ VendorError::Unprocessable { .. }) => return Err(recheck(desk, someone, error).await),
        Err(error) => return Err(ghl_failed(error)),
    };
    ledger.confirm(&intent, Some(id.to_string()), None);
    Ok(id)
}

async fn recheck(desk: &Desk, someone: &Someone, error: VendorError) -> Failure {
    let Some(phone) = someone.phone() else {
        return ghl_failed(error);
    };
    match desk.vendors.ghl.find_by_phone(phone).await {
        Ok(Some(_)) => Failure::transient("ghl created in spite of its 422; taking the contact over"),
        Ok(None) => ghl_failed(error),
        Err(other) => ghl_failed(other),
    }
}

async fn remember(desk: &Desk, id: &GhlContactId, someone: &Someone, direction: &str) -> Result<(), Failure> {
    let client = desk.db.client().await?;
    let keys = Keys {
        email: someone.email(),
        ..someone.keys()
    };
    Ok(contact_mappings::upsert(&client, id, keys, direction).await?)
}
