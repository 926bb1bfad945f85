//! Texts in GHL's conversations: recording one that happened elsewhere, and
//! telling the fate of one an agent wrote in GHL (vendors/ghl.md 3).

use std::sync::atomic::Ordering;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::{CONVERSATIONS, GhlClient, Operation};
use crate::domain::{GhlContactId, TextDirection};
use crate::loops::Intent;
use crate::vendors::budget::Priority;
use crate::vendors::classify::PROVIDER_MISMATCH;
use crate::vendors::error::VendorError;
use crate::vendors::route::Route;
use crate::wire::json::{array, text, time};

/// The types a text's provider may want. The documents say `SMS`; live, a
/// custom provider is accepted as `Custom` only (vendors/ghl.md 3.1), and no
/// call tells which it is.
const TYPES: [&str; 2] = ["Custom", "SMS"];

/// A text that happened, to be shown in the contact's conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRecord {
    /// Whose conversation.
    pub contact: GhlContactId,
    /// Always sent: the vendor's default on this path is `outbound`.
    pub direction: TextDirection,
    /// The words.
    pub body: String,
    /// When it was sent or received.
    pub date: DateTime<Utc>,
    /// The texting vendor's message id.
    pub alt_id: Option<String>,
    /// Media addresses.
    pub attachments: Vec<String>,
}

/// The fate of a text, as GHL knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// It arrived.
    Delivered,
    /// It was refused or lost.
    Failed,
    /// It is on its way.
    Pending,
    /// It was read.
    Read,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordBody<'c> {
    r#type: &'static str,
    contact_id: &'c str,
    conversation_provider_id: &'c str,
    direction: &'static str,
    message: &'c str,
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt_id: Option<&'c str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    attachments: &'c [String],
}

#[derive(Serialize)]
struct StatusBody<'c> {
    status: MessageStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<StatusError<'c>>,
}

#[derive(Serialize)]
struct StatusError<'c> {
    code: &'static str,
    r#type: &'static str,
    message: &'c str,
}

impl GhlClient {
    /// Whether a provider is configured, without which no text can be written
    /// into a conversation and a note takes its place.
    pub fn has_conversations(&self) -> bool {
        self.shared.provider_id.is_some()
    }

    /// Records a text and returns GHL's message id. Sends nothing to anybody.
    ///
    /// # Errors
    /// [`VendorError::Incomplete`] when the answer has no `messageId`: GHL has
    /// answered 201 and stored nothing (I#70). [`VendorError::Refused`] without
    /// a provider.
    pub async fn record_message(&self, _proof: &Intent, record: &MessageRecord) -> Result<String, VendorError> {
        let provider_type = &self.shared.provider_type;
        let known = usize::from(provider_type.load(Ordering::Relaxed)) % TYPES.len();
        let mut outcome = self.record_as(record, known).await;
        if is_mismatch(&outcome) {
            // Refused before anything was created: the other type may be tried.
            let other = (known + 1) % TYPES.len();
            outcome = self.record_as(record, other).await;
            if outcome.is_ok() {
                provider_type.store(u8::from(other != 0), Ordering::Relaxed);
            }
        }
        outcome
    }

    /// The id of a text already in the contact's conversation: same direction,
    /// words and minute. Messages have no external id that could be asked for.
    ///
    /// # Errors
    /// See [`VendorError`].
    pub async fn find_message(
        &self,
        contact: &GhlContactId,
        direction: TextDirection,
        body: &str,
        at: DateTime<Utc>,
    ) -> Result<Option<String>, VendorError> {
        let minute = |time: DateTime<Utc>| time.timestamp().div_euclid(60);
        self.find_in_conversation(contact, |message, added| {
            text(message, &["direction"]).as_deref() == Some(direction.as_str())
                && message.get("body").and_then(Value::as_str) == Some(body)
                && added.is_none_or(|added| minute(added) >= minute(at))
        })
        .await
    }

    /// The id of the newest message of the contact that `is_it`, which sees the
    /// message and when it was added.
    pub(super) async fn find_in_conversation(
        &self,
        contact: &GhlContactId,
        is_it: impl Fn(&Value, Option<DateTime<Utc>>) -> bool,
    ) -> Result<Option<String>, VendorError> {
        let query = [
            ("locationId", self.shared.location_id.as_str()),
            ("contactId", contact.as_str()),
        ];
        let search = Route::new("/conversations/search");
        let found = self
            .read_from(CONVERSATIONS, "search_conversations", &search, &query)
            .await?;
        for conversation in array(&found, &["conversations"]).unwrap_or_default() {
            let Some(id) = text(conversation, &["id"]) else {
                continue;
            };
            let route = Route::new("/conversations").id(&id)?.then("/messages");
            let page = self.read_from(CONVERSATIONS, "list_messages", &route, &[]).await?;
            // Live answers nest one level deeper than the documents (I#54).
            let messages = array(&page, &["messages.messages", "messages"]).unwrap_or_default();
            let same = messages
                .iter()
                .find(|message| is_it(message, time(message, &["dateAdded"])));
            if let Some(message) = same {
                return Ok(text(message, &["id"]));
            }
        }
        Ok(None)
    }

    async fn record_as(&self, record: &MessageRecord, kind: usize) -> Result<String, VendorError> {
        let Some(provider) = self.shared.provider_id.as_deref() else {
            return Err(VendorError::Refused {
                reason: "no conversation provider is configured",
            });
        };
        let body = RecordBody {
            r#type: TYPES.get(kind).copied().unwrap_or("SMS"),
            contact_id: record.contact.as_str(),
            conversation_provider_id: provider,
            direction: record.direction.as_str(),
            message: &record.body,
            date: record.date.to_rfc3339_opts(SecondsFormat::Millis, true),
            alt_id: record.alt_id.as_deref(),
            attachments: &record.attachments,
        };
        let route = Route::new("/conversations/messages/inbound");
        let answer = self
            .write(conversation("record_message", Method::POST), &route, &body)
            .await?;
        text(&answer, &["messageId"]).ok_or(VendorError::Incomplete { missing: "messageId" })
    }

    /// Tells the fate of a text that an agent wrote in GHL. Only a token of
    /// the app that owns the provider may do it. `error` goes with
    /// [`MessageStatus::Failed`] and is shown to the agent: no personal data.
    ///
    /// # Errors
    /// See [`VendorError`].
    pub async fn update_message_status(
        &self,
        _proof: &Intent,
        message_id: &str,
        status: MessageStatus,
        error: Option<&str>,
    ) -> Result<(), VendorError> {
        let error = error.map(|message| StatusError {
            code: "1",
            r#type: "saas",
            message,
        });
        let route = Route::new("/conversations/messages").id(message_id)?.then("/status");
        let operation = conversation("update_message_status", Method::PUT);
        self.write(operation, &route, &StatusBody { status, error }).await?;
        Ok(())
    }
}

fn is_mismatch(outcome: &Result<String, VendorError>) -> bool {
    matches!(outcome, Err(VendorError::Rejected { code: Some(code), .. }) if code == PROVIDER_MISMATCH)
}

pub(super) fn conversation(name: &'static str, method: Method) -> Operation {
    Operation {
        name,
        method,
        version: CONVERSATIONS,
        priority: Priority::Message,
    }
}
