//! GoHighLevel's error bodies and the reading of bodies against a shape.

use serde_json::{Map, Value, json};

use crate::sandbox::shape::{Fields, violations};
use crate::sandbox::wire::{Answer, Request};

/// What a handler gives: the answer, or the error answer that ended it early.
pub(super) type Outcome = Result<Answer, Answer>;

/// 200 with this body.
pub(super) fn ok(body: &Value) -> Answer {
    Answer::json(200, body)
}

/// 400 with a message.
pub(super) fn bad_request(message: &str) -> Answer {
    Answer::json(
        400,
        &json!({"statusCode": 400, "message": message, "error": "Bad Request"}),
    )
}

/// 400 for an id that is unknown, deleted or merged away: never 404.
pub(super) fn no_contact(id: &str) -> Answer {
    bad_request(&format!("Contact with id {id} not found"))
}

/// 401 with a message.
pub(super) fn unauthorized(message: &str) -> Answer {
    Answer::json(
        401,
        &json!({"statusCode": 401, "message": message, "error": "Unauthorized"}),
    )
}

/// 403 for another tenant's location.
pub(super) fn wrong_location() -> Answer {
    let message = "The token does not have access to this location.";
    Answer::json(
        403,
        &json!({"statusCode": 403, "message": message, "error": "Forbidden"}),
    )
}

/// 404 for a path the API does not have.
pub(super) fn no_route(request: &Request) -> Answer {
    let message = format!("Cannot {} {}", request.method, request.path);
    Answer::json(
        404,
        &json!({"statusCode": 404, "message": message, "error": "Not Found"}),
    )
}

/// 422 with the validator's list.
pub(super) fn unprocessable(messages: &[String]) -> Answer {
    let body = json!({"statusCode": 422, "message": messages, "error": "Unprocessable Entity"});
    Answer::json(422, &body)
}

/// 422 with one complaint.
pub(super) fn invalid(message: &str) -> Answer {
    unprocessable(&[message.to_owned()])
}

/// The body, if it has only these properties and all the required ones.
pub(super) fn read_body(
    request: &Request,
    allowed: &[&Fields],
    required: &[&str],
) -> Result<Map<String, Value>, Answer> {
    let body = request.object();
    let found = violations(&body, allowed, required);
    if found.is_empty() {
        return Ok(body);
    }
    let messages: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
    Err(unprocessable(&messages))
}

/// Refuses query parameters the endpoint does not document.
pub(super) fn only_query(request: &Request, allowed: &[&str]) -> Result<(), Answer> {
    let unknown: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| !allowed.contains(&name.as_str()))
        .map(|(name, _)| format!("property {name} should not exist"))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(unprocessable(&unknown))
    }
}

/// Checks a `locationId` of body or query against the token's location.
pub(super) fn check_location(given: Option<&str>, ours: &str) -> Result<(), Answer> {
    match given {
        None | Some("") => Err(invalid("locationId should not be empty")),
        Some(id) if id != ours => Err(wrong_location()),
        Some(_) => Ok(()),
    }
}
