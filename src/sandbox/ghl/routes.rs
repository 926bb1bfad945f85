//! From a request to its handler: the path first, then the token, the
//! `Version`, the rate limit, and only then the body.

use chrono::Utc;
use serde_json::{Value, json};

use super::answers::{Outcome, bad_request, check_location, no_route, ok, only_query, unauthorized, wrong_location};
use super::state::State;
use super::{contacts, conversations, notes, search, tags};
use crate::sandbox::wire::{Answer, Request};

/// Versions under which the simulated paths behave as simulated. `v3` and
/// `legacy` are published too, but differ, so they count as invalid here.
const VERSIONS: &[&str] = &["2021-07-28", "2021-04-15", "2023-02-21"];

/// An endpoint and the ids in its path.
pub(super) enum Endpoint<'a> {
    CreateContact,
    UpsertContact,
    FindDuplicate,
    SearchContacts,
    BulkTags(&'a str),
    GetContact(&'a str),
    UpdateContact(&'a str),
    DeleteContact(&'a str),
    AddTags(&'a str),
    RemoveTags(&'a str),
    CreateNote(&'a str),
    ListNotes(&'a str),
    GetNote(&'a str, &'a str),
    UpdateNote(&'a str, &'a str),
    DeleteNote(&'a str, &'a str),
    RecordInbound,
    RecordOutbound,
    MessageStatus(&'a str),
    GetMessage(&'a str),
    SearchConversations,
    ListMessages(&'a str),
    Users,
    Location(&'a str),
    CustomFields(&'a str),
    LocationTags(&'a str),
}

/// Whether the simulator has this method and path.
pub(super) fn knows(request: &Request) -> bool {
    find(&request.method, &request.segments()).is_some()
}

/// Answers a request.
pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
    dispatch(state, request).unwrap_or_else(|refusal| refusal)
}

fn find<'a>(method: &str, path: &[&'a str]) -> Option<Endpoint<'a>> {
    let contact = |id: &str| !id.is_empty();
    Some(match (method, path) {
        ("POST", ["contacts", ""]) => Endpoint::CreateContact,
        ("POST", ["contacts", "upsert"]) => Endpoint::UpsertContact,
        ("POST", ["contacts", "search"]) => Endpoint::SearchContacts,
        ("GET", ["contacts", "search", "duplicate"]) => Endpoint::FindDuplicate,
        ("POST", ["contacts", "bulk", "tags", "update", kind]) => Endpoint::BulkTags(kind),
        ("GET", ["contacts", id]) if contact(id) => Endpoint::GetContact(id),
        ("PUT", ["contacts", id]) if contact(id) => Endpoint::UpdateContact(id),
        ("DELETE", ["contacts", id]) if contact(id) => Endpoint::DeleteContact(id),
        ("POST", ["contacts", id, "tags"]) => Endpoint::AddTags(id),
        ("DELETE", ["contacts", id, "tags"]) => Endpoint::RemoveTags(id),
        ("POST", ["contacts", id, "notes"]) => Endpoint::CreateNote(id),
        ("GET", ["contacts", id, "notes"]) => Endpoint::ListNotes(id),
        ("GET", ["contacts", id, "notes", note]) => Endpoint::GetNote(id, note),
        ("PUT", ["contacts", id, "notes", note]) => Endpoint::UpdateNote(id, note),
        ("DELETE", ["contacts", id, "notes", note]) => Endpoint::DeleteNote(id, note),
        ("POST", ["conversations", "messages", "inbound"]) => Endpoint::RecordInbound,
        ("POST", ["conversations", "messages", "outbound"]) => Endpoint::RecordOutbound,
        ("PUT", ["conversations", "messages", id, "status"]) => Endpoint::MessageStatus(id),
        ("GET", ["conversations", "messages", id]) => Endpoint::GetMessage(id),
        ("GET", ["conversations", "search"]) => Endpoint::SearchConversations,
        ("GET", ["conversations", id, "messages"]) => Endpoint::ListMessages(id),
        ("GET", ["users", ""]) => Endpoint::Users,
        ("GET", ["locations", id]) if contact(id) => Endpoint::Location(id),
        ("GET", ["locations", id, "customFields"]) => Endpoint::CustomFields(id),
        ("GET", ["locations", id, "tags"]) => Endpoint::LocationTags(id),
        _ => return None,
    })
}

fn dispatch(state: &mut State, request: &Request) -> Outcome {
    let segments = request.segments();
    let endpoint = find(&request.method, &segments).ok_or_else(|| no_route(request))?;
    admit(state, request, &endpoint)?;
    match endpoint {
        Endpoint::CreateContact => contacts::create(state, request),
        Endpoint::UpsertContact => contacts::upsert(state, request),
        Endpoint::FindDuplicate => contacts::find_duplicate(state, request),
        Endpoint::SearchContacts => search::search(state, request),
        Endpoint::BulkTags(kind) => tags::bulk(state, request, kind),
        Endpoint::GetContact(id) => contacts::get(state, request, id),
        Endpoint::UpdateContact(id) => contacts::update(state, request, id),
        Endpoint::DeleteContact(id) => contacts::delete(state, request, id),
        Endpoint::AddTags(id) => tags::add(state, request, id),
        Endpoint::RemoveTags(id) => tags::remove(state, request, id),
        Endpoint::CreateNote(id) => notes::create(state, request, id),
        Endpoint::ListNotes(id) => notes::list(state, request, id),
        Endpoint::GetNote(id, note) => notes::get(state, request, id, note),
        Endpoint::UpdateNote(id, note) => notes::update(state, request, id, note),
        Endpoint::DeleteNote(id, note) => notes::delete(state, request, id, note),
        Endpoint::RecordInbound => conversations::inbound(state, request),
        Endpoint::RecordOutbound => conversations::outbound(state, request),
        Endpoint::MessageStatus(id) => conversations::status(state, request, id),
        Endpoint::GetMessage(id) => conversations::get(state, id),
        Endpoint::SearchConversations => conversations::search(state, request),
        Endpoint::ListMessages(id) => conversations::list(state, request, id),
        Endpoint::Users => users(state, request),
        Endpoint::Location(id) => location(state, id),
        Endpoint::CustomFields(id) => custom_fields(state, request, id),
        Endpoint::LocationTags(id) => tags::dictionary(state, id),
    }
}

/// Token, version, scope, rate limit, JSON: what is refused before a handler looks.
fn admit(state: &mut State, request: &Request, endpoint: &Endpoint<'_>) -> Result<(), Answer> {
    let known = request
        .bearer()
        .is_some_and(|given| state.tokens.iter().any(|token| token == given));
    if !known {
        return Err(unauthorized("Invalid token: access token is invalid"));
    }
    match request.header("version") {
        None => return Err(unauthorized("version header was not found.")),
        Some(version) if !VERSIONS.contains(&version) => {
            return Err(unauthorized("version header is invalid"));
        }
        Some(_) => {}
    }
    state.reach.admit(endpoint)?;
    if !state.limits.admit(Utc::now()) {
        return Err(Answer::json(
            429,
            &json!({"statusCode": 429, "message": "Too Many Requests"}),
        ));
    }
    if request.malformed {
        return Err(bad_request("Unexpected token in JSON"));
    }
    Ok(())
}

/// GET /users/?locationId=
fn users(state: &State, request: &Request) -> Outcome {
    only_query(request, &["locationId"])?;
    check_location(request.query("locationId"), &state.location)?;
    Ok(ok(&json!({"users": state.users})))
}

/// GET /locations/{id}
fn location(state: &State, id: &str) -> Outcome {
    if id != state.location {
        return Err(wrong_location());
    }
    let location = json!({"id": id, "name": "Sandbox", "country": "US", "timezone": "US/Pacific"});
    Ok(ok(&json!({"location": location})))
}

/// GET /locations/{id}/customFields?model=
fn custom_fields(state: &State, request: &Request, id: &str) -> Outcome {
    only_query(request, &["model"])?;
    if id != state.location {
        return Err(wrong_location());
    }
    let fields: Vec<Value> = state
        .custom_fields
        .iter()
        .enumerate()
        .map(|(at, field)| {
            json!({
                "id": field.id, "name": field.name, "fieldKey": format!("contact.{}", field.key),
                "dataType": field.data_type, "model": "contact", "position": at,
            })
        })
        .collect();
    Ok(ok(&json!({"customFields": fields})))
}
