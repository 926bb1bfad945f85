//! Texts are logged on the person's contact, as notes or in the conversation.

use df_middleware::sandbox::ghl::ProviderKind;
use serde_json::json;

use crate::support::{OUR_NUMBER, TestApp, text};

const LEAD: &str = "+16195550133";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_both_ways_become_notes_and_are_mapped() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "Hello, is the flat still free?"))
        .await;
    app.texting(&text("message.sent", "m2", LEAD, "It is.")).await;
    app.idle().await;
    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(
        notes[0],
        format!(
            "[SMS][Inbound] 2026-11-02 17:20 UTC\nFrom: {LEAD}\nTo: {OUR_NUMBER}\n\nHello, is the flat still free?\n\n[df:sms:m1]"
        )
    );
    assert!(notes[1].starts_with("[SMS][Outbound]"), "{notes:?}");
    let mapped = app
        .rows("SELECT texting_message_id, ghl_contact_id, direction, ghl_message_id IS NOT NULL AS noted FROM message_mappings ORDER BY 1")
        .await;
    assert_eq!(
        mapped[0],
        json!({"texting_message_id": "m1", "ghl_contact_id": contact, "direction": "inbound", "noted": true})
    );
    assert_eq!(mapped[1]["direction"], "outbound");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_provider_texts_go_into_the_conversation_whatever_type_it_wants() {
    for kind in [ProviderKind::Custom, ProviderKind::Sms] {
        let app = TestApp::start_with(&[("GHL_CONVERSATION_PROVIDER_ID", "provider1")]).await;
        app.sandbox.ghl.set_provider("provider1", kind);
        let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
        app.texting(&text("message.received", "m1", LEAD, "Hi")).await;
        app.texting(&text("message.sent", "m2", LEAD, "Hello")).await;
        app.idle().await;
        assert!(app.sandbox.ghl.notes(&contact).is_empty());
        let messages = app.sandbox.ghl.messages();
        let directions: Vec<&str> = messages
            .iter()
            .map(|message| message["direction"].as_str().unwrap())
            .collect();
        assert_eq!(directions, ["inbound", "outbound"]);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_of_a_text_is_one_note_and_two_texts_of_one_conversation_are_two() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "one")).await;
    let mut again = text("message.received", "m1", LEAD, "one");
    again["message"]["timestamp"] = json!("2026-11-02T17:21:00Z");
    let answer = app.texting(&again).await;
    assert_eq!(
        answer.json::<serde_json::Value>().await.unwrap()["message"],
        "Duplicate event ignored"
    );
    for words in ["two", "three"] {
        let mut nameless = text("message.received", "", LEAD, words);
        nameless["message"].as_object_mut().unwrap().remove("id");
        app.texting(&nameless).await;
    }
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_number_never_becomes_a_contact() {
    let app = TestApp::start().await;
    app.texting(
        &json!({"type": "message.received", "message": {"id": "m1", "from": OUR_NUMBER, "to": LEAD, "body": "loop"}}),
    )
    .await;
    app.idle().await;
    assert!(app.sandbox.ghl.contacts().is_empty());
    let rows = app.rows("SELECT status, error_message FROM sync_log").await;
    assert_eq!(rows, [json!({"status": "skipped", "error_message": "own_number"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_report_advances_the_message_and_never_goes_back() {
    let app = TestApp::start().await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.sent", "m1", LEAD, "It is.")).await;
    app.texting(&text("message.delivered", "m1", LEAD, "")).await;
    app.texting(&text("message.queued", "m1", LEAD, "")).await;
    app.idle().await;
    let rows = app.rows("SELECT delivery_status FROM message_mappings").await;
    assert_eq!(rows, [json!({"delivery_status": "delivered"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aloware_text_is_logged_like_any_other() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&json!({"event": "InboundSMS-DispositionCompleted", "body": {"id": 77, "type": 2, "direction": 1, "body": "hi there",
        "lead_number": LEAD, "incoming_number": OUR_NUMBER, "created_at": "2026-11-02 17:20:00", "contact": {"id": 5, "phone_number": LEAD}}}))
        .await;
    app.idle().await;
    let notes = app.sandbox.ghl.notes(&contact);
    assert!(
        notes[0].contains("hi there") && notes[0].starts_with("[SMS][Inbound]"),
        "{notes:?}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sync_to_aloware_a_text_is_mapped_to_the_aloware_contact_too() {
    let app = TestApp::start_with(&[("TEXTING_SYNC_TO_ALOWARE", "true")]).await;
    let stranger = "+16195550134";
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let aloware = app
        .sandbox
        .aloware
        .add_contact(json!({"phone_number": LEAD}))
        .to_string();
    for (id, person) in [("m1", LEAD), ("m2", stranger)] {
        app.texting(&text("message.received", id, person, "Hello")).await;
        app.idle().await;
    }
    let mapped = app
        .rows("SELECT texting_message_id AS id, aloware_contact_id FROM message_mappings ORDER BY 1")
        .await;
    let wanted = [
        json!({"id": "m1", "aloware_contact_id": aloware}),
        json!({"id": "m2", "aloware_contact_id": null}),
    ];
    assert_eq!(mapped, wanted);
    let people = format!("SELECT aloware_contact_id FROM contact_mappings WHERE ghl_contact_id = '{contact}'");
    assert_eq!(app.rows(&people).await, [json!({"aloware_contact_id": aloware})]);
    let log = app
        .rows(
            "SELECT entity_id, status, target_id, error_message FROM sync_log
              WHERE direction = 'texting_to_aloware' ORDER BY entity_id",
        )
        .await;
    let wanted = [
        json!({"entity_id": "m1", "status": "skipped", "target_id": aloware, "error_message": "not-supported"}),
        json!({"entity_id": "m2", "status": "skipped", "target_id": null, "error_message": "no-aloware-contact"}),
    ];
    assert_eq!(log, wanted);
    app.texting(&text("message.received", "m3", LEAD, "Again")).await;
    app.idle().await;
    assert_eq!(
        app.sandbox.aloware.calls_total(),
        2,
        "who is mapped is not looked up again"
    );
    app.finish().await;

    let app = TestApp::start().await;
    app.sandbox.aloware.add_contact(json!({"phone_number": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "Hello")).await;
    app.idle().await;
    assert_eq!(app.sandbox.aloware.calls_total(), 0, "not unless it is asked for");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_text_is_marked_and_counted() {
    let app = TestApp::start().await;
    let counted = async || -> f64 {
        let text = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap();
        let text = text.text().await.unwrap();
        let line = |line: &str| Some(line.strip_prefix(r#"texts_failed_total{class="failed"} "#)?.to_owned());
        let value = text.lines().find_map(line);
        value.map_or(0.0, |value| value.parse().unwrap())
    };
    let before = counted().await;
    app.texting(&text("message.sent", "m1", LEAD, "It is.")).await;
    let mut failed = text("message.failed", "m1", LEAD, "");
    failed["message"]["errorCode"] = json!(30003);
    app.texting(&failed).await;
    app.idle().await;
    let rows = app
        .rows("SELECT delivery_status, error_code FROM message_mappings")
        .await;
    assert_eq!(rows, [json!({"delivery_status": "failed", "error_code": "30003"})]);
    // The recorder is the whole test process's: others count, too.
    assert!(counted().await >= before + 1.0);
    let log = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'skipped'")
        .await;
    assert_eq!(log, [json!({"error_message": "delivery status: failed"})]);
    assert_eq!(
        app.send(LEAD, "again").await.status(),
        202,
        "a broken line is no opt-out"
    );
    app.finish().await;
}
