//! The reads by id that the seed counted on. No public account serves them, so
//! they are off until a test switches them on; until then they are pages of the
//! web app like every unknown path.

use serde_json::json;

use super::routes::{by_query, error};
use super::state::State;
use crate::sandbox::wire::{Answer, Request};

/// What a path names.
enum Thing<'r> {
    Call(&'r str),
    Contact(&'r str),
}

fn asked<'r>(state: &State, request: &'r Request) -> Option<Thing<'r>> {
    if !state.legacy || request.method != "GET" {
        return None;
    }
    let (kind, id) = request.path.strip_prefix("/api/v1/")?.split_once('/')?;
    match kind {
        _ if id.is_empty() || id.contains('/') => None,
        "calls" => Some(Thing::Call(id)),
        "contacts" => Some(Thing::Contact(id)),
        _ => None,
    }
}

/// Whether the account serves this path.
pub(super) fn knows(state: &State, request: &Request) -> bool {
    asked(state, request).is_some()
}

/// Answers a read by id; `None` when the request is none.
pub(super) fn answer(state: &State, request: &Request) -> Option<Answer> {
    let thing = asked(state, request)?;
    if let Err(refusal) = by_query(state, request) {
        return Some(refusal);
    }
    Some(match thing {
        Thing::Call(id) => match state.calls.get(id) {
            Some(call) => Answer::json(200, &json!({"call": call})),
            None => error(404, "error", "Call not found."),
        },
        Thing::Contact(id) => match id.parse().ok().and_then(|id| state.by_id(id)) {
            Some(contact) => Answer::json(200, &json!({"contact": contact.lookup()})),
            None => error(404, "error", "Contact not found."),
        },
    })
}
