//! Messages recorded in a contact's conversation.
//!
//! POST /conversations/messages, which really sends, is left out on purpose:
//! the daemon must never call it, so it counts as unmatched.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::answers::{
    Outcome, bad_request, check_location, invalid, no_contact, ok, only_query, read_body,
    unprocessable,
};
use super::book::{new_id, stamp, text};
use super::state::{ProviderKind, State};
use crate::sandbox::shape::{Fields, Kind, violations};
use crate::sandbox::wire::{Answer, Request};

const INBOUND_TYPES: &[&str] = &[
    "SMS",
    "RCS",
    "Email",
    "WhatsApp",
    "GMB",
    "IG",
    "FB",
    "Custom",
    "WebChat",
    "Live_Chat",
    "Call",
    "IVR_Call",
    "Campaign_Call",
    "Campaign_VoiceMail",
    "TIKTOK",
    "ALL_IN_ONE_CHAT",
    "FORM_SUBMISSION",
];
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
const COMMON: &Fields = &[
    ("attachments", Kind::Texts),
    ("conversationId", Kind::Text),
    ("contactId", Kind::Text),
    ("conversationProviderId", Kind::Text),
    ("altId", Kind::Text),
    ("date", Kind::Text),
    ("call", Kind::Any),
];
const INBOUND: &Fields = &[
    ("type", Kind::OneOf(INBOUND_TYPES)),
    ("message", Kind::Text),
    ("direction", Kind::OneOf(&["inbound", "outbound"])),
    ("html", Kind::Text),
    ("subject", Kind::Text),
];
const OUTBOUND: &Fields = &[("type", Kind::OneOf(&["Call"]))];
const CALL: &Fields = &[
    ("to", Kind::Text),
    ("from", Kind::Text),
    ("status", Kind::OneOf(CALL_STATUSES)),
];
const STATUS: &Fields = &[
    (
        "status",
        Kind::OneOf(&["delivered", "failed", "pending", "read"]),
    ),
    ("error", Kind::Any),
    ("emailMessageId", Kind::Text),
    ("recipients", Kind::Texts),
];
const ERROR: &Fields = &[
    ("code", Kind::Text),
    ("type", Kind::Text),
    ("message", Kind::Text),
];

/// POST /conversations/messages/inbound. Properties it does not know are
/// ignored here, unlike on contacts; the default direction is outbound.
pub(super) fn inbound(state: &mut State, request: &Request) -> Outcome {
    let body = request.object();
    let known: Map<String, Value> = body
        .into_iter()
        .filter(|(name, _)| COMMON.iter().chain(INBOUND).any(|(key, _)| key == name))
        .collect();
    let mut wrong: Vec<String> = violations(&known, &[COMMON, INBOUND], &[])
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    if !known.contains_key("type") {
        wrong.push("type must be a valid enum value".to_owned());
    }
    check_parts(&known, &mut wrong);
    if !wrong.is_empty() {
        return Err(unprocessable(&wrong));
    }
    let kind = text(&known, "type").unwrap_or_default();
    check_provider(state, kind, text(&known, "conversationProviderId"))?;
    let direction = text(&known, "direction").unwrap_or("outbound").to_owned();
    if kind == "Call" {
        check_party(
            state,
            &known,
            if direction == "inbound" { "from" } else { "to" },
        )?;
    }
    store(state, known, &direction)
}

/// POST /conversations/messages/outbound: calls only.
pub(super) fn outbound(state: &mut State, request: &Request) -> Outcome {
    let body = read_body(request, &[COMMON, OUTBOUND], &["type", "call"])?;
    let mut wrong = Vec::new();
    check_parts(&body, &mut wrong);
    if !wrong.is_empty() {
        return Err(unprocessable(&wrong));
    }
    check_provider(state, "Call", text(&body, "conversationProviderId"))?;
    check_party(state, &body, "to")?;
    store(state, body, "outbound")
}

/// PUT /conversations/messages/{id}/status. Only the app that owns the
/// provider may; the body of the real refusal is not known.
pub(super) fn status(state: &mut State, request: &Request, id: &str) -> Outcome {
    let body = read_body(request, &[STATUS], &["status"])?;
    if let Some(error) = body.get("error") {
        let error = error.as_object().cloned().unwrap_or_default();
        let found = violations(&error, &[ERROR], &["code", "type", "message"]);
        if !found.is_empty() {
            let texts: Vec<String> = found
                .into_iter()
                .map(|(_, text)| format!("error.{text}"))
                .collect();
            return Err(unprocessable(&texts));
        }
    }
    if state
        .status_token
        .as_deref()
        .is_some_and(|token| request.bearer() != Some(token))
    {
        let message = "The token is not authorized for this scope.";
        return Err(super::answers::unauthorized(message));
    }
    let mut messages = state.messages.iter_mut().filter_map(Value::as_object_mut);
    let Some(message) = messages.find(|message| text(message, "id") == Some(id)) else {
        return Err(bad_request(&format!("Message with id {id} not found")));
    };
    message.extend(body);
    let conversation = message.get("conversationId").cloned();
    Ok(ok(
        &json!({"conversationId": conversation, "messageId": id, "msg": "Status updated"}),
    ))
}

/// GET /conversations/messages/{id}, nested as live answers are.
pub(super) fn get(state: &State, id: &str) -> Outcome {
    let found = state
        .messages
        .iter()
        .find(|message| message.get("id") == Some(&json!(id)));
    let message = found.ok_or_else(|| bad_request(&format!("Message with id {id} not found")))?;
    Ok(ok(
        &json!({"message": message, "traceId": uuid::Uuid::new_v4().to_string()}),
    ))
}

