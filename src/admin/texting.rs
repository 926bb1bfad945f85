//! `texting_webhook_events` as operators see them: numbers masked, texts only
//! on request, and every such request on record.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::filter::{default_limit, limit, status};
use super::redact::redact_text;
use super::{ACTOR, AdminError};
use crate::domain::{PhoneHint, mask};
use crate::store::event_views::TextingRow;
use crate::store::{Db, audit, event_views};
use crate::wire::texting::Delivery;

/// What is asked of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    status: Option<&'static str>,
    limit: u16,
    include_body: bool,
}

impl Question {
    /// Reads the question from named parameters.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] that names the parameter.
    pub fn read<'p>(get: impl Fn(&str) -> Option<&'p str>) -> Result<Self, AdminError> {
        Ok(Self {
            status: get("status").map(status).transpose()?,
            limit: get("limit").map_or(Ok(default_limit()), limit)?,
            include_body: get("includeBody") == Some("true"),
        })
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    events: Vec<Shown>,
    count: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: Uuid,
    received_at: DateTime<Utc>,
    event_type: String,
    entity_id: Option<String>,
    status: String,
    error_message: Option<String>,
    from_number: Option<String>,
    to_number: Option<String>,
    /// Outer `None`: not asked for. Inner: the event has no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Option<String>>,
}

fn shown(row: TextingRow, hint: &PhoneHint) -> Shown {
    Shown {
        id: row.id,
        received_at: row.received_at,
        event_type: redact_text(&row.event_type),
        entity_id: row.entity_id.as_deref().map(redact_text),
        status: row.status,
        error_message: row.error_message.as_deref().map(redact_text),
        from_number: row.from_number.as_deref().map(mask),
        to_number: row.to_number.as_deref().map(mask),
        body: row.payload.as_ref().map(|payload| Delivery::read(payload, hint).body),
    }
}

/// The latest texting events, newest first. Texts are shown only once the
/// audit log has taken note.
///
/// # Errors
/// [`AdminError::Store`].
pub async fn list(db: &Db, question: &Question, hint: &PhoneHint) -> Result<Answer, AdminError> {
    let client = db.client().await?;
    if question.include_body {
        let detail = json!({"status": question.status, "limit": question.limit});
        audit::append(
            &client,
            ACTOR,
            "texting.reveal_bodies",
            "texting_webhook_events",
            &detail,
        )
        .await?;
    }
    let rows = event_views::texting(
        &client,
        question.status,
        question.include_body,
        i64::from(question.limit),
    )
    .await?;
    let events: Vec<Shown> = rows.into_iter().map(|row| shown(row, hint)).collect();
    Ok(Answer {
        count: events.len(),
        events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(payload: Option<serde_json::Value>) -> TextingRow {
        TextingRow {
            id: Uuid::nil(),
            received_at: DateTime::UNIX_EPOCH,
            event_type: "message.received".to_owned(),
            entity_id: Some("m1".to_owned()),
            status: "done".to_owned(),
            error_message: None,
            from_number: Some("+16195550111".to_owned()),
            to_number: None,
            payload,
        }
    }

    #[test]
    fn numbers_are_masked_and_no_body_is_shown_unasked() {
        let json = serde_json::to_value(shown(row(None), &PhoneHint::region("US"))).unwrap();
        assert_eq!(json["fromNumber"], "+161***");
        assert!(json.get("body").is_none(), "{json}");
        assert!(json["toNumber"].is_null());
    }

    #[test]
    fn a_nested_text_is_shown_when_asked_for() {
        let payload = json!({"type": "message.received", "message": {"id": "m1", "body": "hello"}});
        let json = serde_json::to_value(shown(row(Some(payload)), &PhoneHint::region("US"))).unwrap();
        assert_eq!(json["body"], "hello");
        let none = serde_json::to_value(shown(
            row(Some(json!({"type": "message.delivered"}))),
            &PhoneHint::region("US"),
        ))
        .unwrap();
        assert!(none["body"].is_null() && none.get("body").is_some());
    }

    #[test]
    fn bodies_are_shown_for_the_exact_word_only() {
        let read = |value: &'static str| Question::read(|name| (name == "includeBody").then_some(value));
        assert!(read("true").unwrap().include_body);
        assert!(!read("false").unwrap().include_body);
        assert!(!read("1").unwrap().include_body);
        assert!(!Question::read(|_| None).unwrap().include_body);
    }
}
