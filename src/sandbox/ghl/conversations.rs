//! Messages recorded in a contact's conversation.
//!
//! POST /conversations/messages, which really sends, is left out on purpose:
//! the daemon must never call it, so it counts as unmatched.

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::answers::{Outcome, bad_request, check_location, ok, only_query, read_body, unauthorized, unprocessable};
use super::book::{new_id, stamp, text};
use super::message_rules::{check_parts, check_party, check_provider, contact_of};
use super::message_views::{conversation_view, message_view};
use super::state::State;
use crate::sandbox::shape::{Fields, Kind, violations};
use crate::sandbox::wire::Request;

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
const STATUS: &Fields = &[
    ("status", Kind::OneOf(&["delivered", "failed", "pending", "read"])),
    ("error", Kind::Any),
    ("emailMessageId", Kind::Text),
    ("recipients", Kind::Texts),
];
const ERROR: &Fields = &[("code", Kind::Text), ("type", Kind::Text), ("message", Kind::Text)];

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
        check_party(state, &known, if direction == "inbound" { "from" } else { "to" })?;
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
            let texts: Vec<String> = found.into_iter().map(|(_, text)| format!("error.{text}")).collect();
            return Err(unprocessable(&texts));
        }
    }
    let owned = state.provider.is_some() || state.call_provider.is_some();
    let wrong_app = state
        .status_token
        .as_deref()
        .is_some_and(|app| request.bearer() != Some(app));
    if !owned || wrong_app {
        return Err(unauthorized("The token is not authorized for this scope."));
    }
    let mut messages = state.messages.iter_mut().filter_map(Value::as_object_mut);
    let Some(message) = messages.find(|message| text(message, "id") == Some(id)) else {
        return Err(bad_request(&format!("Message with id {id} not found")));
    };
    let told = body.get("status").cloned();
    message.extend(body);
    let conversation = message.get("conversationId").cloned();
    Ok(ok(
        &json!({"conversationId": conversation, "messageId": id, "status": told}),
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
        &json!({"message": message_view(message), "traceId": uuid::Uuid::new_v4().to_string()}),
    ))
}

/// GET /conversations/search?locationId=&contactId=
pub(super) fn search(state: &State, request: &Request) -> Outcome {
    only_query(request, &["locationId", "contactId", "limit"])?;
    check_location(request.query("locationId"), &state.location)?;
    let conversations: Vec<Value> = state
        .conversations
        .iter()
        .filter(|(contact, _)| request.query("contactId").is_none_or(|id| id == contact.as_str()))
        .map(|(contact, id)| conversation_view(state, contact, id))
        .collect();
    let total = conversations.len();
    Ok(ok(&json!({"conversations": conversations, "total": total})))
}

/// GET /conversations/{id}/messages, newest first, nested as live answers are.
pub(super) fn list(state: &State, request: &Request, conversation: &str) -> Outcome {
    only_query(request, &["lastMessageId", "limit", "type"])?;
    if !state.conversations.values().any(|known| known == conversation) {
        return Err(bad_request(&format!("Conversation with id {conversation} not found")));
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
    let page: Vec<Value> = of_conversation().skip(skip).take(limit).map(message_view).collect();
    let more = of_conversation().count() > skip + page.len();
    let last = page
        .last()
        .and_then(|message| message["id"].as_str())
        .unwrap_or_default();
    Ok(ok(
        &json!({"messages": {"lastMessageId": last, "nextPage": more, "messages": page}}),
    ))
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
    let told = text(&message, "date").filter(|_| !state.own_dates);
    let added = told.map_or_else(|| now.clone(), str::to_owned);
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
    event.insert("messageId".into(), message.get("id").cloned().unwrap_or_default());
    state.announce(kind, event);
}
