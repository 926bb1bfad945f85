//! "Opt-outs first" holds for every vendor call of an opt-out, on the last calls
//! of the day too.

use serde_json::{Value, json};

use crate::support::query::settled;
use crate::support::{TestApp, text};

const LEAD: &str = "+16195550191";
const DIALED: &str = "+16195550192";
const CHATTY: &str = "+16195550193";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_day_that_is_used_up_a_stop_and_a_do_not_call_reach_ghl_and_nothing_else_does() {
    let limit = [("GHL_DAILY_LIMIT", "1000")];
    let mut app = TestApp::start_with(&limit).await;
    let add = |phone: &str| app.sandbox.ghl.add_contact(json!({"phone": phone}));
    let (lead, dialed, chatty) = (add(LEAD), add(DIALED), add(CHATTY));
    app.shut_down().await;
    app.execute(
        "INSERT INTO vendor_usage (vendor, day, calls) VALUES ('ghl', (now() AT TIME ZONE 'UTC')::date, 990)
         ON CONFLICT (vendor, day) DO UPDATE SET calls = 990",
    )
    .await;
    app.boot(&limit).await;
    app.texting(&text("message.received", "m1", CHATTY, "hello")).await;
    let waits = "SELECT 1 FROM texting_webhook_events WHERE status = 'pending' AND error_message IS NOT NULL";
    settled(&app.config, waits, 1).await;
    app.texting(&text("message.received", "m2", LEAD, "STOP")).await;
    app.aloware(&json!({"event": "Contact DNC Updated", "body": {"id": 5, "phone_number": DIALED, "is_dnc": true}}))
        .await;
    let arrived =
        "SELECT 1 FROM sync_log WHERE status = 'success' AND error_message IN ('STOP', 'DNC status: opted_out')";
    settled(&app.config, arrived, 2).await;
    let sorted = |contact: &str| {
        let mut tags = app.sandbox.ghl.tags(contact);
        tags.sort();
        tags
    };
    assert_eq!(sorted(&lead), ["dnc-sms", "sms opted out"]);
    assert_eq!(sorted(&dialed), ["dnc", "do not call"]);
    let dnd: Value = app.sandbox.ghl.contact(&lead).unwrap()["dndSettings"]["SMS"]["status"].clone();
    assert_eq!(dnd, "active");
    assert!(app.sandbox.ghl.notes(&chatty).is_empty(), "a text waits for tomorrow");
    app.shut_down_quietly().await;
}
