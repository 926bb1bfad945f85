//! Who is who: one row per GHL contact, with the Aloware contact it belongs to
//! and the fields as last synchronised.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::StoreError;
use crate::domain::{AlowareContactId, GhlContactId, PersonFields, Phone};

/// One mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The CRM side, always known.
    pub ghl: GhlContactId,
    /// The dialer side, when known.
    pub aloware: Option<AlowareContactId>,
    /// E.164, when known.
    pub phone: Option<String>,
    /// E-mail, when known.
    pub email: Option<String>,
    /// The fields as last synchronised: base of the three-way merge.
    pub base: Option<PersonFields>,
    /// GHL's tag set as last seen.
    pub ghl_tags: Option<Vec<String>>,
}

/// What a person may be found by, strongest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'a> {
    /// GHL id.
    pub ghl: Option<&'a GhlContactId>,
    /// Aloware id.
    pub aloware: Option<&'a AlowareContactId>,
    /// Phone.
    pub phone: Option<&'a Phone>,
    /// E-mail, compared without regard to case.
    pub email: Option<&'a str>,
}

const COLUMNS: &str = "ghl_contact_id, aloware_contact_id, phone_number, email, base_fields, ghl_tags";

const UPSERT: &str = "
INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, phone_number, email, sync_direction)
SELECT $1, CASE WHEN EXISTS (SELECT 1 FROM contact_mappings o WHERE o.aloware_contact_id = $2
                              AND o.deleted_at IS NULL AND o.ghl_contact_id <> $1) THEN NULL ELSE $2::text END,
       $3, $4, $5
ON CONFLICT (ghl_contact_id) DO UPDATE
   SET aloware_contact_id = coalesce(excluded.aloware_contact_id, CASE
           WHEN EXISTS (SELECT 1 FROM contact_mappings o WHERE o.deleted_at IS NULL AND o.ghl_contact_id <> $1
                           AND o.aloware_contact_id = contact_mappings.aloware_contact_id) THEN NULL
           ELSE contact_mappings.aloware_contact_id END),
       phone_number = coalesce(excluded.phone_number, contact_mappings.phone_number),
       email = coalesce(excluded.email, contact_mappings.email),
       deleted_at = NULL, last_synced_at = now(), updated_at = now()";

const SAVE_BASE: &str = "
UPDATE contact_mappings SET base_fields = $2, phone_number = coalesce($3, phone_number), email = coalesce($4, email),
       last_synced_at = now(), updated_at = now() WHERE ghl_contact_id = $1";

const SAVE_TAGS: &str = "UPDATE contact_mappings SET ghl_tags = $2, updated_at = now() WHERE ghl_contact_id = $1";

const TOMBSTONE: &str = "
UPDATE contact_mappings SET deleted_at = now(), updated_at = now()
 WHERE ghl_contact_id = $1 AND deleted_at IS NULL RETURNING aloware_contact_id";

const PHONES: &str = "
SELECT ghl_contact_id, phone_number FROM contact_mappings
 WHERE ghl_contact_id = ANY ($1) AND phone_number IS NOT NULL
UNION
SELECT aloware_contact_id, phone_number FROM contact_mappings
 WHERE aloware_contact_id = ANY ($2) AND phone_number IS NOT NULL AND deleted_at IS NULL";

/// The living mappings whose GHL contact was last seen with this tag.
///
/// # Errors
/// Any statement failure.
pub async fn with_tag<C: GenericClient>(client: &C, tag: &str) -> Result<Vec<Mapping>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM contact_mappings WHERE deleted_at IS NULL
           AND EXISTS (SELECT 1 FROM unnest(ghl_tags) t WHERE lower(t) = lower($1)) ORDER BY created_at"
    );
    let statement = client.prepare_cached(&text).await?;
    let rows = client.query(&statement, &[&tag]).await?;
    rows.iter().map(mapping).collect()
}

