//! A STOP holds from the moment its delivery is answered, everywhere.

use serde_json::{Value, json};

use crate::support::{OUR_NUMBER, PATIENCE, TestApp, contact_event, text};

const LEAD: &str = "+16195550144";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_in_the_registry_before_the_webhook_is_answered() {
    let app = TestApp::start().await;
    // GHL hangs: nothing that happens after the answer can have written the registry.
    app.sandbox.ghl.fault(
        "*",
        "/",
        df_middleware::sandbox::Times::Forever,
        df_middleware::sandbox::Fault::Hang,
    );
    let answer = app.texting(&text("message.received", "m1", LEAD, "Stop.")).await;
    assert_eq!(answer.status(), 200);
    let rows = app
        .rows("SELECT phone_number, status, source, reason FROM optout_registry")
        .await;
    assert_eq!(
        rows,
        [json!({"phone_number": LEAD, "status": "opted_out", "source": "texting", "reason": "STOP"})]
    );
    let sent = app.send(LEAD, "one more offer").await;
    assert_eq!(sent.status(), 409);
    assert_eq!(sent.json::<Value>().await.unwrap()["code"], "opted_out");
    assert!(app.sandbox.texting.sent().is_empty());
    app.sandbox.clear_faults();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_tags_the_contact_and_blocks_texts_in_ghl_and_start_takes_both_away() {
    let app = TestApp::start().await;
    app.sandbox.ghl.echo_to(&format!("{}/api/webhooks/ghl", app.base));
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD, "tags": ["vip"],
        "dndSettings": {"Email": {"status": "active"}}}));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    settle(&app).await;
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["dnc-sms", "sms opted out", "vip"]);
    let dnd = app.sandbox.ghl.contact(&contact).unwrap()["dndSettings"].clone();
    assert_eq!(
        (&dnd["SMS"]["status"], &dnd["Email"]["status"]),
        (&json!("active"), &json!("active"))
    );
    assert!(
        app.sandbox.ghl.notes(&contact).is_empty(),
        "a STOP is evidence, not conversation"
    );

    let mut start = text("message.received", "m2", LEAD, "start");
    start["message"]["timestamp"] = json!("2026-11-02T18:00:00Z");
    app.texting(&start).await;
    settle(&app).await;
    assert_eq!(app.sandbox.ghl.tags(&contact), ["vip"]);
    assert_eq!(
        app.sandbox.ghl.contact(&contact).unwrap()["dndSettings"]["SMS"]["status"],
        "inactive"
    );
    assert_eq!(app.send(LEAD, "welcome back").await.status(), 202);
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 1);
    let history = app
        .rows("SELECT cause, action FROM optout_history ORDER BY occurred_at")
        .await;
    assert_eq!(history[0], json!({"cause": "consumer_stop", "action": "block"}));
    assert_eq!(
        history
            .iter()
            .filter(|row| row["cause"] == "crm_dnd" && row["action"] == "block")
            .count(),
        0,
        "our DND is no cause of its own"
    );
    app.finish().await;
}

