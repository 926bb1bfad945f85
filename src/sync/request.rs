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

/// A tag's Aloware list and how many contacts are on it now for sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The list.
    pub id: String,
    /// The contacts that were put on it.
    pub added: usize,
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
        (_, _) if entry.message.as_deref() == Some(contact::GONE) => Err(RequestError::NotFound),
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
    .map_err(aloware_failed)?
    .ok_or(RequestError::NotFound)?;
    if id.is_some() && found.id.as_ref() != id {
        // The number it is mapped under is somebody else's by now.
        return Err(RequestError::NotFound);
    }
    let mut ledger = Ledger::of_person(desk);
    let flowed = bring_to_ghl(desk, &mut ledger, &Someone { aloware: found }).await;
    let entry = finish(desk, ledger, flowed, "contact-sync").await?;
    match (entry.status, entry.target_id.as_deref().and_then(GhlContactId::new)) {
        (SyncStatus::Success, Some(ghl)) => Ok(Pair {
            ghl,
            aloware: AlowareContactId::new(&entry.entity_id),
        }),
        (_, _) => Err(RequestError::Skipped(entry.message.unwrap_or_default())),
    }
}

/// Finds or makes the GHL contact and brings both in step. If a mapped one is
/// gone, that is found out on the way, and the person is looked for anew.
async fn bring_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, someone: &Someone) -> Flowed {
    let asked = someone.aloware.id.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut rows = Vec::new();
    for _ in 0..2 {
        let Some(ghl) = find_or_create(desk, ledger, someone, "aloware_to_ghl").await? else {
            let entry = LogEntry::skipped(Flow::AlowareToGhl, Entity::Contact, &asked, "own_number");
            return Ok(vec![entry]);
        };
        rows = contact::ghl_to_aloware(desk, ledger, &ghl, None).await?;
        if rows.iter().all(|row| row.message.as_deref() != Some(contact::GONE)) {
            break;
        }
    }
    let from_aloware = |row: LogEntry| LogEntry {
        flow: Flow::AlowareToGhl,
        entity_id: row.target_id.unwrap_or_else(|| asked.clone()),
        target_id: Some(row.entity_id),
        ..row
    };
    Ok(rows.into_iter().map(from_aloware).collect())
}

/// Puts every contact last seen with a GHL tag onto the tag's Aloware list. One
/// that is refused keeps no other off it; but when a repetition may help, the
/// trouble is the vendor's, and it is left alone with the rest.
///
/// # Errors
/// [`RequestError::NotFound`] when no list is configured for the tag;
/// [`RequestError::Failed`] tells how many are on the list, are not, were not tried.
pub async fn sync_list(desk: &Desk, tag: &str) -> Result<Listed, RequestError> {
    let tag = tag.trim().to_lowercase();
    let list = desk.rules.tag_lists.get(&tag).cloned().ok_or(RequestError::NotFound)?;
    let client = desk.db.client().await.map_err(Failure::from)?;
    let members = contact_mappings::with_tag(&client, &tag).await.map_err(Failure::from)?;
    drop(client);
    let mut phones = members
        .iter()
        .filter_map(|member| Phone::from_e164(member.phone.as_deref()?));
    let (mut added, mut failed) = (0, Vec::new());
    for phone in phones.by_ref() {
        match put_on_list(desk, &list, phone).await {
            Ok(()) => added += 1,
            Err(failure) => {
                let goes_on = matches!(failure, Failure::Permanent { .. });
                failed.push(failure);
                if !goes_on {
                    break;
                }
            }
        }
    }
    let mut entry = LogEntry::success(Flow::GhlToAloware, Entity::List, &tag, &list);
    let failure = incomplete(added, failed, phones.count());
    if let Some(failure) = &failure {
        entry.status = SyncStatus::Error;
        entry.message = Some(failure.reason().to_owned());
    }
    log(desk, &[entry], "list-sync").await?;
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(Listed { id: list, added }),
    }
}

/// What became of all contacts, as one failure of the last one's kind: only the
/// last can be worth a repetition. `None` when nothing failed.
fn incomplete(added: usize, failed: Vec<Failure>, untried: usize) -> Option<Failure> {
    let mut reasons: Vec<&str> = failed.iter().map(Failure::reason).collect();
    reasons.dedup();
    let mut told = format!("{added} added, {} not: {}", failed.len(), reasons.join(", "));
    if untried > 0 {
        told = format!("{told}; {untried} not tried");
    }
    Some(match failed.into_iter().next_back()? {
        Failure::Retry { class, after, .. } => Failure::Retry {
            class,
            after,
            reason: told,
        },
        Failure::Permanent { .. } => Failure::permanent(told),
    })
}

async fn put_on_list(desk: &Desk, list: &str, phone: Phone) -> Result<(), Failure> {
    let mut ledger = Ledger::of_person(desk);
    let step = format!("aloware:list:{list}:{}", Utc::now().timestamp_micros());
    let (_, intent) = ledger.announce(&step, &[]).await?;
    let form = FormRequest {
        list_ids: vec![list.to_owned()],
        ..FormRequest::new(phone)
    };
    let written = desk.vendors.aloware.upsert(&intent, &form).await;
    written.map_err(aloware_failed)?;
    ledger.confirm(&intent, None, None);
    Ok(ledger.flush().await?)
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