/// GET /conversations/search?locationId=&contactId=
pub(super) fn search(state: &State, request: &Request) -> Outcome {
    only_query(request, &["locationId", "contactId", "limit"])?;
    check_location(request.query("locationId"), &state.location)?;
    let conversations: Vec<Value> = state
        .conversations
        .iter()
        .filter(|(contact, _)| {
            request
                .query("contactId")
                .is_none_or(|id| id == contact.as_str())
        })
        .map(|(contact, id)| json!({"id": id, "contactId": contact, "locationId": state.location}))
        .collect();
    let total = conversations.len();
    Ok(ok(&json!({"conversations": conversations, "total": total})))
}

/// GET /conversations/{id}/messages, newest first, nested as live answers are.
pub(super) fn list(state: &State, request: &Request, conversation: &str) -> Outcome {
    only_query(request, &["lastMessageId", "limit", "type"])?;
    if !state
        .conversations
        .values()
        .any(|known| known == conversation)
    {
        return Err(bad_request(&format!(
            "Conversation with id {conversation} not found"
        )));
    }
    let limit = request
        .query("limit")
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_usize);
    let after = request.query("lastMessageId");
    let of_conversation = || {
        let newest_first = state.messages.iter().rev();
        newest_first.filter(|one| one.get("conversationId") == Some(&json!(conversation)))
    };
    let skip = after.map_or(0, |id| {
        of_conversation()
            .position(|one| one.get("id") == Some(&json!(id)))
            .map_or(0, |at| at + 1)
    });
    let page: Vec<&Value> = of_conversation().skip(skip).take(limit).collect();
    let more = of_conversation().count() > skip + page.len();
    let last = page.last().and_then(|message| message.get("id"));
    Ok(ok(
        &json!({"messages": {"lastMessageId": last, "nextPage": more, "messages": page}}),
    ))
}

/// Reads the parts a plain kind check does not cover.
fn check_parts(body: &Map<String, Value>, wrong: &mut Vec<String>) {
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
fn check_provider(state: &State, kind: &str, given: Option<&str>) -> Result<(), Answer> {
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
fn check_party(state: &State, body: &Map<String, Value>, side: &str) -> Result<(), Answer> {
    let contact = contact_of(state, body)?;
    let phone = state
        .book
        .get(&contact)
        .and_then(|contact| text(contact, "phone"));
    let party = body
        .get("call")
        .and_then(|call| call.get(side))
        .and_then(Value::as_str);
    if phone.is_some() && party == phone {
        return Ok(());
    }
    Err(bad_request(&format!(
        "call.{side} does not match the contact's phone"
    )))
}

/// The contact a message belongs to.
fn contact_of(state: &State, body: &Map<String, Value>) -> Result<String, Answer> {
    let contact = match (text(body, "contactId"), text(body, "conversationId")) {
        (Some(contact), _) => contact.to_owned(),
        (None, Some(id)) => {
            let mut known = state.conversations.iter();
            let found = known.find(|(_, conversation)| conversation.as_str() == id);
            let missing = || bad_request(&format!("Conversation with id {id} not found"));
            found
                .map(|(contact, _)| contact.clone())
                .ok_or_else(missing)?
        }
        (None, None) => return Err(invalid("contactId should not be empty")),
    };
    match state.book.get(&contact) {
        Some(_) => Ok(contact),
        None => Err(no_contact(&contact)),
    }
}

/// Records the message. Nothing dedupes by `altId`: no promise of that exists.
fn store(state: &mut State, body: Map<String, Value>, direction: &str) -> Outcome {
    let contact = contact_of(state, &body)?;
    let conversation = state
        .conversations
        .entry(contact.clone())
        .or_insert_with(new_id)
        .clone();
    let id = new_id();
    let now = stamp(Utc::now());
    let mut message = body;
    let content = text(&message, "message").unwrap_or_default().to_owned();
    let added = text(&message, "date").map_or_else(|| now.clone(), str::to_owned);
    for (name, value) in [
        ("id", json!(id)),
        ("contactId", json!(contact)),
        ("conversationId", json!(conversation)),
        ("locationId", json!(state.location)),
        ("direction", json!(direction)),
        ("body", json!(content)),
        ("dateAdded", json!(added)),
        ("status", json!("delivered")),
        ("source", json!("api")),
    ] {
        message.insert(name.to_owned(), value);
    }
    announce(state, &message);
    state.messages.push_back(Value::Object(message));
    while state.messages.len() > state.keep_last {
        state.messages.pop_front();
    }
    Ok(ok(&json!({
        "success": true, "conversationId": conversation, "messageId": id,
        "message": content, "contactId": contact, "dateAdded": now,
    })))
}

/// Recording by API comes back as a webhook too, with source `api`.
fn announce(state: &mut State, message: &Map<String, Value>) {
    let kind = match text(message, "direction") {
        Some("inbound") => "InboundMessage",
        _ => "OutboundMessage",
    };
    let mut event = Map::new();
    for name in [
        "contactId",
        "conversationId",
        "direction",
        "body",
        "attachments",
        "dateAdded",
        "status",
        "source",
        "conversationProviderId",
    ] {
        if let Some(value) = message.get(name) {
            event.insert(name.to_owned(), value.clone());
        }
    }
    let channel = text(message, "type").unwrap_or_default();
    let channel = if channel == "Call" { "CALL" } else { channel };
    event.insert("messageType".into(), json!(channel));
    event.insert(
        "messageId".into(),
        message.get("id").cloned().unwrap_or_default(),
    );
    state.announce(kind, event);
}
