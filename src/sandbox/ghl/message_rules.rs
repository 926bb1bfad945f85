//! What a message must get right before it is recorded: its contact, its
//! conversation provider, and for a call the other party.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::answers::{bad_request, invalid, no_contact};
use super::book::text;
use super::state::{ProviderKind, State};
use crate::sandbox::shape::{Fields, Kind, violations};
use crate::sandbox::wire::Answer;

const CALL_STATUSES: &[&str] = &[
    "pending",
    "completed",
    "answered",
    "busy",
    "no-answer",
    "failed",
    "canceled",
    "voicemail",
];
const CALL: &Fields = &[
    ("to", Kind::Text),
    ("from", Kind::Text),
    ("status", Kind::OneOf(CALL_STATUSES)),
];

/// Reads the parts a plain kind check does not cover.
pub(super) fn check_parts(body: &Map<String, Value>, wrong: &mut Vec<String>) {
    if text(body, "contactId").is_none() && text(body, "conversationId").is_none() {
        wrong.push("contactId or conversationId should not be empty".to_owned());
    }
    if text(body, "date").is_some_and(|date| DateTime::parse_from_rfc3339(date).is_err()) {
        wrong.push("date must be a valid ISO 8601 date string".to_owned());
    }
    if let Some(call) = body.get("call") {
        let call = call.as_object().cloned().unwrap_or_default();
        wrong.extend(
            violations(&call, &[CALL], &[])
                .into_iter()
                .map(|(_, text)| format!("call.{text}")),
        );
    }
}

/// The provider rules, before anything is created.
pub(super) fn check_provider(state: &State, kind: &str, given: Option<&str>) -> Result<(), Answer> {
    let incorrect = || Err(bad_request("Incorrect conversationProviderId/type"));
    let missing = || Err(bad_request("No conversationProviderId passed in body"));
    let (id, fits, required) = match (kind, &state.provider, &state.call_provider) {
        ("Call", _, Some(id)) => (id, true, true),
        ("Call", _, None) | (_, None, _) => match given {
            Some(_) => return incorrect(),
            None => return missing(),
        },
        (kind, Some((id, ProviderKind::Custom)), _) => (id, kind == "Custom", true),
        (kind, Some((id, ProviderKind::Sms)), _) => (id, kind == "SMS", false),
    };
    match given {
        None if required => missing(),
        Some(given) if given != id => incorrect(),
        _ if !fits => incorrect(),
        _ => Ok(()),
    }
}

/// A call's other party must be the contact.
pub(super) fn check_party(state: &State, body: &Map<String, Value>, side: &str) -> Result<(), Answer> {
    let contact = contact_of(state, body)?;
    let phone = state.book.get(&contact).and_then(|contact| text(contact, "phone"));
    let party = body.get("call").and_then(|call| call.get(side)).and_then(Value::as_str);
    if phone.is_some() && party == phone {
        return Ok(());
    }
    Err(bad_request(&format!("call.{side} does not match the contact's phone")))
}

/// The contact a message belongs to.
pub(super) fn contact_of(state: &State, body: &Map<String, Value>) -> Result<String, Answer> {
    let contact = match (text(body, "contactId"), text(body, "conversationId")) {
        (Some(contact), _) => contact.to_owned(),
        (None, Some(id)) => {
            let mut known = state.conversations.iter();
            let found = known.find(|(_, conversation)| conversation.as_str() == id);
            let missing = || bad_request(&format!("Conversation with id {id} not found"));
            found.map(|(contact, _)| contact.clone()).ok_or_else(missing)?
        }
        (None, None) => return Err(invalid("contactId should not be empty")),
    };
    match state.book.get(&contact) {
        Some(_) => Ok(contact),
        None => Err(no_contact(&contact)),
    }
}
