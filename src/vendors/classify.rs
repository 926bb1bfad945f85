//! A status and a typed body, turned into a [`VendorError`]. The one place
//! that decides what a vendor meant.
//!
//! Prose is looked at only for the shapes the vendors document nothing better
//! for: GHL's 400 `Contact with id X not found`, its 404 `Cannot GET /…`, its
//! `Incorrect conversationProviderId/type` and the two sentences with which it
//! says that a token is known but reaches too little (vendors/ghl.md 2.6, 3.1).

use std::time::Duration;

use serde_json::Value;

use super::error::{Trouble, VendorError};
use crate::domain::Source;
use crate::wire::json::{array, at, object, scalar, text};

/// The code of GHL's `Incorrect conversationProviderId/type`.
pub(crate) const PROVIDER_MISMATCH: &str = "provider mismatch";

/// Codes with which a texting vendor or carrier says "opted out", and where
/// each may stand (vendors/texting.md 1.2 to 1.8): Telnyx 40300, Twilio 21610,
/// Bandwidth 4775, Plivo 200, MessageBird 103.
const OPTED_OUT: &[(&str, &[&str])] = &[
    ("40300", &["code", "error.code", "errorCode", "error_code"]),
    ("21610", &["code", "error.code", "errorCode", "error_code"]),
    ("4775", &["code", "error.code", "errorCode", "error_code"]),
    ("200", &["errorCode", "error_code", "ErrorCode"]),
    ("103", &["statusErrorCode"]),
    ("opted_out", &["code", "error.code", "errorCode", "error_code"]),
];

/// Decides what an answer that is no 2xx means. `body` is its JSON, if it had
/// any; `wait` what its headers ask for.
pub(crate) fn refusal(vendor: Source, status: u16, body: Option<&Value>, wait: Option<Duration>) -> VendorError {
    let body = body.unwrap_or(&Value::Null);
    match status {
        429 => return VendorError::RateLimited { retry_after: wait },
        408 | 425 | 500..=599 => {
            return VendorError::Transient {
                code: Trouble::Status(status),
                maybe_applied: true,
            };
        }
        401 if vendor == Source::Ghl && out_of_scope(body) => return VendorError::OutOfScope,
        401 => return VendorError::Unauthorized,
        _ => {}
    }
    if let Some(code) = opted_out(body).filter(|_| vendor == Source::Texting) {
        return VendorError::OptedOut { code };
    }
    match status {
        403 => VendorError::Forbidden,
        404 | 410 => missing(status, body),
        409 if vendor == Source::Aloware => VendorError::Duplicate {
            id: text(body, &["contact_id"]),
            matching_field: None,
        },
        422 => VendorError::Unprocessable { fields: fields(body) },
        400 if vendor == Source::Ghl => ghl_bad_request(body),
        _ => VendorError::Rejected {
            status,
            code: typed_code(body),
        },
    }
}

/// A missing thing answers with JSON. `Cannot GET /…` and anything that is no
/// JSON is a missing *path*: a wrong base address must not look as if every
/// contact had been deleted.
fn missing(status: u16, body: &Value) -> VendorError {
    let no_path = text(body, &["message"]).is_some_and(|m| m.starts_with("Cannot "));
    if body.is_object() && !no_path {
        return VendorError::NotFound;
    }
    VendorError::Rejected {
        status,
        code: Some("no such path".to_owned()),
    }
}

/// Whether a 401 is about what the token may do, not about the token.
fn out_of_scope(body: &Value) -> bool {
    messages(body)
        .iter()
        .any(|message| message.contains("not authorized for this scope") || message.contains("user type mismatch"))
}

/// GHL's 400s: duplicate, contact not found, provider mismatch, other.
fn ghl_bad_request(body: &Value) -> VendorError {
    let meta_id = text(body, &["meta.contactId"]);
    let matching_field = text(body, &["meta.matchingField"]);
    if meta_id.is_some() || matching_field.is_some() {
        return VendorError::Duplicate {
            id: meta_id,
            matching_field,
        };
    }
    let message = messages(body).into_iter().next().unwrap_or_default();
    if message.starts_with("Contact with id ") && message.trim_end_matches('.').ends_with("not found") {
        return VendorError::NotFound;
    }
    if message.contains("Incorrect conversationProviderId") || typed_code(body).as_deref() == Some("PROVIDER_MISMATCH")
    {
        return VendorError::Rejected {
            status: 400,
            code: Some(PROVIDER_MISMATCH.to_owned()),
        };
    }
    VendorError::Rejected {
        status: 400,
        code: typed_code(body),
    }
}

/// `message` is a string here and an array there (vendors/ghl.md 2.6).
fn messages(body: &Value) -> Vec<String> {
    match at(body, "message") {
        Some(Value::Array(items)) => items.iter().filter_map(scalar).collect(),
        Some(one) => scalar(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The properties a 422 complains about: Aloware's `errors` keys, or the
/// subject of GHL's validator sentences (`property notes should not exist`,
/// `type must be a valid enum value`). Only plain property names pass.
fn fields(body: &Value) -> Vec<String> {
    let mut found: Vec<String> = object(body, &["errors"])
        .into_iter()
        .flat_map(|errors| errors.keys().cloned())
        .chain(messages(body).iter().filter_map(|sentence| subject(sentence)))
        .filter(|name| plain(name))
        .take(8)
        .collect();
    found.dedup();
    found
}

fn subject(sentence: &str) -> Option<String> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let name = match words.as_slice() {
        ["property", name, "should", ..] | ["each", "value", "in", name, ..] | [name, "must" | "should", ..] => name,
        _ => return None,
    };
    Some((*name).to_owned())
}

/// A property name, so that no value can slip into a text.
fn plain(name: &str) -> bool {
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

/// A vendor's own machine code: short digits, or letters in SCREAMING or snake
/// case. A number long enough to be a phone is none.
fn typed_code(body: &Value) -> Option<String> {
    let code = text(body, &["code", "error.code", "errorCode", "error_code"])
        .or_else(|| text(array(body, &["errors"])?.first()?, &["code"]))?;
    let digits = code.len() <= 6 && code.bytes().all(|b| b.is_ascii_digit());
    let word = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        || code.len() <= 40 && code.contains('_') && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (digits || word).then_some(code)
}

/// The opted-out code, only from where the vendors put a typed code.
fn opted_out(body: &Value) -> Option<String> {
    let listed = array(body, &["errors"]).unwrap_or_default();
    OPTED_OUT.iter().find_map(|(code, keys)| {
        std::iter::once(body)
            .chain(listed)
            .any(|holder| keys.iter().any(|key| text(holder, &[key]).as_deref() == Some(*code)))
            .then(|| (*code).to_owned())
    })
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
