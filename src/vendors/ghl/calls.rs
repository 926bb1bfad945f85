//! Calls in GHL's conversations, under the call provider of a marketplace app.
//! They carry no duration and no words: those stay in the note (vendors/ghl.md 3.2).

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde::Serialize;

use super::GhlClient;
use super::conversations::conversation;
use crate::domain::{GhlContactId, Phone, TextDirection};
use crate::loops::Intent;
use crate::vendors::error::VendorError;
use crate::vendors::route::Route;
use crate::wire::json::text;

/// How a call ended, in GHL's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// They talked.
    Completed,
    /// Nobody took it.
    NoAnswer,
    /// It could not be made.
    Failed,
    /// The caller gave up.
    Canceled,
    /// A voicemail was left.
    Voicemail,
}

/// A call that happened, to be shown in the contact's conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// Whose conversation.
    pub contact: GhlContactId,
    /// Which way it went.
    pub direction: TextDirection,
    /// The consumer; GHL compares it with the contact's phone.
    pub consumer: Phone,
    /// Our own line, if it is known.
    pub ours: Option<Phone>,
    /// How it ended.
    pub status: CallStatus,
    /// When it began.
    pub date: DateTime<Utc>,
    /// The dialer's id of the call.
    pub alt_id: String,
    /// The recording's address, if it may be shown.
    pub recording: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallBody<'c> {
    r#type: &'static str,
    contact_id: &'c str,
    conversation_provider_id: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    call: Parties<'c>,
    date: String,
    alt_id: &'c str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    attachments: &'c [String],
}

#[derive(Serialize)]
struct Parties<'c> {
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'c str>,
    status: CallStatus,
}

impl GhlClient {
    /// Whether calls can be written into conversations.
    pub fn has_calls(&self) -> bool {
        self.shared.call_provider_id.is_some()
    }

    /// Records a call and returns GHL's message id. Rings nowhere.
    ///
    /// # Errors
    /// [`VendorError::Incomplete`] when the answer has no `messageId`,
    /// [`VendorError::Refused`] without a call provider, and
    /// [`VendorError::Rejected`] when GHL keeps another phone for the contact.
    pub async fn record_call(&self, _proof: &Intent, record: &CallRecord) -> Result<String, VendorError> {
        let Some(provider) = self.shared.call_provider_id.as_deref() else {
            return Err(VendorError::Refused {
                reason: "no call provider is configured",
            });
        };
        let (theirs, ours) = (Some(record.consumer.as_str()), record.ours.as_ref().map(Phone::as_str));
        // The path for outbound calls takes no direction, the other one needs it:
        // its default is outbound.
        let (path, direction, from, to) = match record.direction {
            TextDirection::Inbound => ("/conversations/messages/inbound", Some("inbound"), theirs, ours),
            TextDirection::Outbound => ("/conversations/messages/outbound", None, ours, theirs),
        };
        let recording: Vec<String> = record.recording.iter().cloned().collect();
        let body = CallBody {
            r#type: "Call",
            contact_id: record.contact.as_str(),
            conversation_provider_id: provider,
            direction,
            call: Parties {
                to,
                from,
                status: record.status,
            },
            date: record.date.to_rfc3339_opts(SecondsFormat::Millis, true),
            alt_id: &record.alt_id,
            attachments: &recording,
        };
        let operation = conversation("record_call", Method::POST);
        let answer = self.write(operation, &Route::new(path), &body).await?;
        text(&answer, &["messageId"]).ok_or(VendorError::Incomplete { missing: "messageId" })
    }

    /// The id of a call already in the contact's conversation, recorded at most
    /// `ago` ago: same direction, and dated with the call's minute or since then.
    /// Whether GHL dates an entry as it was told is on no record, and messages have
    /// no external id that could be asked for.
    ///
    /// # Errors
    /// See [`VendorError`].
    pub async fn find_call(&self, record: &CallRecord, ago: Duration) -> Result<Option<String>, VendorError> {
        let minute = |time: DateTime<Utc>| time.timestamp().div_euclid(60);
        let announced = minute(Utc::now() - ago);
        self.find_in_conversation(&record.contact, |message, added| {
            text(message, &["messageType"]).is_some_and(|kind| kind.contains("CALL"))
                && text(message, &["direction"]).as_deref() == Some(record.direction.as_str())
                && added.is_some_and(|added| minute(added) == minute(record.date) || minute(added) >= announced)
        })
        .await
    }
}
