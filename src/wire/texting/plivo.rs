//! Plivo: a flat form for each event, its numbers without `+`. The case of the
//! names varies; a picture message has its words in another field.

use serde_json::Value;

use super::notice::{Notice, Party, flat, numbered, time};
use super::status::status;
use crate::domain::VendorSignal;
use crate::wire::json::text;

/// The recipient opted out.
const OPTED_OUT: &str = "200";

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let fields = &flat(request)?;
    let id = text(fields, &["messageuuid"])?;
    let notice = match text(fields, &["status"]) {
        None => Notice {
            body: text(fields, &["text", "body"]),
            media: numbered(fields, "media"),
            signal: intent(fields),
            ..Notice::received(request)
        },
        Some(word) => outbound(&word, fields, request),
    };
    Some(vec![Notice {
        id: Some(id),
        from: Party::international(text(fields, &["from"])),
        to: Party::international(text(fields, &["to"])),
        ..notice
    }])
}

fn outbound<'p>(word: &str, fields: &Value, request: &'p Value) -> Notice<'p> {
    let Some(status) = status(word) else {
        return Notice::in_state(word, request);
    };
    // A delivered text has the code `000`.
    let error = text(fields, &["errorcode"]).filter(|_| status.is_failure());
    Notice {
        signal: (error.as_deref() == Some(OPTED_OUT)).then_some(VendorSignal::Stop),
        error,
        at: time(fields, &["deliveryreporttime", "senttime", "queuedtime", "messagetime"]),
        ..Notice::moved_on(status, request)
    }
}

fn intent(fields: &Value) -> Option<VendorSignal> {
    match text(fields, &["messageintent"])?.to_ascii_lowercase().as_str() {
        "optout" => Some(VendorSignal::Stop),
        "optin" => Some(VendorSignal::Start),
        "help" => Some(VendorSignal::Help),
        _ => None,
    }
}
