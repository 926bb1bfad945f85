//! ClickSend: a form that has most fields under several names (vendors/texting.md
//! 1.10).

use serde_json::Value;

use super::notice::{Notice, Party, flat, time};
use crate::domain::Phone;
use crate::wire::json::{at, text};

const WORDS: [&str; 2] = ["body", "message"];

pub(super) fn read<'p>(request: &'p Value, own: &[Phone]) -> Option<Vec<Notice<'p>>> {
    let fields = &flat(request)?;
    let notice = if WORDS.iter().any(|name| at(fields, name).is_some()) {
        Notice {
            from: Some(sender(fields, own)?),
            body: text(fields, &WORDS),
            ..Notice::received(request)
        }
    } else {
        Notice::in_state(&text(fields, &["status"])?, request)
    };
    Some(vec![Notice {
        id: text(fields, &["message_id"]),
        to: Party::international(text(fields, &["to"])),
        at: time(fields, &["timestamp"]),
        ..notice
    }])
}

/// Whoever uses it takes one of two fields for the sender; where they differ, it is
/// not the one that is ours.
fn sender(fields: &Value, own: &[Phone]) -> Option<Party> {
    let told = ["from", "sms"].map(|name| Party::international(text(fields, &[name])));
    let (ours, theirs): (Vec<_>, Vec<_>) = told.into_iter().flatten().partition(|party| party.is_one_of(own));
    theirs.into_iter().chain(ours).next()
}
