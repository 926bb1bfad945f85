//! `webhook_events` as operators see them, and the four ways to steer an event
//! of either table. Each change and its audit row are one transaction.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::{Filter, write_cursor};
use super::redact::{redact, redact_text};
use super::{ACTOR, AdminError};
use crate::domain::{EventStatus, EventTable};
use crate::store::event_views::WebhookRow;
use crate::store::events::{self, Changed};
use crate::store::{Db, audit, event_views, quarantine};

/// A page of events.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    events: Vec<Shown>,
    count: usize,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: Uuid,
    received_at: DateTime<Utc>,
    source: String,
    event_type: String,
    entity_type: String,
    entity_id: String,
    status: String,
    error_message: Option<String>,
    processed_at: Option<DateTime<Utc>>,
    payload: Value,
}

impl From<WebhookRow> for Shown {
    fn from(row: WebhookRow) -> Self {
        Self {
            id: row.id,
            received_at: row.received_at,
            source: row.source,
            event_type: redact_text(&row.event_type),
            entity_type: row.entity_type,
            entity_id: redact_text(&row.entity_id),
            status: row.status,
            error_message: row.error_message.as_deref().map(redact_text),
            processed_at: row.processed_at,
            payload: row.payload.as_ref().map_or_else(|| json!("[TOO LARGE]"), redact),
        }
    }
}

/// A page of `webhook_events`, newest first, payloads redacted.
///
/// # Errors
/// [`AdminError::Store`].
pub async fn list(db: &Db, filter: &Filter) -> Result<Page, AdminError> {
    let limit = usize::from(filter.limit);
    let client = db.client().await?;
    // One more than asked for tells whether there is a next page.
    let mut rows = event_views::webhook(&client, &filter.wanted, i64::from(filter.limit) + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| write_cursor(row.seq));
    Ok(Page {
        count: rows.len(),
        events: rows.into_iter().map(Shown::from).collect(),
        next_cursor,
    })
}

/// An event's id as it stands in a path.
///
/// # Errors
/// [`AdminError::Invalid`].
pub fn id(text: &str) -> Result<Uuid, AdminError> {
    Uuid::try_parse(text).map_err(|_| AdminError::Invalid("event id is not a UUID".to_owned()))
}

/// Runs a finished event again, or one that waits at once.
///
/// # Errors
/// Missing; conflict when it is being processed or is set aside.
pub async fn replay(db: &Db, id: Uuid) -> Result<(), AdminError> {
    let mut client = db.client().await?;
    let change = client.transaction().await.map_err(crate::store::StoreError::from)?;
    let (table, status) = events::locate(&change, id).await?.ok_or(AdminError::Missing)?;
    match events::replay(&change, id).await? {
        Changed::Yes => {}
        Changed::Missing => return Err(AdminError::Missing),
        Changed::Conflict(_) if event_views::is_quarantined(&change, id, table).await? => {
            return Err(AdminError::Conflict {
                code: "quarantined",
                detail: "Event is quarantined; release it first",
            });
        }
        Changed::Conflict(_) => {
            return Err(AdminError::Conflict {
                code: "processing",
                detail: "Event is being processed",
            });
        }
    }
    let detail = json!({"was": status.as_str()});
    audit::append(&change, ACTOR, "event.replay", &subject(table, id), &detail).await?;
    change.commit().await.map_err(crate::store::StoreError::from)?;
    Ok(())
}

/// The body of a quarantine request; unreadable ones are the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default, alias = "event_source")]
    event_source: Option<String>,
    #[serde(default, alias = "quarantined_by")]
    quarantined_by: Option<String>,
}

impl Reason {
    /// Reads a body; anything but an object of the right shape, `null` and
    /// nothing included, is the defaults.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice::<Option<Self>>(body)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// The table it names, if it names one.
    fn table(&self) -> Result<Option<EventTable>, AdminError> {
        let named = self
            .event_source
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty());
        named
            .map(|text| {
                EventTable::parse(text)
                    .ok_or_else(|| AdminError::Invalid("eventSource must be webhook or texting".to_owned()))
            })
            .transpose()
    }
}

