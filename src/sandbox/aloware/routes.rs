//! Aloware's public endpoints and the two ways it answers unknown ones: a web
//! page for GET, 405 for everything else.
//!
//! Destructive or billed endpoints (`powerdialer-clear-*`, `two-legged-call`)
//! are left out on purpose: the daemon must never call them. The vendor's
//! answer to a bad token was never observed; the 401 here is a guess.

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::contact::{AlowareContact, integer, truthy};
use super::state::State;
use crate::sandbox::shape::{Fields, Kind, e164, violations};
use crate::sandbox::wire::{Answer, Request};

/// Where every public path begins.
const BASE: &str = "/api/v1/webhook/";
const TOKEN: &Fields = &[("api_token", Kind::Text)];
const FORM: &Fields = &[
    ("phone_number", Kind::Text),
    ("force_update", Kind::LooseFlag),
    ("name", Kind::TextOrNull),
    ("first_name", Kind::TextOrNull),
    ("last_name", Kind::TextOrNull),
    ("email", Kind::TextOrNull),
    ("company_name", Kind::TextOrNull),
    ("lead_source", Kind::TextOrNull),
    ("timezone", Kind::TextOrNull),
    ("city", Kind::TextOrNull),
    ("state", Kind::TextOrNull),
    ("zipcode", Kind::TextOrNull),
    ("country", Kind::TextOrNull),
    ("address", Kind::TextOrNull),
    ("website", Kind::TextOrNull),
    ("notes", Kind::TextOrNull),
    ("csf1", Kind::TextOrNull),
    ("csf2", Kind::TextOrNull),
    ("date_of_birth", Kind::TextOrNull),
    ("other_phone_numbers", Kind::Any),
    ("user_id", Kind::Id),
    ("distribute_to_ring_group", Kind::LooseFlag),
    ("ring_group_id", Kind::Id),
    ("check_available_users", Kind::LooseFlag),
    ("check_available_users_with_fallback", Kind::LooseFlag),
    ("add_to_powerdialer", Kind::LooseFlag),
    ("powerdialer_position", Kind::OneOf(&["top", "bottom"])),
    ("sequence_id", Kind::Id),
    ("force_update_sequence", Kind::LooseFlag),
    ("line_id", Kind::Id),
    ("tag_id", Kind::Id),
    ("disposition_status_id", Kind::Id),
    ("tags", Kind::Text),
    ("list_ids", Kind::Text),
    ("is_dnc", Kind::LooseFlag),
];
const REMOVE: &Fields = &[("contact_id", Kind::Id)];
const SMS: &Fields = &[
    ("from", Kind::Text),
    ("line_id", Kind::Id),
    ("to", Kind::Text),
    ("message", Kind::Text),
    ("image_url", Kind::Text),
    ("user_id", Kind::Number),
    ("force_random", Kind::LooseFlag),
    ("custom_fields", Kind::Any),
];
const SOURCES: &[&str] = &["phone_number", "aloware", "hubspot", "zoho", "guesty", "pipedrive"];
const SEQUENCE: &Fields = &[
    ("sequence_id", Kind::Id),
    ("source", Kind::OneOf(SOURCES)),
    ("phone_number", Kind::Text),
    ("id", Kind::Id),
    ("force_enroll", Kind::LooseFlag),
];

/// Whether the simulator has this method and path.
pub(super) fn knows(request: &Request) -> bool {
    matches!(
        (request.method.as_str(), request.path.strip_prefix(BASE)),
        ("GET", Some("contact/phone-number" | "users"))
            | (
                "POST",
                Some(
                    "forms"
                        | "powerdialer-remove-contact-from-lists"
                        | "sms-gateway/send"
                        | "sequence-enroll"
                        | "sequence-disenroll"
                )
            )
    )
}

