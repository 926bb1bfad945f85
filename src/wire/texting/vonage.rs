//! Vonage: the SMS API (flat; a delivery report's `msisdn` is the recipient and
//! its `to` is us; long messages come in pieces) and the Messages API.

use serde_json::Value;

use super::Part;
use super::notice::{Notice, Party, flat, time};
use super::status::status;
use crate::domain::{TextDirection, VendorSignal};
use crate::wire::json::{flag, integer, text};

/// "Illegal number": of a toll-free sender, that the recipient sent it STOP.
const ILLEGAL_NUMBER: &str = "9";
const TOLL_FREE: [&str; 7] = ["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"];

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let fields = &flat(request)?;
    if let Some(id) = text(fields, &["message_uuid"]) {
        return Some(vec![messages(id, fields, request)]);
    }
    let consumer = Party::international(Some(text(fields, &["msisdn"])?));
    let ours = Party::international(text(fields, &["to"]));
    let id = text(fields, &["messageid"]);
    let notice = match text(fields, &["status"]) {
        Some(word) => Notice {
            key: id.as_ref().map(|id| {
                let when = text(fields, &["scts"]).unwrap_or_default();
                format!("{id}:{when}")
            }),
            signal: blocked(fields, ours.as_ref()),
            error: text(fields, &["err-code"]).filter(|code| code != "0"),
            from: ours,
            to: consumer,
            ..Notice::in_state(&word, request)
        },
        None => received(fields, request, id.as_deref(), consumer, ours),
    };
    Some(vec![Notice {
        id,
        at: time(fields, &["message-timestamp", "timestamp"]),
        ..notice
    }])
}

fn received<'p>(
    fields: &Value,
    request: &'p Value,
    id: Option<&str>,
    from: Option<Party>,
    to: Option<Party>,
) -> Notice<'p> {
    let part = part(fields);
    let binary = text(fields, &["type"]).is_some_and(|kind| kind.eq_ignore_ascii_case("binary"));
    let notice = if binary {
        Notice {
            direction: Some(TextDirection::Inbound),
            ..Notice::other("binary", request)
        }
    } else {
        Notice {
            body: match &part {
                // As sent: it can begin or end between two words.
                Some(_) => fields.get("text").and_then(Value::as_str).map(str::to_owned),
                None => text(fields, &["text"]),
            },
            ..Notice::received(request)
        }
    };
    Notice {
        key: id.map(|id| match &part {
            Some(part) => format!("{id}:{}", part.number),
            None => id.to_owned(),
        }),
        from,
        to,
        part: part.filter(|_| !binary),
        ..notice
    }
}

fn part(fields: &Value) -> Option<Part> {
    if flag(fields, &["concat"]) != Some(true) {
        return None;
    }
    let count = |key: &str| integer(fields, &[key]).and_then(|count| u64::try_from(count).ok());
    Some(Part {
        reference: text(fields, &["concat-ref"])?,
        number: count("concat-part")?,
        total: count("concat-total")?,
    })
}

fn messages<'p>(id: String, fields: &Value, request: &'p Value) -> Notice<'p> {
    let notice = match text(fields, &["status"]) {
        Some(word) => Notice {
            error: text(fields, &["error.code", "error.title"]),
            ..Notice::in_state(&word, request)
        },
        None => Notice {
            body: text(fields, &["text", "message.content.text", "image.caption"]),
            media: ["image", "video", "audio", "file"]
                .iter()
                .filter_map(|kind| text(fields, &[&format!("{kind}.url")]))
                .collect(),
            ..Notice::received(request)
        },
    };
    Notice {
        id: Some(id),
        from: Party::international(text(fields, &["from", "from.number"])),
        to: Party::international(text(fields, &["to", "to.number"])),
        at: time(fields, &["timestamp"]),
        ..notice
    }
}

fn blocked(fields: &Value, ours: Option<&Party>) -> Option<VendorSignal> {
    let code = text(fields, &["err-code"])?;
    let failed = status(&text(fields, &["status"])?)?.is_failure();
    let toll_free = TOLL_FREE
        .iter()
        .any(|area| ours.is_some_and(|ours| ours.shown().starts_with(area)));
    (failed && toll_free && code == ILLEGAL_NUMBER).then_some(VendorSignal::Stop)
}
