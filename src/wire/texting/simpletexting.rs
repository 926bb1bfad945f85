//! SimpleTexting v2: `{reportItemId, type, values}`, ten-digit national numbers.

use serde_json::Value;

use super::notice::{Notice, Party, flat, texts, time};
use crate::domain::{TextDirection, TextStatus, VendorSignal};
use crate::wire::json::{array, text};

/// Whose numbers they are: the vendor serves no other country.
const REGION: &str = "US";

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let name = text(request, &["type"])?;
    let values = &flat(request.get("values").unwrap_or(request))?;
    let number = |keys: &[&str]| Party::national(text(values, keys), REGION);
    let consumer = || number(&["contactphone", "phone"]);
    let ours = || number(&["accountphone"]);
    let words = |notice| Notice {
        body: text(values, &["text"]),
        media: texts(array(values, &["mediaitems"]), "url"),
        ..notice
    };
    let notice = match name.to_ascii_uppercase().as_str() {
        "INCOMING_MESSAGE" => Notice {
            from: consumer(),
            to: ours(),
            ..words(Notice::received(request))
        },
        "UNSUBSCRIBE_REPORT" => Notice {
            from: consumer(),
            direction: Some(TextDirection::Inbound),
            signal: Some(VendorSignal::Stop),
            key: text(request, &["reportItemId"]),
            ..Notice::other("optout.stop", request)
        },
        "OUTGOING_MESSAGE" => Notice {
            from: ours(),
            to: consumer(),
            ..words(Notice::moved_on(TextStatus::Sent, request))
        },
        "DELIVERY_REPORT" => Notice {
            from: ours(),
            to: consumer(),
            ..Notice::moved_on(TextStatus::Delivered, request)
        },
        "NON_DELIVERED_REPORT" => Notice {
            from: ours(),
            to: consumer(),
            ..Notice::moved_on(TextStatus::Undelivered, request)
        },
        // Who wrote to whom only the type tells, and this one we do not know.
        _ => Notice::other(&name, request),
    };
    Some(vec![Notice {
        id: text(values, &["messageid"]),
        at: time(values, &["timestamp"]),
        ..notice
    }])
}
