//! Bandwidth v2: always a list; each event names the one number it is about
//! beside the message with all of them.

use serde_json::Value;

use super::notice::{Notice, Party, texts, time};
use super::status::status;
use crate::domain::{TextDirection, VendorSignal};
use crate::wire::json::{array, object, scalar, text};

/// The recipient opted out at the carrier.
const OPTED_OUT: &str = "4775";

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let events = match request {
        Value::Array(events) => events.as_slice(),
        one => std::slice::from_ref(one),
    };
    let read: Vec<Option<Notice<'_>>> = events.iter().map(event).collect();
    if read.iter().all(Option::is_none) {
        return None;
    }
    // What one of them is must not lose the others.
    let each = read.into_iter().zip(events);
    Some(
        each.map(|(notice, raw)| notice.unwrap_or_else(|| Notice::unreadable(raw)))
            .collect(),
    )
}

fn event(event: &Value) -> Option<Notice<'_>> {
    let name = text(event, &["type"])?;
    let message = &Value::Object(object(event, &["message"])?.clone());
    let error = text(event, &["errorCode"]);
    let notice = match name.strip_prefix("message-") {
        Some("received") => Notice::received(event),
        Some(word) if status(word).is_some() => {
            let moved = status(word).map(|status| Notice::moved_on(status, event));
            Notice {
                signal: (error.as_deref() == Some(OPTED_OUT) && word == "failed").then_some(VendorSignal::Stop),
                error,
                ..moved?
            }
        }
        _ => Notice {
            direction: direction(message),
            ..Notice::other(&name, event)
        },
    };
    let listed = || array(message, &["to"])?.first().and_then(scalar);
    let inbound = notice.direction == Some(TextDirection::Inbound);
    let owner = || text(message, &["owner"]).filter(|_| inbound);
    let to = text(event, &["to"]).or_else(owner).or_else(listed);
    let id = text(message, &["id"]);
    let told = !notice.name.starts_with("message.") || inbound;
    Some(Notice {
        // One event for each number of a group, with one id.
        key: id
            .as_ref()
            .map(|id| format!("{id}:{}", to.as_deref().unwrap_or_default())),
        id,
        from: Party::international(text(message, &["from"])),
        to: Party::international(to),
        body: text(message, &["text"]).filter(|_| told),
        media: if told {
            texts(array(message, &["media"]), "url")
        } else {
            Vec::new()
        },
        at: time(event, &["eventTime", "time"]).or_else(|| time(message, &["time"])),
        ..notice
    })
}

fn direction(message: &Value) -> Option<TextDirection> {
    match text(message, &["direction"])?.to_ascii_lowercase().as_str() {
        "in" => Some(TextDirection::Inbound),
        "out" => Some(TextDirection::Outbound),
        _ => None,
    }
}