async fn settle(app: &TestApp) {
    for _ in 0..2 {
        app.idle().await;
        app.sandbox.ghl.echoes_settled(PATIENCE).await;
    }
    app.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_lifts_only_what_stop_set() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.ghl(&contact_event(
        "ContactDndUpdate",
        &contact,
        "d1",
        json!({"phone": LEAD, "dnd": true,
        "dndSettings": {"SMS": {"status": "active"}}}),
    ))
    .await;
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    let mut start = text("message.received", "m2", LEAD, "START");
    start["message"]["timestamp"] = json!("2026-11-02T18:00:00Z");
    app.texting(&start).await;
    app.idle().await;
    let rows = app
        .rows("SELECT cause, active FROM optout_blocks WHERE cause <> 'vendor_block' ORDER BY cause")
        .await;
    assert_eq!(
        rows,
        [
            json!({"cause": "consumer_stop", "active": false}),
            json!({"cause": "crm_dnd", "active": true})
        ]
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aloware_not_dnc_lifts_no_stop_and_a_late_start_lifts_no_newer_stop() {
    let app = TestApp::start().await;
    app.texting(&text("message.received", "m1", LEAD, "unsubscribe")).await;
    app.aloware(
        &json!({"event": "Contact DNC Updated", "body": {"id": 5, "phone_number": LEAD, "is_dnc": false,
        "updated_at": "2026-11-03 09:00:00"}}),
    )
    .await;
    let mut old = text("message.received", "m2", LEAD, "START");
    old["message"]["timestamp"] = json!("2026-11-02T17:19:59Z");
    app.texting(&old).await;
    app.idle().await;
    assert_eq!(
        app.rows("SELECT status FROM optout_registry").await,
        [json!({"status": "opted_out"})]
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    assert_eq!(
        app.send("(619) 555-0144", "hello").await.status(),
        409,
        "the same number in another spelling"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_reaches_the_registry_from_every_inbound_text_source() {
    let app = TestApp::start().await;
    app.aloware(
        &json!({"event": "InboundSMS-DispositionCompleted", "body": {"id": 1, "type": 2, "direction": 1, "body": "STOP",
        "lead_number": "+16195550151", "incoming_number": OUR_NUMBER}}),
    )
    .await;
    app.ghl(
        &json!({"type": "InboundMessage", "webhookId": "d1", "contactId": "c1", "messageId": "g1", "messageType": "SMS",
        "direction": "inbound", "body": "stop texting me", "from": "+16195550152", "to": OUR_NUMBER}),
    )
    .await;
    app.texting(&json!({"type": "optout.stop", "message": {"id": "m9", "from": "+16195550153", "to": OUR_NUMBER}}))
        .await;
    let rows = app
        .rows("SELECT phone_number FROM optout_registry WHERE status = 'opted_out' ORDER BY 1")
        .await;
    let phones: Vec<&str> = rows.iter().map(|row| row["phone_number"].as_str().unwrap()).collect();
    assert_eq!(phones, ["+16195550151", "+16195550152", "+16195550153"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn innocent_words_opt_nobody_out() {
    let app = TestApp::start().await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for (n, words) in [
        "Have a nice weekend!",
        "I'll send it to my friend",
        "please cancel my appointment on Friday",
    ]
    .into_iter()
    .enumerate()
    {
        app.texting(&text("message.received", &format!("m{n}"), LEAD, words))
            .await;
    }
    app.idle().await;
    assert!(app.rows("SELECT 1 FROM optout_registry").await.is_empty());
    assert_eq!(app.send(LEAD, "sure").await.status(), 202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_the_vendor_refuses_as_opted_out_is_blocked_from_then_on() {
    let app = TestApp::start().await;
    app.sandbox.texting.opt_out(LEAD);
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    assert_eq!(
        app.rows("SELECT cause FROM optout_blocks WHERE active").await,
        [json!({"cause": "vendor_block"})]
    );
    let calls = app.sandbox.texting.calls_total();
    assert_eq!(app.send(LEAD, "hello again").await.status(), 409);
    assert_eq!(
        app.sandbox.texting.calls_total(),
        calls,
        "the second time the vendor is not asked"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_start_without_a_time_lifts_no_newer_stop() {
    let app = TestApp::start().await;
    let undated = |id: &str, words: &str| {
        let mut body = text("message.received", id, LEAD, words);
        body["message"].as_object_mut().unwrap().remove("timestamp");
        body
    };
    app.texting(&undated("m1", "START")).await;
    app.texting(&undated("m2", "STOP")).await;
    app.texting(&undated("m1", "START")).await;
    assert_eq!(
        app.rows("SELECT status FROM optout_registry").await,
        [json!({"status": "opted_out"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_blocked_by_hand_no_vendor_lifts() {
    let app = TestApp::start().await;
    app.execute(&format!(
        "INSERT INTO optout_registry (phone_number, status, source, reason) VALUES ('{LEAD}', 'opted_out', 'manual', 'import')"
    ))
    .await;
    app.aloware(&json!({"event": "Contact DNC Updated", "body": {"id": 5, "phone_number": LEAD, "is_dnc": false}}))
        .await;
    app.texting(&text("message.received", "m1", LEAD, "START")).await;
    app.idle().await;
    assert_eq!(
        app.rows("SELECT status FROM optout_registry").await,
        [json!({"status": "opted_out"})]
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_set_by_staff_after_our_own_is_theirs() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    let mut start = text("message.received", "m2", LEAD, "START");
    start["message"]["timestamp"] = json!("2026-11-02T18:00:00Z");
    app.texting(&start).await;
    app.idle().await;
    let staff =
        json!({"phone": LEAD, "dndSettings": {"SMS": {"status": "active", "message": "Updated by 'Jo Agent'"}}});
    app.ghl(&contact_event("ContactDndUpdate", &contact, "d1", staff)).await;
    app.idle().await;
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    assert_eq!(
        app.rows("SELECT cause FROM optout_blocks WHERE active").await,
        [json!({"cause": "crm_dnd"})]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_through_ghl_that_names_only_the_contact_blocks_its_number() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.ghl(&json!({"type": "InboundMessage", "webhookId": "d1", "contactId": contact, "messageId": "g1", "messageType": "SMS",
        "direction": "inbound", "body": "Stop", "from": {}})).await;
    app.idle().await;
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    assert!(app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()));
    // Once the contact is mapped, the number is known when the delivery is stored.
    app.execute("DELETE FROM optout_blocks; DELETE FROM optout_registry")
        .await;
    app.sandbox.ghl.fault(
        "*",
        "/",
        df_middleware::sandbox::Times::Forever,
        df_middleware::sandbox::Fault::Hang,
    );
    app.ghl(&json!({"type": "InboundMessage", "webhookId": "d2", "contactId": contact, "messageId": "g2", "messageType": "SMS",
        "body": "stop"})).await;
    assert_eq!(
        app.rows("SELECT status FROM optout_registry").await,
        [json!({"status": "opted_out"})]
    );
    app.sandbox.clear_faults();
    app.finish().await;
}
