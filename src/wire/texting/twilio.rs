//! Twilio: a flat form for each event. The names' case is as Twilio writes it,
//! but gateways that speak its dialect do not keep it. There is no time in it.

use serde_json::Value;

use super::notice::{Notice, Party, flat, numbered};
use super::status::status;
use crate::domain::{TextDirection, VendorSignal};
use crate::wire::json::text;

/// The recipient has sent STOP to us before.
const UNSUBSCRIBED: &str = "21610";

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let fields = &flat(request)?;
    let id = text(fields, &["messagesid", "smssid", "smsmessagesid"])?;
    let body = text(fields, &["body"]);
    let word = text(fields, &["messagestatus", "smsstatus"]).map(|word| word.to_ascii_lowercase());
    let notice = match word.as_deref() {
        Some("received" | "receiving") => Notice::received(request),
        // A callback of a status has none, the webhook of a text always has one.
        None if body.is_some() => Notice::received(request),
        None => Notice::other("unknown", request),
        Some(word) => outbound(word, fields, request),
    };
    let inbound = notice.direction == Some(TextDirection::Inbound);
    Some(vec![Notice {
        id: Some(id),
        from: Party::international(text(fields, &["from"])),
        to: Party::international(text(fields, &["to"])),
        body: body.filter(|_| inbound),
        media: if inbound {
            numbered(fields, "mediaurl")
        } else {
            Vec::new()
        },
        signal: if inbound { opt_out_type(fields) } else { notice.signal },
        ..notice
    }])
}

fn outbound<'p>(word: &str, fields: &Value, request: &'p Value) -> Notice<'p> {
    let error = text(fields, &["errorcode"]);
    let Some(status) = status(word) else {
        return Notice::in_state(word, request);
    };
    let opted_out = status.is_failure() && error.as_deref() == Some(UNSUBSCRIBED);
    Notice {
        error,
        signal: opted_out.then_some(VendorSignal::Stop),
        ..Notice::moved_on(status, request)
    }
}

/// Sent only where Twilio itself answers STOP.
fn opt_out_type(fields: &Value) -> Option<VendorSignal> {
    VendorSignal::parse(&text(fields, &["optouttype"])?.to_ascii_lowercase())
}