/// The living mapping of a person: by GHL id, else Aloware id, else phone, else e-mail.
///
/// # Errors
/// Any statement failure.
pub async fn find<C: GenericClient>(client: &C, keys: Keys<'_>) -> Result<Option<Mapping>, StoreError> {
    let text = format!(
        "SELECT {COLUMNS} FROM contact_mappings WHERE deleted_at IS NULL
           AND (ghl_contact_id = $1 OR aloware_contact_id = $2 OR phone_number = $3 OR email = $4)
         ORDER BY ghl_contact_id IS NOT DISTINCT FROM $1 DESC, aloware_contact_id IS NOT DISTINCT FROM $2 DESC,
                  phone_number IS NOT DISTINCT FROM $3 DESC, created_at LIMIT 1"
    );
    let statement = client.prepare_cached(&text).await?;
    let row = client
        .query_opt(
            &statement,
            &[
                &keys.ghl.map(GhlContactId::as_str),
                &keys.aloware.map(AlowareContactId::as_str),
                &keys.phone.map(Phone::as_str),
                &keys.email.map(str::to_lowercase),
            ],
        )
        .await?;
    row.as_ref().map(mapping).transpose()
}

fn mapping(row: &Row) -> Result<Mapping, StoreError> {
    let ghl: &str = row.get(0);
    let aloware: Option<&str> = row.get(1);
    let base: Option<serde_json::Value> = row.get(4);
    Ok(Mapping {
        ghl: GhlContactId::new(ghl).ok_or(StoreError::Corrupt("contact_mappings.ghl_contact_id"))?,
        aloware: aloware.and_then(AlowareContactId::new),
        phone: row.get(2),
        email: row.get(3),
        base: base.and_then(|value| serde_json::from_value(value).ok()),
        ghl_tags: row.get(5),
    })
}

/// Stores that these ids are one person. An Aloware id that already belongs to
/// another living contact stays there; any other replaces the one mapped so far,
/// which Aloware may have deleted since. Revives a tombstone of the same GHL id.
///
/// # Errors
/// Any statement failure.
pub async fn upsert<C: GenericClient>(
    client: &C,
    ghl: &GhlContactId,
    keys: Keys<'_>,
    direction: &str,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(UPSERT).await?;
    client
        .execute(
            &statement,
            &[
                &ghl.as_str(),
                &keys.aloware.map(AlowareContactId::as_str),
                &keys.phone.map(Phone::as_str),
                &keys.email.map(str::to_lowercase),
                &direction,
            ],
        )
        .await?;
    Ok(())
}

/// Stores the fields as now synchronised on both sides.
///
/// # Errors
/// Any statement failure.
pub async fn save_base<C: GenericClient>(
    client: &C,
    ghl: &GhlContactId,
    fields: &PersonFields,
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(SAVE_BASE).await?;
    let base = serde_json::to_value(fields).unwrap_or_default();
    let phone = fields.phone.as_deref().and_then(Phone::from_e164);
    client
        .execute(
            &statement,
            &[
                &ghl.as_str(),
                &base,
                &phone.as_ref().map(Phone::as_str),
                &fields.email.as_deref().map(str::to_lowercase),
            ],
        )
        .await?;
    Ok(())
}

/// Stores GHL's tag set as now seen.
///
/// # Errors
/// Any statement failure.
pub async fn save_tags<C: GenericClient>(client: &C, ghl: &GhlContactId, tags: &[String]) -> Result<(), StoreError> {
    let statement = client.prepare_cached(SAVE_TAGS).await?;
    client.execute(&statement, &[&ghl.as_str(), &tags]).await?;
    Ok(())
}

/// Marks the contact as deleted in GHL. The outer `None` means there was no
/// living mapping; the inner one that it had no Aloware contact.
///
/// # Errors
/// Any statement failure.
pub async fn tombstone<C: GenericClient>(client: &C, ghl: &GhlContactId) -> Result<Option<Option<String>>, StoreError> {
    let statement = client.prepare_cached(TOMBSTONE).await?;
    let row = client.query_opt(&statement, &[&ghl.as_str()]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// The phones of known ids, for deliveries that name a person by id only.
///
/// # Errors
/// Any statement failure.
pub async fn phones_of<C: GenericClient>(
    client: &C,
    ghl_ids: &[&str],
    aloware_ids: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    let statement = client.prepare_cached(PHONES).await?;
    let rows = client.query(&statement, &[&ghl_ids, &aloware_ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
