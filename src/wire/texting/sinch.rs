//! Sinch SMS: inbound messages, reports of one recipient, and reports of a batch.
//! A report has no message id: the batch and the recipient are what it is about.

use serde_json::Value;

use super::notice::{Notice, Party, texts, time};
use super::status::status;
use crate::domain::{TextDirection, VendorSignal};
use crate::wire::json::{array, integer, scalar, text};

pub(super) fn read(request: &Value) -> Option<Vec<Notice<'_>>> {
    let name = text(request, &["type"])?;
    let batch = text(request, &["batch_id"]);
    if batch.is_none() && text(request, &["id"]).is_none() {
        return None;
    }
    Some(match name.as_str() {
        "mo_text" | "mo_media" => vec![Notice {
            body: text(request, &["body", "body.message", "body.subject"]),
            media: texts(array(request, &["body.media"]), "url"),
            ..inbound(Notice::received(request), request)
        }],
        "recipient_delivery_report_sms" | "recipient_delivery_report_mms" => {
            vec![report(request, request, text(request, &["recipient"]), batch)]
        }
        "delivery_report_sms" | "delivery_report_mms" => of_batch(&name, request, batch),
        // The octets of a binary message are no words.
        "mo_binary" => vec![inbound(
            Notice {
                direction: Some(TextDirection::Inbound),
                ..Notice::other(&name, request)
            },
            request,
        )],
        other => vec![Notice {
            id: batch.or_else(|| text(request, &["id"])),
            ..Notice::other(other, request)
        }],
    })
}

fn inbound<'p>(notice: Notice<'p>, request: &Value) -> Notice<'p> {
    Notice {
        id: text(request, &["id"]),
        from: Party::international(text(request, &["from"])),
        to: Party::international(text(request, &["to"])),
        // The operator's clock, or the phone's, would put a STOP before an earlier START.
        at: time(request, &["received_at", "sent_at"]),
        ..notice
    }
}

/// One event for each recipient that the batch's report names. Bare counts say
/// something of a message only where the batch is one message.
fn of_batch<'p>(name: &str, request: &'p Value, batch: Option<String>) -> Vec<Notice<'p>> {
    let single = integer(request, &["total_message_count"]) == Some(1);
    let mut notices = Vec::new();
    for group in array(request, &["statuses"]).unwrap_or_default() {
        let recipients = array(group, &["recipients"]).unwrap_or_default();
        for recipient in recipients.iter().filter_map(scalar) {
            let notice = report(group, request, Some(recipient.clone()), batch.clone());
            // Several texts under one id: what became of one says nothing of the others.
            let id = notice
                .id
                .map(|id| if single { id } else { format!("{id}:{recipient}") });
            notices.push(Notice { id, ..notice });
        }
        if recipients.is_empty() && single {
            notices.push(report(group, request, None, batch.clone()));
        }
    }
    if notices.is_empty() {
        notices.push(Notice {
            id: batch,
            ..Notice::other(name, request)
        });
    }
    notices
}

/// `told` has the status, `request` the rest.
fn report<'p>(told: &Value, request: &'p Value, recipient: Option<String>, batch: Option<String>) -> Notice<'p> {
    let word = text(told, &["status"]).unwrap_or_default();
    let notice = match status(&word) {
        Some(status) => Notice {
            error: text(told, &["code"]).filter(|_| status.is_failure()),
            // An invalid number, or somebody who opted out: neither may be texted.
            signal: word.eq_ignore_ascii_case("deleted").then_some(VendorSignal::Stop),
            ..Notice::moved_on(status, request)
        },
        None => Notice::in_state(&word, request),
    };
    let named = recipient.clone().unwrap_or_default();
    Notice {
        key: batch.as_ref().map(|batch| format!("{batch}:{named}")),
        id: batch,
        from: Party::international(text(request, &["applied_originator"])),
        to: Party::international(recipient),
        at: time(request, &["operator_status_at", "at"]),
        ..notice
    }
}
