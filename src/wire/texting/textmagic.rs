//! Textmagic: a reply as JSON, or as the form of its earlier API, which does not say
//! to which number it came. Numbers have no `+`. The states of what we sent come
//! without a number, and as letters of which no list is published.

use serde_json::Value;

use super::notice::{Notice, Party, flat, time};
use crate::wire::json::{at, text};

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let fields = &flat(request)?;
    let notice = match at(fields, "text") {
        Some(_) => Notice {
            from: Some(Party::international(text(fields, &["sender", "from"]))?),
            to: Party::international(text(fields, &["receiver"])),
            body: text(fields, &["text"]),
            ..Notice::received(request)
        },
        None => Notice::in_state(&text(fields, &["status"])?, request),
    };
    Some(vec![Notice {
        id: text(fields, &["id", "message_id"]),
        at: time(fields, &["messagetime", "timestamp"]),
        ..notice
    }])
}
