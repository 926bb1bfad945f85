//! Tags of one contact, tags of many, and the location's tag dictionary.
//!
//! Whether the add/remove answer holds the full set or only the delta is
//! unknown; `GhlSim::answer_tags_as_delta` switches, so that a client relying
//! on either can be caught.

use std::collections::BTreeSet;

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::answers::{Outcome, bad_request, check_location, no_contact, ok, only_query, read_body, wrong_location};
use super::book::text;
use super::events::Changes;
use super::fields::{clean_tags, texts};
use super::state::State;
use crate::sandbox::shape::{Fields, Kind};
use crate::sandbox::wire::{Answer, Request};

const TAGS: &Fields = &[("tags", Kind::Texts)];
const BULK: &Fields = &[
    ("contacts", Kind::Texts),
    ("tags", Kind::Texts),
    ("locationId", Kind::Text),
    ("removeAllTags", Kind::Flag),
];

/// POST /contacts/{id}/tags
pub(super) fn add(state: &mut State, request: &Request, id: &str) -> Outcome {
    let tags = read_tags(state, request, id)?;
    let before = state.tags(id);
    let after = clean_tags(before.iter().chain(&tags).map(String::as_str));
    let delta = after.iter().filter(|tag| !before.contains(tag)).cloned().collect();
    set(state, id, &after);
    Ok(Answer::json(201, &json!({"tags": answer(state, after, delta)})))
}

/// DELETE /contacts/{id}/tags, with a body.
pub(super) fn remove(state: &mut State, request: &Request, id: &str) -> Outcome {
    let tags = read_tags(state, request, id)?;
    let before = state.tags(id);
    let after: Vec<String> = before.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
    let delta = before.iter().filter(|tag| tags.contains(tag)).cloned().collect();
    set(state, id, &after);
    Ok(ok(&json!({"tags": answer(state, after, delta)})))
}

/// POST /contacts/bulk/tags/update/{add|remove}: each contact by itself.
pub(super) fn bulk(state: &mut State, request: &Request, kind: &str) -> Outcome {
    only_query(request, &[])?;
    let body = read_body(request, &[BULK], &["contacts", "tags", "locationId"])?;
    check_location(text(&body, "locationId"), &state.location)?;
    if !matches!(kind, "add" | "remove") {
        return Err(bad_request("type must be one of: add, remove"));
    }
    let tags = clean_tags(texts(&body, "tags").iter().map(String::as_str));
    let all = kind == "remove" && body.get("removeAllTags") == Some(&json!(true));
    let mut errors = 0_u32;
    let mut responses = Vec::new();
    for id in texts(&body, "contacts") {
        if state.book.get(&id).is_none() {
            errors += 1;
            responses.push(json!({
                "contactId": id, "message": "contact is deleted", "type": "error",
                "oldTags": [], "tagsAdded": [], "tagsRemoved": [],
            }));
            continue;
        }
        let old = state.tags(&id);
        let after = match (kind, all) {
            ("add", _) => clean_tags(old.iter().chain(&tags).map(String::as_str)),
            (_, true) => Vec::new(),
            (_, false) => old.iter().filter(|tag| !tags.contains(tag)).cloned().collect(),
        };
        let added: Vec<_> = after.iter().filter(|tag| !old.contains(tag)).collect();
        let removed: Vec<_> = old.iter().filter(|tag| !after.contains(tag)).collect();
        responses.push(json!({
            "contactId": id, "message": "Tags updated", "type": "success",
            "oldTags": old, "tagsAdded": added, "tagsRemoved": removed,
        }));
        set(state, &id, &after);
    }
    let body = json!({"succeded": true, "errorCount": errors, "responses": responses});
    Ok(Answer::json(201, &body))
}

/// GET /locations/{id}/tags
pub(super) fn dictionary(state: &State, location: &str) -> Outcome {
    if location != state.location {
        return Err(wrong_location());
    }
    let names: BTreeSet<String> = state.book.all().flat_map(|contact| texts(contact, "tags")).collect();
    let tags: Vec<Value> = names
        .into_iter()
        .enumerate()
        .map(|(at, name)| json!({"id": format!("tag{at:017}"), "name": name, "locationId": location}))
        .collect();
    Ok(ok(&json!({"tags": tags})))
}

fn read_tags(state: &State, request: &Request, id: &str) -> Result<Vec<String>, Answer> {
    only_query(request, &[])?;
    let body = read_body(request, &[TAGS], &["tags"])?;
    if state.book.get(id).is_none() {
        return Err(no_contact(id));
    }
    Ok(clean_tags(texts(&body, "tags").iter().map(String::as_str)))
}

fn set(state: &mut State, id: &str, tags: &[String]) {
    let body = Map::from_iter([("tags".to_owned(), json!(tags))]);
    state.write(id, body, Changes::default(), Utc::now());
}

fn answer(state: &State, full: Vec<String>, delta: Vec<String>) -> Vec<String> {
    if state.tags_answer_delta { delta } else { full }
}
