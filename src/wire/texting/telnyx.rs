//! Telnyx v2: `{data: {id, event_type, occurred_at, payload}}`, one event per
//! request, several recipients per event.

use serde_json::Value;

use super::notice::{Notice, Party, texts, time};
use super::status::status;
use crate::domain::{Phone, TextDirection, TextStatus, VendorSignal};
use crate::wire::json::{array, at, scalar, text};

/// The recipient has sent STOP to us before.
const BLOCKED_BY_STOP: &str = "40300";

pub(super) fn read<'p>(request: &'p Value, own: &[Phone]) -> Option<Vec<Notice<'p>>> {
    let payload = at(request, "data.payload").filter(|payload| payload.is_object())?;
    let name = text(request, &["data.event_type"])?;
    let told = |notice: Notice<'p>| Notice {
        id: text(payload, &["id"]),
        from: party(at(payload, "from")),
        at: time(request, &["data.occurred_at"]),
        ..notice
    };
    let words = |notice: Notice<'p>| Notice {
        // Rich messages have theirs in another place.
        body: text(payload, &["text", "body", "body.text"]),
        media: texts(array(payload, &["media"]), "url"),
        ..notice
    };
    Some(match name.as_str() {
        "message.received" => vec![words(told(Notice {
            to: ours(payload, own),
            signal: signal(payload),
            at: time(payload, &["received_at"]).or_else(|| time(request, &["data.occurred_at"])),
            ..Notice::received(request)
        }))],
        "message.sent" | "message.finalized" | "message.read" => {
            let several = recipients(payload);
            let each = several.into_iter().enumerate().map(|(nth, recipient)| {
                let notice = told(outbound(&name, payload, recipient, request));
                let notice = if name == "message.sent" { words(notice) } else { notice };
                // One id for all recipients: the others' notes and statuses need their own.
                let own = |id: &String| match nth {
                    0 => id.clone(),
                    _ => format!("{id}#{}", nth + 1),
                };
                let id = notice.id.as_ref().map(own);
                Notice { id, ..notice }
            });
            each.collect()
        }
        other => vec![words(told(Notice {
            to: ours(payload, own),
            direction: direction(payload),
            ..Notice::other(other, request)
        }))],
    })
}

fn outbound<'p>(name: &str, payload: &Value, recipient: Option<&Value>, request: &'p Value) -> Notice<'p> {
    let told = if name == "message.sent" {
        "sent".to_owned()
    } else if name == "message.read" {
        "read".to_owned()
    } else {
        recipient
            .and_then(|recipient| text(recipient, &["status"]))
            .unwrap_or_default()
    };
    let mut notice = match status(&told) {
        Some(status) => Notice::moved_on(status, request),
        None => Notice {
            direction: Some(TextDirection::Outbound),
            ..Notice::other(name, request)
        },
    };
    // The errors are those of the recipients it failed for, and of nobody else in a group.
    let failed = status(&told).is_none_or(TextStatus::is_failure);
    let codes = texts(array(payload, &["errors"]).filter(|_| failed), "code");
    if codes.iter().any(|code| code == BLOCKED_BY_STOP) {
        notice.signal = Some(VendorSignal::Stop);
        notice.error = Some(BLOCKED_BY_STOP.to_owned());
    } else {
        notice.error = codes.into_iter().next();
    }
    notice.to = party(recipient);
    notice
}

/// `to` is a list, for WhatsApp a text.
fn recipients(payload: &Value) -> Vec<Option<&Value>> {
    match at(payload, "to") {
        Some(Value::Array(all)) if !all.is_empty() => all.iter().map(Some).collect(),
        Some(one) if !one.is_array() => vec![Some(one)],
        _ => vec![None],
    }
}

/// In a group our number is one of several.
fn ours(payload: &Value, own: &[Phone]) -> Option<Party> {
    let mut all: Vec<Party> = recipients(payload).into_iter().filter_map(party).collect();
    let copies = array(payload, &["cc"]).unwrap_or_default().iter();
    all.extend(copies.filter_map(|copy| party(Some(copy))));
    let at = all.iter().position(|party| party.is_one_of(own)).unwrap_or(0);
    (at < all.len()).then(|| all.swap_remove(at))
}

/// An agent of a rich channel has an id instead of a number.
fn party(value: Option<&Value>) -> Option<Party> {
    let value = value?;
    Party::international(scalar(value).or_else(|| text(value, &["phone_number", "agent_id"])))
}

fn direction(payload: &Value) -> Option<TextDirection> {
    TextDirection::parse(&text(payload, &["direction"])?.to_ascii_lowercase())
}

fn signal(payload: &Value) -> Option<VendorSignal> {
    VendorSignal::parse(&text(payload, &["autoresponse_type"])?.to_ascii_lowercase())
}