/// Sets an event aside: it is closed unrun, or not run again. A run that is
/// under way ends as it ends. Its person's next events need not wait for it.
///
/// # Errors
/// Missing, also when the event is not of the table that was named.
pub async fn set_aside(db: &Db, id: Uuid, reason: &Reason) -> Result<(), AdminError> {
    let named = reason.table()?;
    let mut client = db.client().await?;
    let change = client.transaction().await.map_err(crate::store::StoreError::from)?;
    let (table, status) = events::locate(&change, id).await?.ok_or(AdminError::Missing)?;
    if named.is_some_and(|named| named != table) {
        return Err(AdminError::Missing);
    }
    let clean = |text: &Option<String>| {
        let text: String = text
            .as_deref()
            .unwrap_or_default()
            .replace('\0', "")
            .trim()
            .chars()
            .take(500)
            .collect();
        (!text.is_empty()).then_some(text)
    };
    let why = clean(&reason.reason).unwrap_or_else(|| "Manual quarantine".to_owned());
    let by = clean(&reason.quarantined_by);
    events::unblock(&change, id).await?;
    quarantine::add(&change, &id.to_string(), table, &why, by.as_deref()).await?;
    let detail = json!({"was": status.as_str(), "reason": why, "quarantinedBy": by});
    audit::append(&change, ACTOR, "event.quarantine", &subject(table, id), &detail).await?;
    change.commit().await.map_err(crate::store::StoreError::from)?;
    Ok(())
}

/// Lets an event that was set aside run again; one that was closed meanwhile
/// is replayed by a second call.
///
/// # Errors
/// Missing; conflict when it was not set aside.
pub async fn release(db: &Db, id: Uuid) -> Result<(), AdminError> {
    let mut client = db.client().await?;
    let change = client.transaction().await.map_err(crate::store::StoreError::from)?;
    let (table, status) = events::locate(&change, id).await?.ok_or(AdminError::Missing)?;
    if !quarantine::remove(&change, &id.to_string(), table).await? {
        return Err(AdminError::Conflict {
            code: "not_quarantined",
            detail: "Event is not quarantined",
        });
    }
    let detail = json!({"was": status.as_str()});
    audit::append(&change, ACTOR, "event.release", &subject(table, id), &detail).await?;
    change.commit().await.map_err(crate::store::StoreError::from)?;
    Ok(())
}

/// Closes an event unrun.
///
/// # Errors
/// Missing.
pub async fn mark_done(db: &Db, id: Uuid) -> Result<(), AdminError> {
    let mut client = db.client().await?;
    let change = client.transaction().await.map_err(crate::store::StoreError::from)?;
    let (table, status): (EventTable, EventStatus) = events::locate(&change, id).await?.ok_or(AdminError::Missing)?;
    events::unblock(&change, id).await?;
    if events::mark_done(&change, id).await? != Changed::Yes {
        return Err(AdminError::Missing);
    }
    let detail = json!({"was": status.as_str()});
    audit::append(&change, ACTOR, "event.mark_done", &subject(table, id), &detail).await?;
    change.commit().await.map_err(crate::store::StoreError::from)?;
    Ok(())
}

fn subject(table: EventTable, id: Uuid) -> String {
    format!("{table}:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarantine_bodies_are_read_in_both_forms_and_rubbish_is_the_defaults() {
        for body in [
            &br#"{"reason":"loop","eventSource":"texting","quarantinedBy":"ann"}"#[..],
            br#"{"reason":"loop","event_source":"texting","quarantined_by":"ann"}"#,
        ] {
            let reason = Reason::read(body);
            assert_eq!(reason.reason.as_deref(), Some("loop"));
            assert_eq!(reason.table().unwrap(), Some(EventTable::Texting));
            assert_eq!(reason.quarantined_by.as_deref(), Some("ann"));
        }
        for body in ["", "null", "{", "[]", "7", "{}", r#"{"reason":null}"#] {
            let reason = Reason::read(body.as_bytes());
            assert_eq!(
                (reason.reason.as_deref(), reason.table().unwrap()),
                (None, None),
                "{body}"
            );
        }
    }

    #[test]
    fn a_table_that_does_not_exist_is_refused() {
        assert!(Reason::read(br#"{"eventSource":"sync_log"}"#).table().is_err());
    }

    #[test]
    fn ids_are_uuids() {
        assert!(id("0198c0de-0000-7000-8000-000000000001").is_ok());
        for wrong in ["", "1", "x' OR 1=1", "0198c0de"] {
            assert!(matches!(id(wrong), Err(AdminError::Invalid(_))), "{wrong}");
        }
    }
}
