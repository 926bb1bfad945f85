//! Contacts: read, create, update, upsert, delete, find duplicates.

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::answers::{
    Outcome, bad_request, check_location, invalid, no_contact, ok, only_query, read_body, unprocessable,
};
use super::book::{Contact, new_id, text};
use super::events::Changes;
use super::fields::{COMMON, CREATE, UPDATE, UPSERT, normalise};
use super::state::{Identifier, State};
use crate::sandbox::wire::{Answer, Request};

/// What GET shows and the schema of a creation's answer does not have.
const UNSAID_ON_CREATION: &[&str] = &["name", "timezone", "inboundDndSettings"];

/// GET /contacts/{id}
pub(super) fn get(state: &State, request: &Request, id: &str) -> Outcome {
    only_query(request, &[])?;
    let contact = state.book.get(id).ok_or_else(|| no_contact(id))?;
    Ok(ok(&json!({"contact": view(contact)})))
}

/// POST /contacts/
pub(super) fn create(state: &mut State, request: &Request) -> Outcome {
    only_query(request, &[])?;
    let body = read_body(request, &[COMMON, CREATE], &[])?;
    check_location(text(&body, "locationId"), &state.location)?;
    let body = normalise(body).map_err(|wrong| unprocessable(&wrong))?;
    if !state.allow_duplicates
        && let Some((found, by)) = state.duplicate_of(&body, None)
    {
        return Err(duplicate(found, by));
    }
    let id = new_id();
    state.create(&id, body, Utc::now());
    let mut contact = state.book.get(&id).map(view).unwrap_or_default();
    for unsaid in UNSAID_ON_CREATION {
        contact.remove(*unsaid);
    }
    Ok(Answer::json(201, &json!({"contact": contact})))
}

/// PUT /contacts/{id}: only sent properties change, `tags` as a whole.
pub(super) fn update(state: &mut State, request: &Request, id: &str) -> Outcome {
    only_query(request, &[])?;
    let body = read_body(request, &[COMMON, UPDATE], &[])?;
    let body = normalise(body).map_err(|wrong| unprocessable(&wrong))?;
    if state.book.get(id).is_none() {
        return Err(no_contact(id));
    }
    if !state.allow_duplicates
        && let Some((found, by)) = state.duplicate_of(&body, Some(id))
    {
        return Err(duplicate(found, by));
    }
    state.write(id, body, Changes::default(), Utc::now());
    let contact = state.book.get(id).map(view).unwrap_or_default();
    Ok(ok(&json!({"succeded": true, "contact": contact})))
}

/// DELETE /contacts/{id}
pub(super) fn delete(state: &mut State, request: &Request, id: &str) -> Outcome {
    only_query(request, &[])?;
    let gone = state.book.remove(id).ok_or_else(|| no_contact(id))?;
    state.notes.remove(id);
    let mut resource = gone;
    resource.remove("dateUpdated");
    resource.remove("dndSettings");
    state.announce("ContactDelete", resource);
    Ok(ok(&json!({"succeded": true})))
}

/// POST /contacts/upsert. One identifier finds the contact; another contact
/// having the other identifier is passed over without a word.
pub(super) fn upsert(state: &mut State, request: &Request) -> Outcome {
    only_query(request, &[])?;
    let body = read_body(request, &[COMMON, CREATE, UPSERT], &[])?;
    check_location(text(&body, "locationId"), &state.location)?;
    let mut body = normalise(body).map_err(|wrong| unprocessable(&wrong))?;
    if text(&body, "phone").is_none() && text(&body, "email").is_none() {
        return Err(bad_request("email or phone is required"));
    }
    let forced = state.allow_duplicates && body.get("createNewIfDuplicateAllowed") == Some(&json!(true));
    let found = match forced {
        true => None,
        false => state
            .duplicate_of(&body, None)
            .and_then(|(contact, _)| text(contact, "id").map(str::to_owned)),
    };
    let new = found.is_none();
    let id = found.unwrap_or_else(new_id);
    if new {
        state.create(&id, body, Utc::now());
    } else {
        drop_foreign_identifiers(state, &mut body, &id);
        state.write(&id, body, Changes::default(), Utc::now());
    }
    let contact = state.book.get(&id).map(view).unwrap_or_default();
    let trace = uuid::Uuid::new_v4().to_string();
    Ok(ok(&json!({"new": new, "contact": contact, "traceId": trace})))
}

/// GET /contacts/search/duplicate?locationId=&number=|email=. The number is
/// compared to the character: a `+` that arrives as a space finds nothing.
pub(super) fn find_duplicate(state: &State, request: &Request) -> Outcome {
    only_query(request, &["locationId", "number", "email"])?;
    check_location(request.query("locationId"), &state.location)?;
    let number = request.query("number").filter(|value| !value.is_empty());
    let email = request.query("email").filter(|value| !value.is_empty());
    if number.is_none() && email.is_none() {
        return Err(invalid("number or email should not be empty"));
    }
    let found = state.priority.iter().find_map(|by| {
        let value = match by {
            Identifier::Email => email,
            Identifier::Phone => number,
        };
        state.owner(*by, value?)
    });
    Ok(ok(&json!({"contact": found.map(view)})))
}

/// A contact as GET shows it. `gender` can be written and is never shown.
pub(super) fn view(contact: &Contact) -> Map<String, Value> {
    let mut view = contact.clone();
    view.remove("gender");
    for (field, lower) in [
        ("firstName", "firstNameLowerCase"),
        ("lastName", "lastNameLowerCase"),
        ("name", "fullNameLowerCase"),
        ("email", "emailLowerCase"),
    ] {
        if let Some(value) = text(contact, field) {
            view.insert(lower.to_owned(), json!(value.to_lowercase()));
        }
    }
    view
}

/// 400 naming the contact that is already there.
fn duplicate(found: &Contact, by: Identifier) -> Answer {
    let body = json!({
        "statusCode": 400,
        "message": "This location does not allow duplicated contacts.",
        "meta": {
            "contactId": found.get("id"),
            "contactName": text(found, "name").unwrap_or_default(),
            "matchingField": by.field(),
        },
    });
    Answer::json(400, &body)
}

/// Leaves out an e-mail or phone that belongs to somebody else.
fn drop_foreign_identifiers(state: &State, body: &mut Map<String, Value>, id: &str) {
    if state.allow_duplicates {
        return;
    }
    for by in [Identifier::Email, Identifier::Phone] {
        let foreign = text(body, by.field())
            .and_then(|value| state.owner(by, value))
            .is_some_and(|owner| text(owner, "id") != Some(id));
        if foreign {
            body.remove(by.field());
        }
    }
}
