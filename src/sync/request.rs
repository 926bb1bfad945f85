//! What a person asks for: one contact, one list, one mapping. The same flows
//! as the events', logged under a correlation id of their own.

use chrono::Utc;

use super::person::{Someone, find_or_create};
use super::{Desk, Flowed, Ledger, aloware_failed, contact, ghl_failed};
use crate::domain::{AlowareContactId, Entity, Failure, Flow, GhlContactId, LogEntry, Phone, SyncStatus};
use crate::store::contact_mappings::{self, Keys, Mapping};
use crate::store::sync_log;
use crate::vendors::aloware::FormRequest;

/// The two sides of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In GHL.
    pub ghl: GhlContactId,
    /// In Aloware.
    pub aloware: Option<AlowareContactId>,
}

/// Why a request has no effect.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestError {
    /// The asked-for thing does not exist.
    NotFound,
    /// A rule forbids it; a `sync_log` text.
    Skipped(String),
    /// A vendor or the database failed.
    Failed(Failure),
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Synchronises a GHL contact with Aloware.
///
/// # Errors
/// [`RequestError`].
pub async fn sync_ghl_contact(desk: &Desk, id: &GhlContactId) -> Result<Pair, RequestError> {
    let mut ledger = Ledger::of_person(desk);
    let flowed = contact::ghl_to_aloware(desk, &mut ledger, id, None).await;
    let entry = finish(desk, ledger, flowed, "ghl-contact-sync").await?;
    match (entry.status, entry.target_id) {
        (SyncStatus::Success, Some(target)) => Ok(Pair {
            ghl: id.clone(),
            aloware: AlowareContactId::new(&target),
        }),
        (_, _) if entry.message.as_deref() == Some("Contact not found in GHL") => Err(RequestError::NotFound),
        (_, _) => Err(RequestError::Skipped(entry.message.unwrap_or_default())),
    }
}

/// Brings an Aloware contact to GHL, then both in step. Aloware is asked by
/// phone, the only key its documented API has; an id is translated by the mapping.
/// An account that serves contacts by id is asked for one that no mapping knows.
///
/// # Errors
/// [`RequestError`].
pub async fn sync_aloware_contact(
    desk: &Desk,
    id: Option<&AlowareContactId>,
    phone: Option<&Phone>,
) -> Result<Pair, RequestError> {
    let known = match (phone, id) {
        (Some(phone), _) => Some(phone.clone()),
        (None, id) => mapping(
            desk,
            Keys {
                aloware: id,
                ..Keys::default()
            },
        )
        .await?
        .and_then(|m| Phone::from_e164(&m.phone?)),
    };
    let found = match (&known, id) {
        (Some(phone), _) => desk.vendors.aloware.lookup(phone).await,
        (None, Some(id)) => desk.vendors.aloware.contact(id).await,
        (None, None) => Ok(None),
    }
    .map_err(aloware_failed)?;
    let someone = Someone {
        aloware: found.ok_or(RequestError::NotFound)?,
    };
    let mut ledger = Ledger::of_person(desk);
    let created = find_or_create(desk, &mut ledger, &someone, "aloware_to_ghl").await;
    ledger.flush().await.map_err(Failure::from)?;
    match created? {
        Some(ghl) => sync_ghl_contact(desk, &ghl).await,
        None => Err(RequestError::Skipped("own_number".to_owned())),
    }
}

/// Puts every contact last seen with a GHL tag onto the tag's Aloware list and
/// answers the list's id.
///
/// # Errors
/// [`RequestError::NotFound`] when no list is configured for the tag.
pub async fn sync_list(desk: &Desk, tag: &str) -> Result<String, RequestError> {
    let tag = tag.trim().to_lowercase();
    let list = desk.rules.tag_lists.get(&tag).cloned().ok_or(RequestError::NotFound)?;
    let client = desk.db.client().await.map_err(Failure::from)?;
    let members = contact_mappings::with_tag(&client, &tag).await.map_err(Failure::from)?;
    drop(client);
    for phone in members
        .iter()
        .filter_map(|member| Phone::from_e164(member.phone.as_deref()?))
    {
        let mut ledger = Ledger::of_person(desk);
        let (_, intent) = ledger
            .announce(&format!("aloware:list:{list}:{}", Utc::now().timestamp_micros()), &[])
            .await?;
        let form = FormRequest {
            list_ids: vec![list.clone()],
            ..FormRequest::new(phone)
        };
        desk.vendors
            .aloware
            .upsert(&intent, &form)
            .await
            .map_err(aloware_failed)?;
        ledger.confirm(&intent, None, None);
        ledger.flush().await.map_err(Failure::from)?;
    }
    let entry = LogEntry::success(Flow::GhlToAloware, Entity::List, &tag, &list);
    log(desk, &[entry], "list-sync").await?;
    Ok(list)
}

/// Finds the mapping of a person whom both systems already have, or makes it.
/// Never creates a contact.
///
/// # Errors
/// [`RequestError::NotFound`] when one system does not have the person.
pub async fn repair_mapping(desk: &Desk, phone: Option<&Phone>, email: Option<&str>) -> Result<Pair, RequestError> {
    let known = mapping(
        desk,
        Keys {
            phone,
            email,
            ..Keys::default()
        },
    )
    .await?;
    if let Some(Mapping {
        ghl,
        aloware: Some(aloware),
        ..
    }) = known
    {
        return Ok(Pair {
            ghl,
            aloware: Some(aloware),
        });
    }
    let by_phone = match phone {
        Some(phone) => desk.vendors.ghl.find_by_phone(phone).await.map_err(ghl_failed)?,
        None => None,
    };
    let ghl = match (by_phone, email) {
        (Some(found), _) => Some(found),
        (None, Some(email)) => desk.vendors.ghl.find_by_email(email).await.map_err(ghl_failed)?,
        (None, None) => None,
    }
    .ok_or(RequestError::NotFound)?;
    let phone = phone.or(ghl.phone.as_ref()).ok_or(RequestError::NotFound)?;
    let aloware = desk.vendors.aloware.lookup(phone).await.map_err(aloware_failed)?;
    let (Some(id), Some(aloware)) = (ghl.id, aloware.and_then(|contact| contact.id)) else {
        return Err(RequestError::NotFound);
    };
    let client = desk.db.client().await.map_err(Failure::from)?;
    let keys = Keys {
        aloware: Some(&aloware),
        phone: Some(phone),
        email: email.or(ghl.fields.email.as_deref()),
        ghl: None,
    };
    contact_mappings::upsert(&client, &id, keys, "bidirectional")
        .await
        .map_err(Failure::from)?;
    Ok(Pair {
        ghl: id,
        aloware: Some(aloware),
    })
}

async fn mapping(desk: &Desk, keys: Keys<'_>) -> Result<Option<Mapping>, Failure> {
    let client = desk.db.client().await?;
    Ok(contact_mappings::find(&client, keys).await?)
}

/// Stores what a flow did and answers its first row.
async fn finish(desk: &Desk, ledger: Ledger<'_>, flowed: Flowed, kind: &str) -> Result<LogEntry, RequestError> {
    ledger.flush().await.map_err(Failure::from)?;
    let rows = flowed?;
    log(desk, &rows, kind).await?;
    rows.into_iter().next().ok_or(RequestError::NotFound)
}

async fn log(desk: &Desk, rows: &[LogEntry], kind: &str) -> Result<(), Failure> {
    let now = Utc::now();
    let client = desk.db.client().await?;
    Ok(sync_log::insert(&client, rows, &format!("{kind}-{}", now.timestamp_millis()), now).await?)
}
