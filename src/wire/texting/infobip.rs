//! Infobip: lists of inbound texts or of delivery reports. `cleanText` lacks the
//! keyword and is never read: of "STOP texting me" it leaves "texting me".

use serde_json::Value;

use super::notice::{Notice, Party, texts, time};
use crate::domain::{TextDirection, TextStatus};
use crate::wire::json::{array, integer, object, text};

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let results = request.get("results")?.as_array()?;
    Some(results.iter().map(event).collect())
}

fn event(result: &Value) -> Notice<'_> {
    let id = text(result, &["messageId"]);
    let from = text(result, &["from", "sender"]);
    let notice = if object(result, &["status"]).is_some() {
        report(result, id.as_deref())
    } else if id.is_some() || from.is_some() {
        Notice {
            body: text(result, &["text", "message.text"]),
            media: texts(array(result, &["message"]), "url"),
            at: time(result, &["receivedAt"]),
            ..Notice::received(result)
        }
    } else {
        return Notice::unreadable(result);
    };
    Notice {
        id,
        from: Party::international(from),
        to: Party::international(text(result, &["to"])),
        ..notice
    }
}

fn report<'p>(result: &'p Value, id: Option<&str>) -> Notice<'p> {
    let state = integer(result, &["status.id"]);
    let status = match integer(result, &["status.groupId"]) {
        Some(0) => Some(TextStatus::Accepted),
        Some(1) => Some(TextStatus::Sending),
        Some(2) => Some(TextStatus::Undelivered),
        // The group's name is DELIVERED, but only this state of it is final: the
        // other one says that the operator has it.
        Some(3) if state == Some(5) => Some(TextStatus::Delivered),
        Some(3) => Some(TextStatus::Sent),
        Some(4) => Some(TextStatus::Expired),
        Some(5) => Some(TextStatus::Rejected),
        _ => None,
    };
    let notice = match status {
        Some(status) => Notice {
            error: text(result, &["error.id", "error.name"]).filter(|_| status.is_failure()),
            ..Notice::moved_on(status, result)
        },
        None => Notice {
            direction: Some(TextDirection::Outbound),
            ..Notice::other("message.report", result)
        },
    };
    Notice {
        key: id.map(|id| format!("{id}:{}", state.unwrap_or_default())),
        at: time(result, &["doneAt", "sentAt"]),
        ..notice
    }
}
