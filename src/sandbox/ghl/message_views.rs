//! Conversations and messages as the API shows them, which is not how a write
//! spells them: typed by number and name, and every required property there.

use serde_json::{Map, Value, json};

use super::book::text;
use super::state::State;

/// What a message keeps of a write when it is read.
const READ: &[&str] = &[
    "id",
    "locationId",
    "contactId",
    "conversationId",
    "dateAdded",
    "body",
    "direction",
    "status",
    "attachments",
    "source",
    "userId",
    "conversationProviderId",
];

/// A conversation as the search shows it: every property of the schema is required.
pub(super) fn conversation_view(state: &State, contact: &str, id: &str) -> Value {
    let person = state.book.get(contact);
    let of_person = |name: &str| person.and_then(|person| text(person, name)).unwrap_or_default();
    let mut newest_first = state.messages.iter().rev();
    let last = newest_first
        .find(|message| message.get("conversationId") == Some(&json!(id)))
        .map(message_view)
        .unwrap_or_default();
    let of_last = |name: &str| last.get(name).and_then(Value::as_str);
    json!({
        "id": id, "contactId": contact, "locationId": state.location, "type": "TYPE_PHONE", "unreadCount": 0,
        "lastMessageBody": of_last("body").unwrap_or_default(),
        "lastMessageType": of_last("messageType").unwrap_or("TYPE_SMS"),
        "fullName": of_person("name"), "contactName": of_person("name"),
        "email": of_person("email"), "phone": of_person("phone"),
    })
}

/// A message as it is read: typed by number and name, without what only a write
/// has. The number of a custom provider's text is not documented; 20 is a guess.
pub(super) fn message_view(message: &Value) -> Value {
    let (number, name) = match message.get("type").and_then(Value::as_str) {
        Some("Call") => (1, "TYPE_CALL"),
        Some("Custom") => (20, "TYPE_CUSTOM_PROVIDER_SMS"),
        _ => (2, "TYPE_SMS"),
    };
    let mut shown = Map::new();
    for property in READ {
        if let Some(value) = message.get(*property) {
            shown.insert((*property).to_owned(), value.clone());
        }
    }
    shown.insert("type".into(), json!(number));
    shown.insert("messageType".into(), json!(name));
    shown.insert("contentType".into(), json!("text/plain"));
    Value::Object(shown)
}
