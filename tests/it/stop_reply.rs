//! A STOP is confirmed at most once, in time, and only to whom it may be.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{TestApp, text};

const LEAD: &str = "+16195550166";
const REPLY: (&str, &str) = (
    "TEXTING_STOP_REPLY",
    "You are opted out and will get no more texts from us.",
);

/// A text that was written just now, or so long ago.
fn said(id: &str, words: &str, ago: TimeDelta) -> Value {
    let mut body = text("message.received", id, LEAD, words);
    body["message"]["timestamp"] = json!((Utc::now() - ago).to_rfc3339());
    body
}

fn now(id: &str, words: &str) -> Value {
    said(id, words, TimeDelta::zero())
}

async fn bodies(app: &TestApp) -> Vec<String> {
    app.idle().await;
    app.sandbox
        .texting
        .sent_to(LEAD)
        .into_iter()
        .map(|sent| sent.body)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_confirmed_once_and_the_next_one_only_after_a_start() {
    let app = TestApp::start_with(&[REPLY]).await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&now("m1", "STOP")).await;
    assert_eq!(bodies(&app).await, [REPLY.1]);
    let first = app.sandbox.texting.sent_to(LEAD).remove(0);
    assert_eq!(first.from.as_deref(), Some(crate::support::OUR_NUMBER));
    app.texting(&now("m1", "STOP")).await;
    app.execute("UPDATE texting_webhook_events SET status = 'pending'")
        .await;
    app.texting(&now("m2", "Stop!!")).await;
    assert_eq!(
        bodies(&app).await.len(),
        1,
        "neither a repeat, a replay nor a second STOP is confirmed"
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);

    app.texting(&now("m3", "START")).await;
    app.idle().await;
    app.texting(&now("m4", "STOP")).await;
    assert_eq!(bodies(&app).await.len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_late_reported_or_foreign_stop_and_no_blocked_number_gets_a_confirmation() {
    let late = said("m1", "STOP", TimeDelta::minutes(6));
    let report =
        json!({"type": "optout.stop", "message": {"id": "o1", "from": LEAD, "to": crate::support::OUR_NUMBER}});
    let mut toll_free = now("m3", "STOP");
    toll_free["message"]["to"] = json!("+18885550100");
    for (told, what) in [
        (&late, "a late one"),
        (&report, "the vendor's report"),
        (&toll_free, "to a toll-free number"),
    ] {
        let app = TestApp::start_with(&[REPLY]).await;
        app.texting(told).await;
        assert!(bodies(&app).await.is_empty(), "{what}");
        assert_eq!(
            app.rows("SELECT status FROM optout_registry").await,
            [json!({"status": "opted_out"})]
        );
        app.finish().await;
    }
    let app = TestApp::start_with(&[REPLY]).await;
    app.aloware(
        &json!({"event": "InboundSMS-DispositionCompleted", "body": {"id": 1, "type": 2, "direction": 1, "body": "STOP",
        "lead_number": LEAD, "incoming_number": crate::support::OUR_NUMBER}}),
    )
    .await;
    assert!(bodies(&app).await.is_empty(), "through another vendor");
    app.texting(&now("m4", "STOP")).await;
    assert!(bodies(&app).await.is_empty(), "blocked before");
    app.finish().await;

    let app = TestApp::start().await;
    app.texting(&now("m1", "STOP")).await;
    assert!(bodies(&app).await.is_empty(), "unset, nothing is sent");
    app.finish().await;
}
