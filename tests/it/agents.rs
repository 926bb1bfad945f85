//! An agent's text typed in GHL leaves through the guard, once, and a refusal
//! is shown to the agent.

use df_middleware::sandbox::ghl::ProviderKind;
use df_middleware::sandbox::{Fault, Times, texting};
use serde_json::{Value, json};

use crate::support::{self, PROVIDER, TestApp, post_provider, text};

const LEAD: &str = "+16195550188";

fn typed(app: &TestApp, words: &str) -> Value {
    support::typed(&app.sandbox, LEAD, words)
}

async fn deliver(app: &TestApp, body: &Value) {
    let answer = post_provider(&app.client, &app.base, &app.sandbox, body).await;
    assert_eq!(answer.status(), 200);
}

fn status_of(app: &TestApp, id: &str) -> Value {
    let messages = app.sandbox.ghl.messages();
    messages.iter().find(|message| message["id"] == id).unwrap()["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_s_text_is_sent_once_and_its_report_does_not_show_it_twice() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    let body = typed(&app, "see you at five");
    deliver(&app, &body).await;
    deliver(&app, &body).await;
    app.idle().await;
    let sent = app.sandbox.texting.sent_to(LEAD);
    assert_eq!(sent.len(), 1);
    let shown = app.sandbox.ghl.messages().len();
    let vendor_id = app.rows("SELECT vendor_id FROM outbound_messages").await[0]["vendor_id"].clone();
    app.texting(&text(
        "message.sent",
        vendor_id.as_str().unwrap(),
        LEAD,
        "see you at five",
    ))
    .await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.messages().len(), shown);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_to_someone_who_said_stop_fails_in_ghl_and_is_not_sent() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    app.sandbox.ghl.set_provider("provider1", ProviderKind::Custom);
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    app.idle().await;
    let body = typed(&app, "just one more thing");
    deliver(&app, &body).await;
    app.idle().await;
    assert!(app.sandbox.texting.sent().is_empty());
    assert_eq!(status_of(&app, body["messageId"].as_str().unwrap()), "failed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_do_not_leave_and_nobody_is_told_they_did() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    let picture = json!(["https://files.probe.test/a.png"]);
    let (mut both, mut only) = (typed(&app, "see the plan"), typed(&app, ""));
    for body in [&mut both, &mut only] {
        body["attachments"] = picture.clone();
        deliver(&app, body).await;
    }
    app.idle().await;
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 1, "the words");
    assert_eq!(status_of(&app, only["messageId"].as_str().unwrap()), "failed");
    let log = app
        .rows("SELECT status, error_message FROM sync_log ORDER BY status")
        .await;
    assert_eq!(
        log,
        [
            json!({"status": "skipped", "error_message": "attachments cannot be sent"}),
            json!({"status": "success", "error_message": "sent without its attachments"})
        ]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_answer_was_lost_is_not_repeated() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    let body = typed(&app, "hello?");
    app.sandbox
        .texting
        .fault("POST", texting::SEND_PATH, Times::Once, Fault::apply_then(Fault::Reset));
    deliver(&app, &body).await;
    app.idle().await;
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 1);
    app.execute("UPDATE webhook_events SET status = 'pending'").await;
    app.idle().await;
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_entry_whose_answer_was_lost_is_found_again() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    app.sandbox.ghl.set_provider("provider1", ProviderKind::Custom);
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let lost = Fault::apply_then(Fault::Reset);
    app.sandbox
        .ghl
        .fault("POST", "/conversations/messages/inbound", Times::Once, lost);
    app.texting(&text("message.received", "m1", LEAD, "are you there?"))
        .await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.messages().len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendor_s_final_report_becomes_the_agent_s_message_status_once() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    let statuses = |app: &TestApp| {
        app.sandbox
            .calls()
            .iter()
            .filter(|call| call.method == "PUT" && call.path.ends_with("/status"))
            .count()
    };
    for (nth, (report, code, wanted)) in [
        ("message.delivered", None, "delivered"),
        ("message.failed", Some(30003), "failed"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = typed(&app, "are you coming?");
        deliver(&app, &body).await;
        app.idle().await;
        let sent = app.sandbox.texting.sent_to(LEAD).pop().unwrap();
        let before = statuses(&app);
        app.texting(&text("message.queued", &sent.id, LEAD, "")).await;
        app.idle().await;
        assert_eq!(statuses(&app), before, "what is not final is not told");
        for again in [false, true] {
            let mut told = text(report, &sent.id, LEAD, "");
            if let Some(code) = code {
                told["message"]["errorCode"] = json!(code);
            }
            told["again"] = json!(again);
            app.texting(&told).await;
            app.execute("UPDATE texting_webhook_events SET status = 'pending'")
                .await;
            app.idle().await;
        }
        assert_eq!(statuses(&app), before + 1, "once, of report {nth}");
        assert_eq!(status_of(&app, body["messageId"].as_str().unwrap()), wanted);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_comes_before_the_text_is_shown_is_told_when_it_is() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    app.sandbox.ghl.set_provider("provider1", ProviderKind::Custom);
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.failed", "m1", LEAD, "")).await;
    app.idle().await;
    app.texting(&text("message.sent", "m1", LEAD, "It is.")).await;
    app.idle().await;
    let shown = app.sandbox.ghl.messages();
    let fates: Vec<&Value> = shown.iter().map(|message| &message["status"]).collect();
    assert_eq!(fates, ["failed"]);
    let kept = app.rows("SELECT delivery_status FROM message_mappings").await;
    assert_eq!(kept, [json!({"delivery_status": "failed"})]);
    app.finish().await;
}
