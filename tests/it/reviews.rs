//! A text that may be a revocation holds our own texts back until a person has
//! decided, and becomes a STOP by itself when nobody does.

use chrono::{TimeDelta, Utc};
use df_middleware::schedule::reviews;
use df_middleware::store::Db;
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{ADMIN_SECRET, OUR_NUMBER, TestApp, text};

const LEAD: &str = "+16195550131";
const WORDS: &str = "Wrong number";

async fn post(app: &TestApp, path: &str, body: &Value) -> Response {
    app.client
        .post(format!("{}/api/admin/{path}", app.base))
        .header("X-DF-ADMIN-SECRET", ADMIN_SECRET)
        .json(body)
        .send()
        .await
        .unwrap()
}

async fn get(app: &TestApp, path: &str) -> Value {
    let request = app.client.get(format!("{}/api/admin/{path}", app.base));
    let answer = request.header("X-DF-ADMIN-SECRET", ADMIN_SECRET).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

async fn causes(app: &TestApp) -> Vec<Value> {
    app.rows("SELECT phone_number, cause, source FROM optout_blocks WHERE active ORDER BY 1, 2, 3")
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubtful_text_is_held_from_every_source_before_its_answer_and_is_no_opt_out() {
    let app = TestApp::start().await;
    let numbers = ["+16195550132", "+16195550133", "+16195550134"];
    app.aloware(
        &json!({"event": "InboundSMS-DispositionCompleted", "body": {"id": 1, "type": 2, "direction": 1, "body": WORDS,
        "lead_number": numbers[0], "incoming_number": OUR_NUMBER}}),
    )
    .await;
    app.ghl(
        &json!({"type": "InboundMessage", "webhookId": "d1", "contactId": "c1", "messageId": "g1", "messageType": "SMS",
        "direction": "inbound", "body": WORDS, "from": numbers[1], "to": OUR_NUMBER}),
    )
    .await;
    app.texting(&text("message.received", "m1", numbers[2], WORDS)).await;
    let held = |phone: &str, source: &str| json!({"phone_number": phone, "cause": "pending_review", "source": source});
    let wanted = [
        held(numbers[0], "aloware"),
        held(numbers[1], "ghl"),
        held(numbers[2], "texting"),
    ];
    assert_eq!(causes(&app).await, wanted);
    assert!(
        app.rows("SELECT 1 FROM optout_registry").await.is_empty(),
        "a hold is no opt-out"
    );
    let kept = app.rows("SELECT DISTINCT evidence FROM optout_history").await;
    assert_eq!(kept, [json!({"evidence": WORDS})]);
    app.idle().await;
    let notes = app.sandbox.ghl.contacts();
    assert!(notes.len() >= 2, "the texts are logged as any other");
    let queue = get(&app, "reviews").await;
    assert_eq!(queue["count"], 3);
    assert_eq!(queue["reviews"][2]["phone"], numbers[2]);
    assert_eq!(queue["reviews"][2]["texts"][0]["text"], WORDS);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_s_start_without_the_word_waits_for_a_person_and_lifts_nothing() {
    let app = TestApp::start().await;
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    let mut report = text("optout.start", "m2", LEAD, "");
    report["message"]["timestamp"] = json!("2026-11-02T18:00:00Z");
    app.texting(&report).await;
    app.idle().await;
    let names: Vec<Value> = causes(&app).await.iter().map(|row| row["cause"].clone()).collect();
    assert_eq!(names, ["consumer_stop", "pending_review"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_decides_to_be_a_stop_reaches_ghl_with_the_words_as_evidence() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, WORDS)).await;
    app.idle().await;
    let path = format!("optouts/{LEAD}/decide");
    let said = |decision: &str| json!({"decision": decision, "reason": "called back", "decidedBy": "Ann"});
    for wrong in [
        json!({}),
        said("maybe"),
        json!({"decision": "stop", "reason": "x"}),
        json!([]),
    ] {
        assert_eq!(post(&app, &path, &wrong).await.status(), 400, "{wrong}");
    }
    assert_eq!(post(&app, &path, &said("stop")).await.status(), 200);
    app.idle().await;
    assert_eq!(
        causes(&app).await,
        [json!({"phone_number": LEAD, "cause": "consumer_stop", "source": "manual"})]
    );
    assert!(app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()));
    let shown = get(&app, &format!("optouts/{LEAD}")).await;
    let stop = shown["history"]
        .as_array()
        .unwrap()
        .iter()
        .find(|past| past["cause"] == "consumer_stop")
        .unwrap();
    assert_eq!((&stop["evidence"], &stop["decidedBy"]), (&json!(WORDS), &json!("Ann")));
    assert_eq!(shown["deliveries"][0]["system"], "ghl");
    assert!(shown["deliveries"][0]["confirmedAt"].is_string(), "{shown}");
    let again = post(&app, &path, &said("clear")).await;
    assert_eq!(again.status(), 404, "nothing waits any more");
    assert_eq!(again.headers()["content-type"], "application/problem+json");
    let audit = app
        .rows("SELECT actor, subject, detail FROM audit_log WHERE action = 'optout.decide'")
        .await;
    assert_eq!(audit.len(), 1);
    assert_eq!(
        (&audit[0]["subject"], &audit[0]["detail"]["decidedBy"]),
        (&json!("+161***"), &json!("Ann"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_clears_is_held_no_longer_and_no_vendor_hears_of_it() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, WORDS)).await;
    app.texting(&text(
        "message.received",
        "m2",
        LEAD,
        "who is this and how did you get my number",
    ))
    .await;
    app.idle().await;
    let clear = json!({"decision": "clear", "reason": "a mix-up", "decidedBy": "Ann"});
    assert_eq!(
        post(&app, &format!("optouts/{LEAD}/decide"), &clear).await.status(),
        200
    );
    app.idle().await;
    assert!(causes(&app).await.is_empty());
    assert!(app.sandbox.ghl.tags(&contact).is_empty());
    assert!(app.rows("SELECT 1 FROM optout_deliveries").await.is_empty());
    assert_eq!(app.send(LEAD, "welcome").await.status(), 202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_decides_in_five_business_days_becomes_a_stop_once_and_reaches_ghl() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, WORDS)).await;
    app.idle().await;
    let db = Db::new(app.config.clone(), 2).unwrap();
    let now = Utc::now();
    assert_eq!(reviews::run(&db, now + TimeDelta::days(4)).await.unwrap(), 0);
    let later = now + TimeDelta::days(10);
    assert_eq!(reviews::run(&db, later).await.unwrap(), 1);
    assert_eq!(reviews::run(&db, later).await.unwrap(), 0, "once");
    db.close();
    app.idle().await;
    assert_eq!(
        causes(&app).await,
        [json!({"phone_number": LEAD, "cause": "consumer_stop", "source": "manual"})]
    );
    assert!(app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()));
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    let mut start = text("message.received", "m2", LEAD, "START");
    start["message"]["timestamp"] = json!(Utc::now().to_rfc3339());
    app.texting(&start).await;
    app.idle().await;
    assert!(causes(&app).await.is_empty(), "the consumer's own START lifts it");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_can_record_a_request_and_only_two_of_them_can_lift_it() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD, "tags": ["vip"]}));
    let path = |what: &str| format!("optouts/{LEAD}/{what}");
    let said = |cause: &str| json!({"cause": cause, "reason": "letter of 3 May", "decidedBy": "Ann"});
    for cause in ["crm_dnd", "voice_dnc", "vendor_block", "pending_review", "x"] {
        assert_eq!(post(&app, &path("block"), &said(cause)).await.status(), 400, "{cause}");
    }
    assert_eq!(post(&app, &path("block"), &said("legal")).await.status(), 200);
    app.idle().await;
    let dnd = app.sandbox.ghl.contact(&contact).unwrap()["dndSettings"].clone();
    assert_eq!(
        (&dnd["SMS"]["status"], &dnd["Call"]["status"]),
        (&json!("active"), &json!("active"))
    );
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["dnc", "dnc-sms", "do not call", "sms opted out", "vip"]);
    let mut start = text("message.received", "m1", LEAD, "START");
    start["message"]["timestamp"] = json!(Utc::now().to_rfc3339());
    app.texting(&start).await;
    app.idle().await;
    assert_eq!(
        app.send(LEAD, "hello").await.status(),
        409,
        "a START lifts no legal demand"
    );
    let mut lift = said("legal");
    assert_eq!(post(&app, &path("lift"), &lift).await.status(), 400, "no evidence");
    lift["evidence"] = json!("withdrawn in writing");
    assert_eq!(
        post(&app, &path("lift"), &lift).await.status(),
        400,
        "nobody else agreed"
    );
    lift["approvedBy"] = json!("Bo");
    let mut manual = lift.clone();
    manual["cause"] = json!("manual");
    assert_eq!(
        post(&app, &path("lift"), &manual).await.status(),
        404,
        "it does not block"
    );
    assert_eq!(post(&app, &path("lift"), &lift).await.status(), 200);
    app.idle().await;
    assert!(causes(&app).await.is_empty());
    assert_eq!(app.sandbox.ghl.tags(&contact), ["vip"]);
    let dnd = app.sandbox.ghl.contact(&contact).unwrap()["dndSettings"].clone();
    assert_eq!(
        (&dnd["SMS"]["status"], &dnd["Call"]["status"]),
        (&json!("inactive"), &json!("inactive"))
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubtful_text_through_ghl_that_names_only_the_contact_holds_its_number() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.ghl(
        &json!({"type": "InboundMessage", "webhookId": "d1", "contactId": contact, "messageId": "g1", "messageType": "SMS",
        "direction": "inbound", "body": WORDS, "from": {}}),
    )
    .await;
    app.idle().await;
    assert_eq!(
        causes(&app).await,
        [json!({"phone_number": LEAD, "cause": "pending_review", "source": "ghl"})]
    );
    let kept = app.rows("SELECT evidence FROM optout_history").await;
    assert_eq!(kept, [json!({"evidence": WORDS})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_no_word_of_the_consumer_s_and_lifts_no_other_block() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    let said = json!({"cause": "manual", "reason": "asked at the door", "decidedBy": "Ann", "evidence": "note"});
    assert_eq!(post(&app, &format!("optouts/{LEAD}/block"), &said).await.status(), 200);
    app.idle().await;
    assert_eq!(post(&app, &format!("optouts/{LEAD}/lift"), &said).await.status(), 200);
    app.idle().await;
    assert_eq!(
        causes(&app).await,
        [json!({"phone_number": LEAD, "cause": "consumer_stop", "source": "texting"})]
    );
    assert!(
        app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()),
        "the STOP's marks stay"
    );
    let events = app
        .rows("SELECT event_type, status FROM texting_webhook_events ORDER BY seq")
        .await;
    let names: Vec<&str> = events.iter().filter_map(|row| row["event_type"].as_str()).collect();
    assert_eq!(
        names,
        ["message.received", "optout.stop", "optout.start"],
        "in the person's order"
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    app.finish().await;
}
