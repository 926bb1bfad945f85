//! What the guard refuses, as its callers, the records and the vendor see it.

use chrono::{Timelike, Utc};
use df_middleware::compliance::quiet_hours::{Law, closed_until};
use df_middleware::domain::Phone;
use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use crate::support::{OUR_NUMBER, PROVIDER, TestApp, post_provider, text, typed};

const LEAD: &str = "+16195550177";

/// An agent types a text; answers what GHL delivered of it.
async fn agent(app: &TestApp, to: &str, words: &str) -> Value {
    let body = typed(&app.sandbox, to, words);
    assert_eq!(
        post_provider(&app.client, &app.base, &app.sandbox, &body)
            .await
            .status(),
        200
    );
    app.idle().await;
    body
}

/// Sends by the API and answers status, code and Retry-After.
async fn refused(app: &TestApp, to: &str, body: &str) -> (u16, String, Option<String>) {
    let answer = app.send(to, body).await;
    let wait = answer
        .headers()
        .get("retry-after")
        .map(|wait| wait.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let told: Value = answer.json().await.unwrap();
    assert!(!told.to_string().contains(to.trim_start_matches('+')), "{told}");
    (status, told["code"].as_str().unwrap_or_default().to_owned(), wait)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_typed_recorded_and_costs_no_call() {
    let app = TestApp::start_with(&[("TEXTING_MAX_SEGMENTS", "2")]).await;
    app.execute(&format!(
        "INSERT INTO optout_blocks (phone_number, cause, active, source, changed_at) VALUES ('{LEAD}', 'pending_review', true, 'texting', now())"
    ))
    .await;
    let long = "a".repeat(307);
    for (to, body, code) in [
        ("+19115550111", "hello", "not_textable"),
        (OUR_NUMBER, "hello", "own_number"),
        ("+16195550178", long.as_str(), "too_long"),
        (LEAD, "hello", "review_hold"),
    ] {
        assert_eq!(refused(&app, to, body).await, (409, code.to_owned(), None), "{code}");
    }
    let records = app
        .rows("SELECT state, reason, segments, finished_at IS NOT NULL AS ended FROM outbound_messages ORDER BY created_at")
        .await;
    let wanted = |reason: &str, segments: i32| json!({"state": "refused", "reason": reason, "segments": segments, "ended": true});
    let all = [
        wanted("not_textable", 1),
        wanted("own_number", 1),
        wanted("too_long", 3),
        wanted("review_hold", 1),
    ];
    assert_eq!(records, all);
    assert_eq!(app.sandbox.texting.calls_total(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hold_for_review_lets_an_agent_answer_and_no_program() {
    let app = TestApp::start_with(&[PROVIDER]).await;
    app.execute(&format!(
        "INSERT INTO optout_blocks (phone_number, cause, active, source, changed_at) VALUES ('{LEAD}', 'pending_review', true, 'texting', now())"
    ))
    .await;
    assert_eq!(refused(&app, LEAD, "an offer").await.1, "review_hold");
    agent(&app, LEAD, "Did you mean to stop?").await;
    let bodies: Vec<String> = app
        .sandbox
        .texting
        .sent_to(LEAD)
        .into_iter()
        .map(|sent| sent.body)
        .collect();
    assert_eq!(bodies, ["Did you mean to stop?"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_gets_no_more_than_its_limit_and_an_answer_to_it_is_free() {
    let app = TestApp::start_with(&[("TEXTING_RECIPIENT_LIMIT", "2/1h"), PROVIDER]).await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for _ in 0..2 {
        assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    }
    let (status, code, wait) = refused(&app, LEAD, "hello").await;
    assert_eq!((status, code.as_str()), (409, "frequency_cap"));
    let wait: u64 = wait.unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(
        app.send("+16195550179", "hello").await.status(),
        202,
        "the limit is a number's own"
    );
    // An agent is bound as well, until the consumer writes.
    agent(&app, LEAD, "still there?").await;
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 2);
    app.texting(&text("message.received", "m1", LEAD, "Yes, please tell me more"))
        .await;
    app.idle().await;
    agent(&app, LEAD, "Gladly.").await;
    assert_eq!(app.sandbox.texting.sent_to(LEAD).len(), 3);
    assert_eq!(
        refused(&app, LEAD, "hello").await.1,
        "frequency_cap",
        "a program is not a person"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_hours_are_kept_by_the_daemon_as_the_law_has_them() {
    let app = TestApp::start_with(&[("TEXTING_QUIET_HOURS", "state")]).await;
    // Numbers around the globe's clock: whatever the time, some are asleep.
    let numbers = [
        "+16195550111",
        "+12015550111",
        "+14015550111",
        "+16715550111",
        "+18885550111",
        "+442071838750",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for number in numbers {
        let law = |at| closed_until(&Phone::from_e164(number).unwrap(), Law::State, at);
        let before = law(Utc::now());
        let answer = app.send(number, "hello").await;
        let (status, wait) = (answer.status().as_u16(), answer.headers().get("retry-after").cloned());
        if before.is_some() != law(Utc::now()).is_some() {
            continue; // The hour turned meanwhile.
        }
        seen.insert(before.is_some());
        match before {
            None => assert_eq!(status, 202, "{number}"),
            Some(until) => {
                assert_eq!(
                    (status, answer.json::<Value>().await.unwrap()["code"].as_str()),
                    (409, Some("quiet_hours"))
                );
                let told: i64 = wait.unwrap().to_str().unwrap().parse().unwrap();
                let left = (until - Utc::now()).num_seconds();
                assert!((told - left).abs() <= 5, "{number}: {told} for {left}");
            }
        }
    }
    assert!(seen.contains(&false), "Britain is not bound");
    // Rhode Island's evening begins an hour after Guam's morning.
    assert!(seen.contains(&true) || Utc::now().hour() == 22, "somebody is asleep");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_that_means_opted_out_blocks_the_number() {
    let app = TestApp::start().await;
    for (nth, (status, body)) in [
        (
            400,
            json!({"errors": [{"code": "40300", "title": "Blocked due to STOP message"}]}),
        ),
        (400, json!({"code": 21610, "status": 400})),
        (400, json!({"error": {"code": "4775"}})),
        (400, json!({"errorCode": 200})),
        (422, json!({"statusErrorCode": "103"})),
        (403, json!({"error": {"code": "opted_out"}})),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("+1619555018{nth}");
        app.sandbox
            .texting
            .fault("POST", "/", Times::Once, Fault::status(status, &body.to_string()));
        assert_eq!(refused(&app, &number, "hello").await.1, "opted_out", "{body}");
        assert_eq!(refused(&app, &number, "hello").await.1, "opted_out");
        let blocks = format!("SELECT cause FROM optout_blocks WHERE active AND phone_number = '{number}'");
        assert_eq!(app.rows(&blocks).await, [json!({"cause": "vendor_block"})]);
    }
    assert_eq!(app.sandbox.texting.calls_total(), 6, "once each");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_whose_fate_is_unknown_is_not_sent_again() {
    let app = TestApp::start_with(&[("DF_HTTP_TIMEOUT", "300ms"), PROVIDER]).await;
    let faults = [
        Fault::Hang,
        Fault::status(503, "{}"),
        Fault::Reset,
        Fault::Truncated,
        Fault::HtmlOk,
    ];
    for (nth, fault) in faults.into_iter().enumerate() {
        let (api, person) = (format!("+1619555020{nth}"), format!("+1619555021{nth}"));
        let handle = app
            .sandbox
            .texting
            .fault("POST", "/", Times::Next(2), Fault::apply_then(fault.clone()));
        assert_eq!(app.send(&api, "hello").await.status(), 504, "{fault:?}");
        let body = agent(&app, &person, "hello").await;
        handle.release();
        // The same message again, as GHL does when it heard no answer.
        post_provider(&app.client, &app.base, &app.sandbox, &body).await;
        app.execute("UPDATE webhook_events SET status = 'pending'").await;
        app.idle().await;
        for number in [&api, &person] {
            assert_eq!(app.sandbox.texting.sent_to(number).len(), 1, "{fault:?}");
            let record = format!("SELECT state FROM outbound_messages WHERE to_number = '{number}'");
            assert_eq!(app.rows(&record).await, [json!({"state": "unknown"})], "{fault:?}");
        }
        // A vendor that fails five times in a row is left alone for a while.
        assert_eq!(app.send("+16195550299", "fine again").await.status(), 202);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sends_while_another_daemon_may_hold_a_stop_back() {
    let app = TestApp::start().await;
    let other = |spooled: bool, seen: &str| {
        format!(
            "DELETE FROM daemon_sessions WHERE started_at = 'epoch';
             INSERT INTO daemon_sessions (id, started_at, seen_at, working, spooled)
             VALUES (gen_random_uuid(), 'epoch', now() + interval '{seen}', true, {spooled})"
        )
    };
    // As if it touched its row all the time.
    app.execute(&other(false, "1 hour")).await;
    assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    app.texting(&text("message.received", "m1", "+16195550176", "STOP"))
        .await;
    for (spooled, seen) in [(true, "1 hour"), (false, "-4 seconds")] {
        app.execute(&other(spooled, seen)).await;
        let (status, code, wait) = refused(&app, LEAD, "hello").await;
        assert_eq!(
            (status, code.as_str(), wait.as_deref()),
            (503, "sending_unavailable", Some("1"))
        );
        assert_eq!(
            refused(&app, "+16195550176", "hello").await.1,
            "opted_out",
            "that is known for sure"
        );
    }
    app.execute("DELETE FROM daemon_sessions WHERE started_at = 'epoch'")
        .await;
    assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    let records = app
        .rows("SELECT state FROM outbound_messages WHERE state <> 'refused'")
        .await;
    assert_eq!(records.len(), 2, "what cannot be decided is not recorded");
    app.finish().await;
}