/// Answers a request.
pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
    let path = request.path.strip_prefix(BASE).unwrap_or_default();
    let outcome = match (request.method.as_str(), path) {
        ("GET", _) if !knows(request) => Ok(Answer::html(200)),
        (_, _) if !knows(request) => Ok(error(405, "message", "The method is not supported for this route.")),
        ("GET", "users") => by_query(state, request).map(|()| Answer::json(200, &Value::Array(state.users.clone()))),
        ("GET", _) => by_query(state, request).map(|()| lookup(state, request)),
        (_, "forms") => form(state, request),
        (_, "powerdialer-remove-contact-from-lists") => remove_from_lists(state, request),
        (_, "sms-gateway/send") => send(state, request),
        (_, path) => sequence(state, request, path == "sequence-enroll"),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

fn lookup(state: &State, request: &Request) -> Answer {
    let Some(phone) = request.query("phone_number").and_then(e164) else {
        return error(400, "error", "Phone number is empty or invalid.");
    };
    match state.by_phone(&phone) {
        Some(contact) => Answer::json(200, &contact.lookup()),
        None => error(404, "error", "Contact not found."),
    }
}

/// POST forms: creates, or with `force_update` updates, the contact that has
/// this phone. The body of the real 200 was never shown; it has no id here.
fn form(state: &mut State, request: &Request) -> Result<Answer, Answer> {
    let form = by_body(state, request, FORM, &["phone_number"])?;
    let raw = form.get("phone_number").and_then(Value::as_str).unwrap_or_default();
    let Some(phone) = e164(raw) else {
        return Err(error(400, "error", "Phone number is empty or invalid."));
    };
    let now = Utc::now();
    let Some(before) = state.by_phone(&phone).cloned() else {
        let mut contact = AlowareContact::new(state.next_id(), &phone, now);
        contact.write(&form);
        let id = contact.id;
        state.announce("Contact-Created", &contact);
        state.put(contact);
        let body = json!({"message": "Contact created.", "contact_id": id});
        return Ok(Answer::json(201, &body));
    };
    if !form.get("force_update").is_some_and(truthy) {
        return Err(error(409, "message", "Contact already exists"));
    }
    let mut contact = before.clone();
    contact.write(&form);
    state.replace(&before, contact, now);
    Ok(error(200, "message", "Contact updated."))
}

/// Takes the contact off every list; one list alone cannot be named.
fn remove_from_lists(state: &mut State, request: &Request) -> Result<Answer, Answer> {
    let body = by_body(state, request, REMOVE, &["contact_id"])?;
    let id = body.get("contact_id").and_then(integer).unwrap_or_default();
    let Some(contact) = state.by_id_mut(id) else {
        return Err(error(404, "message", "The requested contact id does not exist."));
    };
    contact.lists.clear();
    contact.in_power_dialer = false;
    let text = "The contact has been removed from the Power Dialer lists.";
    Ok(error(200, "message", text))
}

/// 202 means accepted, not sent, and names no message.
fn send(state: &mut State, request: &Request) -> Result<Answer, Answer> {
    let body = by_body(state, request, SMS, &["to", "message"])?;
    if !body.contains_key("from") && !body.contains_key("line_id") {
        let wrong = [("from".to_owned(), "from should not be empty".to_owned())];
        return Err(unprocessable(&wrong));
    }
    state.sent.push(Value::Object(body));
    Ok(error(202, "message", "Message sent."))
}

fn sequence(state: &mut State, request: &Request, enrol: bool) -> Result<Answer, Answer> {
    let required: &[&str] = if enrol { &["sequence_id", "source"] } else { &["source"] };
    let body = by_body(state, request, SEQUENCE, required)?;
    let failed = || error(400, "message", "The contact could not be found.");
    let id = match body.get("source").and_then(Value::as_str) {
        Some("phone_number") => body
            .get("phone_number")
            .and_then(|phone| e164(phone.as_str()?))
            .and_then(|phone| Some(state.by_phone(&phone)?.id)),
        Some("aloware") => body.get("id").and_then(integer),
        _ => None,
    };
    let contact = id.and_then(|id| state.by_id_mut(id)).ok_or_else(failed)?;
    let sequence = body.get("sequence_id").and_then(integer).filter(|_| enrol);
    contact.values.insert("sequence_id".into(), json!(sequence));
    Ok(error(
        200,
        "message",
        match enrol {
            true => "Contact is successfully enrolled in the sequence.",
            false => "Contact is successfully disenrolled.",
        },
    ))
}

/// GET takes the token from the query.
pub(super) fn by_query(state: &State, request: &Request) -> Result<(), Answer> {
    match request.query("api_token") {
        Some(token) if token == state.token => Ok(()),
        _ => Err(error(401, "error", "Unauthenticated.")),
    }
}

/// POST takes the token from the JSON body, and only from there.
fn by_body(
    state: &State,
    request: &Request,
    allowed: &Fields,
    required: &[&str],
) -> Result<Map<String, Value>, Answer> {
    let mut body = request.object();
    if body.get("api_token").and_then(Value::as_str) != Some(state.token.as_str()) {
        return Err(error(401, "error", "Unauthenticated."));
    }
    let wrong = violations(&body, &[TOKEN, allowed], required);
    if !wrong.is_empty() {
        return Err(unprocessable(&wrong));
    }
    body.remove("api_token");
    Ok(body)
}

/// 422 `{"errors":{"<field>":["…"]}}`
fn unprocessable(wrong: &[(String, String)]) -> Answer {
    let mut errors = Map::new();
    for (field, text) in wrong {
        let texts = errors.entry(field.clone()).or_insert_with(|| json!([]));
        if let Some(texts) = texts.as_array_mut() {
            texts.push(json!(text));
        }
    }
    Answer::json(422, &json!({"errors": errors}))
}

/// A one-property answer; errors and successes look alike here.
pub(super) fn error(status: u16, key: &str, text: &str) -> Answer {
    Answer::json(status, &json!({key: text}))
}
