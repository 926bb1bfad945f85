//! Texts of which nothing tells who wrote them to whom, and requests that no
//! dialect explains: kept, never guessed, and a STOP among them counts.

use df_middleware::domain::TextingVendor;
use serde_json::{Value, json};

use super::{Counter, LEAD, OURS, app, blocks};

fn odd(id: &str, from: &str, to: &str, body: &str) -> Value {
    json!({"data": {"event_type": "message.odd", "payload":
        {"id": id, "from": {"phone_number": from}, "to": [{"phone_number": to}], "text": body}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_between_strangers_is_set_aside_and_its_stop_blocks_the_sender() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    for (id, body) in [("o1", "hello"), ("o2", "please stop texting me")] {
        counter
            .take(TextingVendor::Telnyx, &odd(id, LEAD, "+16195550112", body))
            .await;
    }
    assert_eq!(blocks(&app, LEAD).await, ["consumer_stop"]);
    assert!(blocks(&app, "+16195550112").await.is_empty());
    app.idle().await;
    let rows = app
        .rows("SELECT event_source, reason, quarantined_by FROM quarantine_events")
        .await;
    let reason = "direction unknown: neither side is one of our numbers";
    let row = json!({"event_source": "texting", "reason": reason, "quarantined_by": "ingest"});
    assert_eq!(rows, [row.clone(), row]);
    let ended = app
        .rows("SELECT DISTINCT status, error_message FROM texting_webhook_events")
        .await;
    assert_eq!(ended, [json!({"status": "done", "error_message": "quarantined"})]);
    assert!(app.sandbox.ghl.contacts().is_empty(), "nobody was guessed");
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_our_numbers_decides_where_the_vendor_does_not_say() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    counter
        .take(
            TextingVendor::Telnyx,
            &odd("o1", OURS, LEAD, "Reply STOP to opt out. STOP"),
        )
        .await;
    assert!(blocks(&app, LEAD).await.is_empty() && blocks(&app, OURS).await.is_empty());
    counter
        .take(TextingVendor::Telnyx, &odd("o2", LEAD, OURS, "STOP"))
        .await;
    assert_eq!(blocks(&app, LEAD).await, ["consumer_stop"]);
    app.idle().await;
    assert!(app.rows("SELECT 1 AS row FROM quarantine_events").await.is_empty());
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_no_dialect_explains_is_kept_as_it_came_and_ends_in_error() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    counter
        .take(TextingVendor::Infobip, &json!({"unreadable": "<Sms/>"}))
        .await;
    assert_eq!(
        counter.take(TextingVendor::Infobip, &json!({"results": []})).await,
        None
    );
    app.idle().await;
    let rows = app
        .rows("SELECT event_type, status, error_message, payload_json->'raw' AS raw FROM texting_webhook_events")
        .await;
    let why = "permanent: the vendor's request is none that its dialect explains";
    let row =
        json!({"event_type": "unreadable", "status": "error", "error_message": why, "raw": {"unreadable": "<Sms/>"}});
    assert_eq!(rows, [row]);
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_texts_of_one_conversation_are_two_whatever_ids_they_lack() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    for body in ["one", "two"] {
        let payload = json!({"results": [{"from": "16195550111", "to": "18585550123", "text": body}]});
        counter.take(TextingVendor::Infobip, &payload).await;
    }
    app.idle().await;
    assert_eq!(app.rows("SELECT 1 AS row FROM texting_webhook_events").await.len(), 2);
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_s_start_without_the_word_lifts_nothing_and_its_stop_counts_whatever_was_written() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    let twilio = |id: &str, body: &str, kind: &str| json!({"MessageSid": id, "SmsStatus": "received", "From": LEAD, "To": OURS, "Body": body, "OptOutType": kind});
    counter
        .take(TextingVendor::Twilio, &twilio("t1", "Genug jetzt", "STOP"))
        .await;
    counter.take(TextingVendor::Twilio, &twilio("t2", "YES", "START")).await;
    app.idle().await;
    assert!(blocks(&app, LEAD).await.contains(&"consumer_stop".to_owned()));
    counter
        .take(TextingVendor::Twilio, &twilio("t3", "START", "START"))
        .await;
    app.idle().await;
    assert!(!blocks(&app, LEAD).await.contains(&"consumer_stop".to_owned()));
    counter.close().await;
    app.finish().await;
}
