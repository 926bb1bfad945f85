//! Every sample of a vendor's request, taken in: each becomes the stated events
//! with the stated effect.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use df_middleware::domain::TextingVendor;
use reqwest::Url;
use serde_json::{Map, Value};

use super::{Counter, LEAD, app, blocks};
use crate::contracts::vendors;
use crate::support::TestApp;

const HEARD: &str = "message.received: success";
const STOPPED: &str = "message.received: success STOP, consumer_stop";

/// The events of each sample with their rows in the log, and what blocks the consumer.
const EFFECTS: &[(&str, &str)] = &[
    (
        "bandwidth-message-delivered",
        "message.delivered: skipped delivery status: delivered",
    ),
    (
        "bandwidth-message-failed",
        "message.failed: skipped delivery status: failed",
    ),
    (
        "bandwidth-message-failed-optout-4775",
        "message.failed: skipped delivery status: failed, vendor_block",
    ),
    ("bandwidth-message-received", HEARD),
    ("bandwidth-message-received-group-mms", HEARD),
    ("bandwidth-message-received-stop", STOPPED),
    ("bird-sms.inbound", HEARD),
    (
        "bandwidth-message-sending",
        "message.sending: skipped delivery status: sending",
    ),
    ("clicksend-inbound", HEARD),
    (
        "generic-message-delivered",
        "message.delivered: skipped delivery status: delivered",
    ),
    (
        "generic-message-failed",
        "message.failed: skipped delivery status: failed, vendor_block",
    ),
    ("generic-message-received", HEARD),
    ("generic-message-received-direction", HEARD),
    ("generic-message-received-stop", STOPPED),
    ("generic-message-sent", "message.sent: success"),
    ("generic-optout-stop", "optout.stop: success STOP, consumer_stop"),
    ("infobip-inbound", HEARD),
    ("infobip-inbound-stop", STOPPED),
    ("messagebird-inbound", HEARD),
    ("messagebird-inbound-mms", HEARD),
    (
        "messagebird-status-delivered",
        "message.delivered: skipped delivery status: delivered",
    ),
    (
        "messagebird-status-failed-optout-103",
        "message.undelivered: skipped delivery status: undelivered, vendor_block",
    ),
    ("plivo-inbound", HEARD),
    ("plivo-inbound-stop", STOPPED),
    (
        "plivo-status-delivered",
        "message.delivered: skipped delivery status: delivered",
    ),
    (
        "plivo-status-failed-optout-200",
        "message.failed: skipped delivery status: failed, vendor_block",
    ),
    (
        "simpletexting-DELIVERY_REPORT",
        "message.delivered: skipped delivery status: delivered",
    ),
    ("simpletexting-INCOMING_MESSAGE", HEARD),
    (
        "sinch-delivery_report_sms",
        "message.delivered: skipped delivery status: delivered; message.failed: skipped delivery status: failed",
    ),
    ("sinch-mo_media", HEARD),
    ("sinch-mo_text", HEARD),
    ("sinch-mo_text-stop", STOPPED),
    (
        "sinch-recipient_delivery_report_sms",
        "message.delivered: skipped delivery status: delivered",
    ),
    (
        "telnyx-message.finalized-delivered",
        "message.delivered: skipped delivery status: delivered",
    ),
    (
        "telnyx-message.finalized-failed",
        "message.undelivered: skipped delivery status: undelivered",
    ),
    ("telnyx-message.received", HEARD),
    ("telnyx-message.received-stop", STOPPED),
    ("telnyx-message.sent", "message.sent: success"),
    ("textmagic-inbound", HEARD),
    ("twilio-inbound", HEARD),
    ("twilio-inbound-stop-optouttype", STOPPED),
    ("twilio-inbound-stop-plain", STOPPED),
    (
        "twilio-status-delivered",
        "message.delivered: skipped delivery status: delivered",
    ),
    ("twilio-status-sent", "message.sent: skipped delivery status: sent"),
    (
        "twilio-status-undelivered",
        "message.undelivered: skipped delivery status: undelivered",
    ),
    ("vonage-messages-inbound", HEARD),
    ("vonage-messages-status", "message.sent: skipped delivery status: sent"),
    (
        "vonage-smsapi-dlr",
        "message.delivered: skipped delivery status: delivered",
    ),
    ("vonage-smsapi-inbound", HEARD),
    ("vonage-smsapi-inbound-get", STOPPED),
    // The answer to a send, no webhook: as one it would be kept for a person.
    (
        "telnyx-send-response-optout-40300",
        "unreadable: error the vendor's request is none that its dialect explains",
    ),
];

/// The vectors of the signatures, which the tests of `http::texting` read.
const NO_SAMPLE: &str = "signatures";

/// A file's JSON; of a form or a query what the door makes of it.
fn body(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let query = match path.extension().unwrap().to_str().unwrap() {
        "json" => return serde_json::from_str(&text).unwrap(),
        "query" => text.split_once('?').unwrap().1.to_owned(),
        _ => text,
    };
    let url = Url::parse(&format!("http://localhost/?{}", query.trim())).unwrap();
    let fields = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
    Value::Object(fields.collect::<Map<String, Value>>())
}

async fn outcome(app: &TestApp) -> String {
    let events = "SELECT e.event_type, l.status, l.error_message AS why FROM texting_webhook_events e
                    JOIN sync_log l ON l.correlation_id = e.id::text ORDER BY e.seq";
    let line = |row: &Value| {
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {} {}", word("event_type"), word("status"), word("why"))
            .trim()
            .to_owned()
    };
    let lines: Vec<String> = app.rows(events).await.iter().map(line).collect();
    let mut told = vec![lines.join("; ")];
    told.extend(blocks(app, LEAD).await);
    told.join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_is_understood_and_has_its_stated_effect() {
    let Some(folder) = vendors::folder()
        .map(|folder| folder.join("texting"))
        .filter(|folder| folder.is_dir())
    else {
        return eprintln!("skipped: no folder shared/contracts/texting above the repository");
    };
    let app = app().await;
    let counter = Counter::open(&app).await;
    let mut seen = BTreeSet::new();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == NO_SAMPLE {
            continue;
        }
        // Bird is what MessageBird is called now.
        let vendor = match name.split('-').next().unwrap() {
            "bird" => TextingVendor::MessageBird,
            vendor => TextingVendor::parse(vendor).unwrap(),
        };
        // The samples share ids and people.
        app.execute(
            "DELETE FROM texting_webhook_events; DELETE FROM sync_log; DELETE FROM effects;
             DELETE FROM message_mappings; DELETE FROM optout_blocks; DELETE FROM optout_registry; DELETE FROM optout_history",
        )
        .await;
        assert!(counter.take(vendor, &body(&path)).await.is_some(), "{name}");
        app.idle().await;
        let stated = EFFECTS.iter().find(|(known, _)| *known == name);
        let (known, wanted) = stated.unwrap_or_else(|| panic!("no effect is stated for {name}"));
        assert_eq!(outcome(&app).await, *wanted, "{name}");
        seen.insert(*known);
    }
    let unused: Vec<_> = EFFECTS.iter().filter(|(name, _)| !seen.contains(name)).collect();
    assert!(unused.is_empty(), "no sample for {unused:?}");
    counter.close().await;
    app.finish().await;
}
