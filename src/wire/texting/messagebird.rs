//! MessageBird, the API before Bird: an inbound text has every value twice, under
//! different names; a status comes as a GET. And Bird's own envelope, which names our
//! side by a connector instead of a number.

use serde_json::Value;

use super::notice::{Notice, Party, flat, texts, time};
use super::status::status;
use crate::domain::VendorSignal;
use crate::wire::json::{array, text};

/// The contact sent STOP.
const OPTED_OUT: &str = "103";

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    if let Some(payload) = request.get("payload").filter(|payload| payload.is_object()) {
        return of_bird(request, payload);
    }
    let fields = &flat(request)?;
    let id = text(fields, &["id", "message_id"]);
    let to = text(fields, &["recipient", "receiver"]);
    let from = text(fields, &["originator", "sender"]);
    let notice = match text(fields, &["status"]) {
        Some(word) if id.is_some() => outbound(&word, fields, request),
        None if from.is_some() => Notice {
            body: text(fields, &["body", "message"]),
            media: texts(array(request, &["mediaURLs"]), "url"),
            at: time(fields, &["createddatetime", "date_utc", "date"]),
            ..Notice::received(request)
        },
        _ => return None,
    };
    Some(vec![Notice {
        id,
        from: Party::international(from),
        to: Party::international(to),
        ..notice
    }])
}

fn of_bird<'p>(request: &'p Value, payload: &Value) -> Option<Vec<Notice<'p>>> {
    let name = text(request, &["event"])?;
    let notice = if name.ends_with(".inbound") {
        Notice {
            from: Party::international(text(payload, &["sender.contact.identifierValue"])),
            body: text(payload, &["body.text.text"]),
            ..Notice::received(request)
        }
    } else {
        let told = text(payload, &["status"]).and_then(|word| status(&word));
        let moved = told.map(|status| Notice::moved_on(status, request));
        moved.unwrap_or_else(|| Notice::other(&name, request))
    };
    Some(vec![Notice {
        id: text(payload, &["id"]),
        at: time(payload, &["createdAt"]),
        ..notice
    }])
}

fn outbound<'p>(word: &str, fields: &Value, request: &'p Value) -> Notice<'p> {
    let Some(status) = status(word) else {
        return Notice::in_state(word, request);
    };
    let error = text(fields, &["statuserrorcode"]);
    let opted_out = status.is_failure() && error.as_deref() == Some(OPTED_OUT);
    Notice {
        signal: opted_out.then_some(VendorSignal::Stop),
        error,
        at: time(fields, &["statusdatetime"]),
        ..Notice::moved_on(status, request)
    }
}
