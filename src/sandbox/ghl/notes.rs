//! Notes of a contact. They have no external id and no idempotency key: the
//! same POST twice is two notes.

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::answers::{Outcome, bad_request, no_contact, ok, only_query, read_body};
use super::book::{new_id, stamp};
use super::state::State;
use crate::sandbox::shape::{Fields, Kind};
use crate::sandbox::wire::{Answer, Request};

const NOTE: &Fields = &[
    ("body", Kind::Text),
    ("userId", Kind::Text),
    ("title", Kind::Text),
    ("color", Kind::Text),
    ("pinned", Kind::Flag),
];

/// POST /contacts/{id}/notes
pub(super) fn create(state: &mut State, request: &Request, contact: &str) -> Outcome {
    let body = read(state, request, contact, &["body"])?;
    let mut note = Map::from_iter([
        ("id".to_owned(), json!(new_id())),
        ("contactId".to_owned(), json!(contact)),
        ("dateAdded".to_owned(), json!(stamp(Utc::now()))),
    ]);
    note.extend(body);
    announce(state, "NoteCreate", &note);
    let note = Value::Object(note);
    let keep = state.keep_last;
    let notes = state.notes.entry(contact.to_owned()).or_default();
    notes.push(note.clone());
    if notes.len() > keep {
        notes.remove(0);
    }
    Ok(Answer::json(201, &json!({"note": note})))
}

/// GET /contacts/{id}/notes, newest first.
pub(super) fn list(state: &State, request: &Request, contact: &str) -> Outcome {
    only_query(request, &[])?;
    if state.book.get(contact).is_none() {
        return Err(no_contact(contact));
    }
    let notes: Vec<&Value> = state.notes.get(contact).into_iter().flatten().rev().collect();
    Ok(ok(&json!({"notes": notes})))
}

/// GET /contacts/{id}/notes/{note}
pub(super) fn get(state: &State, request: &Request, contact: &str, note: &str) -> Outcome {
    only_query(request, &[])?;
    let at = place(state, contact, note)?;
    Ok(ok(
        &json!({"note": state.notes.get(contact).and_then(|notes| notes.get(at))}),
    ))
}

/// PUT /contacts/{id}/notes/{note}
pub(super) fn update(state: &mut State, request: &Request, contact: &str, note: &str) -> Outcome {
    let body = read(state, request, contact, &[])?;
    let at = place(state, contact, note)?;
    let stored = state
        .notes
        .get_mut(contact)
        .and_then(|notes| notes.get_mut(at))
        .and_then(Value::as_object_mut)
        .ok_or_else(|| no_note(note))?;
    let before = stored.clone();
    stored.extend(body);
    let after = stored.clone();
    if after != before {
        announce(state, "NoteUpdate", &after);
    }
    Ok(ok(&json!({"note": after})))
}

/// DELETE /contacts/{id}/notes/{note}
pub(super) fn delete(state: &mut State, request: &Request, contact: &str, note: &str) -> Outcome {
    only_query(request, &[])?;
    let at = place(state, contact, note)?;
    let gone = state.notes.get_mut(contact).map(|notes| notes.remove(at));
    if let Some(Value::Object(gone)) = gone {
        announce(state, "NoteDelete", &gone);
    }
    Ok(ok(&json!({"succeded": true})))
}

fn read(state: &State, request: &Request, contact: &str, required: &[&str]) -> Result<Map<String, Value>, Answer> {
    only_query(request, &[])?;
    let body = read_body(request, &[NOTE], required)?;
    if state.book.get(contact).is_none() {
        return Err(no_contact(contact));
    }
    Ok(body)
}

fn place(state: &State, contact: &str, note: &str) -> Result<usize, Answer> {
    if state.book.get(contact).is_none() {
        return Err(no_contact(contact));
    }
    let mut notes = state.notes.get(contact).into_iter().flatten();
    notes
        .position(|stored| stored.get("id") == Some(&json!(note)))
        .ok_or_else(|| no_note(note))
}

/// The real text for an unknown note is not known; the status is.
fn no_note(note: &str) -> Answer {
    bad_request(&format!("Note with id {note} not found"))
}

/// Note events carry a fixed list of properties: no author, no title.
fn announce(state: &mut State, kind: &str, note: &Map<String, Value>) {
    let resource = ["id", "body", "contactId", "dateAdded"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), note.get(name)?.clone())))
        .collect();
    state.announce(kind, resource);
}
