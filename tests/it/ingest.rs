//! Bad input gets a clear answer, nothing is lost, nothing leaks.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{ALOWARE_PASS, ALOWARE_USER, TestApp, contact_event, finished_call, text};

const LEAD: &str = "+16195550155";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_wrong_secret_is_401_and_stores_nothing() {
    let app = TestApp::start().await;
    let body = finished_call(1, LEAD);
    let url = |path: &str| format!("{}{path}", app.base);
    let post = |path: &str| app.client.post(url(path)).json(&body);
    let refused = [
        post("/api/webhooks/aloware"),
        post("/api/webhooks/aloware").basic_auth(ALOWARE_USER, Some("pass")),
        post("/api/webhooks/aloware").bearer_auth("nonsense"),
        post("/api/webhooks/ghl"),
        post("/api/webhooks/ghl").header("X-GHL-Signature", "AAAA"),
        post("/api/webhooks/ghl/not-the-secret"),
        post("/api/webhooks/texting"),
        post("/api/webhooks/texting").header("X-Texting-Secret", ""),
        post("/api/messages"),
        post("/api/jobs/run-once").header("X-DF-JOBS-SECRET", "nope"),
    ];
    for request in refused {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{}", answer.url());
    }
    assert!(
        app.rows("SELECT 1 FROM webhook_events UNION ALL SELECT 1 FROM texting_webhook_events")
            .await
            .is_empty()
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_ghl_signature_is_refused_and_the_true_one_is_taken() {
    let app = TestApp::start().await;
    let body = contact_event("NoteCreate", "c1", "d1", json!({})).to_string();
    let signature = app.sandbox.ghl.sign(body.as_bytes());
    let post = |body: String| {
        app.client
            .post(format!("{}/api/webhooks/ghl", app.base))
            .header("X-GHL-Signature", signature.clone())
            .body(body)
            .send()
    };
    assert_eq!(post(body.replace("c1", "c2")).await.unwrap().status(), 401);
    assert_eq!(post(body).await.unwrap().status(), 200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_or_too_large_is_refused_in_plain_words() {
    let app = TestApp::start_with(&[("DF_BODY_LIMIT", "64KiB")]).await;
    let post = |body: Vec<u8>| async {
        let request = app
            .client
            .post(format!("{}/api/webhooks/aloware", app.base))
            .basic_auth(ALOWARE_USER, Some(ALOWARE_PASS));
        let answer = request.body(body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for broken in ["", "{", "{\"event\": \"x\"", "\u{feff}{}", "nul"] {
        assert_eq!(
            post(broken.into()).await,
            (StatusCode::BAD_REQUEST, "Invalid JSON".to_owned()),
            "{broken}"
        );
    }
    let deep = format!("{{\"event\":\"x\",\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(post(deep.into()).await.0, 400);
    assert_eq!(post(vec![0xff, 0xfe]).await.0, 400);
    let large = format!("{{\"event\":\"x\",\"a\":\"{}\"}}", "y".repeat(70_000));
    assert_eq!(post(large.into()).await.0, 413);
    // The same without a Content-Length: counted while it streams.
    let chunks = futures_util::stream::iter((0..80).map(|_| Ok::<_, std::io::Error>("z".repeat(1024))));
    let request = app
        .client
        .post(format!("{}/api/webhooks/aloware", app.base))
        .basic_auth(ALOWARE_USER, Some(ALOWARE_PASS));
    let answer = request.body(reqwest::Body::wrap_stream(chunks)).send().await;
    assert!(answer.is_err() || answer.unwrap().status() == 413);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_answered_and_not_stored() {
    let app = TestApp::start().await;
    for body in [
        json!({"test_payload": true}),
        json!([]),
        json!("x"),
        json!(null),
        json!(7),
    ] {
        let answer = app.aloware(&body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.json::<Value>().await.unwrap(),
            json!({"success": true, "message": "Test ping received"}),
            "{body}"
        );
    }
    assert!(app.rows("SELECT 1 FROM webhook_events").await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_not_allowed_is_ignored() {
    let app = TestApp::start_with(&[("ALOWARE_WEBHOOK_ALLOWED_EVENTS", "Recording-Saved")]).await;
    let answer = app.aloware(&finished_call(1, LEAD)).await;
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"success": true, "ignored": true})
    );
    assert!(app.rows("SELECT 1 FROM webhook_events").await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nul_characters_and_unknown_events_are_stored_and_end_skipped() {
    let app = TestApp::start().await;
    let body = r#"{"event":"Odd-Thing","body":{"id":"x\u0000y","no\u0000te":"a\u0000b"}}"#;
    let request = app
        .client
        .post(format!("{}/api/webhooks/aloware", app.base))
        .basic_auth(ALOWARE_USER, Some(ALOWARE_PASS));
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    app.idle().await;
    let rows = app.rows("SELECT status, entity_id FROM webhook_events").await;
    assert_eq!(rows, [json!({"status": "done", "entity_id": "x\u{fffd}y"})]);
    let log = app.rows("SELECT status, error_message FROM sync_log").await;
    assert_eq!(
        log,
        [json!({"status": "skipped", "error_message": "Unhandled event type: Odd-Thing"})]
    );
    let meters = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap();
    let meters = meters.text().await.unwrap();
    let counted = |line: &str| line.starts_with("events_unhandled_total{source=\"aloware\"}");
    assert!(meters.lines().any(counted), "{meters}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_id_stays_one_path_segment() {
    let app = TestApp::start().await;
    for (n, id) in ["../users/1?x=", "..", "a/b#c", "%2e%2e", "x y\r\nHost: evil"]
        .into_iter()
        .enumerate()
    {
        let event = contact_event("ContactUpdate", id, &format!("d{n}"), json!({"phone": LEAD}));
        assert_eq!(app.ghl(&event).await.status(), 200);
    }
    app.idle().await;
    for call in app.sandbox.ghl.calls() {
        assert!(call.path.starts_with("/contacts/"), "{}", call.path);
        assert!(call.query.is_empty(), "{:?}", call.query);
    }
    assert!(
        app.sandbox.ghl.calls_total() >= 3,
        "the hostile ids did reach the vendor, as one segment each"
    );
    app.shut_down_quietly().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_failure_ends_in_error_and_the_person_s_next_event_goes_on() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox.ghl.fault(
        "POST",
        "/contacts/*/notes",
        df_middleware::sandbox::Times::Once,
        df_middleware::sandbox::Fault::status(403, "{}"),
    );
    app.texting(&text("message.received", "m1", LEAD, "one")).await;
    app.texting(&text("message.received", "m2", LEAD, "two")).await;
    app.texting(&json!({"type": "message.received", "message": {"id": "m3", "body": "from nobody"}}))
        .await;
    app.idle().await;
    let rows = app
        .rows("SELECT entity_id, status, error_message FROM texting_webhook_events ORDER BY seq")
        .await;
    assert_eq!(
        rows[0],
        json!({"entity_id": "m1", "status": "error", "error_message": "permanent: ghl 403 forbidden"})
    );
    assert_eq!(rows[1]["status"], "done");
    assert_eq!(rows[2]["error_message"], "permanent: No phone number in payload");
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quarantined_event_is_closed_unrun() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.execute("CREATE FUNCTION quarantine_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   INSERT INTO quarantine_events (event_id, event_source, reason) VALUES (NEW.id::text, 'webhook', 'test'); RETURN NEW; END $$;
                 CREATE TRIGGER q AFTER INSERT ON webhook_events FOR EACH ROW EXECUTE FUNCTION quarantine_all();")
        .await;
    app.aloware(&finished_call(1, LEAD)).await;
    app.idle().await;
    assert!(app.sandbox.ghl.notes(&contact).is_empty());
    let rows = app.rows("SELECT status, error_message FROM webhook_events").await;
    assert_eq!(rows, [json!({"status": "done", "error_message": "quarantined"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_postgres_refuses_is_kept_and_holds_nobody_up() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let post = |body: String| {
        app.client
            .post(format!("{}/api/webhooks/aloware", app.base))
            .basic_auth(ALOWARE_USER, Some(ALOWARE_PASS))
            .body(body)
            .send()
    };
    let long = "x".repeat(9000);
    for odd in [
        r#"{"event":"Tiny","body":{"id":1,"a":1e-20000}}"#.to_owned(),
        format!(r#"{{"event":"Long","body":{{"id":"{long}"}}}}"#),
        format!(r#"{{"event":"{long}","body":{{"id":3}}}}"#),
        r#"{"event":"Old","body":{"id":4,"lead_number":"+16195550156","created_at":"-99999-01-01 00:00:00"}}"#
            .to_owned(),
    ] {
        assert_eq!(post(odd).await.unwrap().status(), 200);
    }
    app.aloware(&finished_call(9600, LEAD)).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    assert_eq!(app.rows("SELECT 1 FROM webhook_events").await.len(), 5);
    app.finish().await;
}

/// What a webhook's answer says.
async fn said(answer: reqwest::Response) -> Value {
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["message"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ghl_s_redelivery_after_an_hour_is_a_repeat_and_the_same_facts_under_a_new_id_are_not() {
    let app = TestApp::start().await;
    let event = |delivery: &str, at: &str| {
        contact_event("NoteCreate", "c1", delivery, json!({"timestamp": at, "body": "note"}))
    };
    assert_eq!(
        said(app.ghl(&event("d1", "2026-11-02T17:10:00.000Z")).await).await,
        "Webhook received"
    );
    app.execute("UPDATE webhook_events SET received_at = received_at - interval '70 minutes'")
        .await;
    let again = event("d1", "2026-11-02T18:20:00.000Z");
    assert_eq!(said(app.ghl(&again).await).await, "Duplicate event ignored");
    let anew = event("d2", "2026-11-02T17:10:00.000Z");
    assert_eq!(said(app.ghl(&anew).await).await, "Webhook received");
    assert_eq!(app.rows("SELECT 1 FROM webhook_events").await.len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unrecognised_texts_are_each_kept() {
    let app = TestApp::start().await;
    let odd = [
        json!({"hello": "world"}),
        json!({"hello": "there"}),
        json!({"type": "thing.happened", "payload": {"n": 1}}),
        json!({"type": "thing.happened", "payload": {"n": 2}}),
    ];
    for body in &odd {
        assert_eq!(said(app.texting(body).await).await, "Webhook received", "{body}");
    }
    assert_eq!(said(app.texting(&odd[1]).await).await, "Duplicate event ignored");
    app.idle().await;
    let rows = app
        .rows(
            "SELECT event_type, status, count(DISTINCT entity_id) AS things, bool_and(entity_id ~ '^none:[0-9a-f]{16}$') AS named,
                    bool_and(dedupe_key ~ 'sha256:[0-9a-f]{64}:') AS full FROM texting_webhook_events GROUP BY 1, 2 ORDER BY 1",
        )
        .await;
    let kept = |name: &str| json!({"event_type": name, "status": "done", "things": 2, "named": true, "full": true});
    assert_eq!(rows, [kept("thing.happened"), kept("unknown")]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_alias_classifies_as_the_main_address_does_and_what_names_no_thing_is_visible() {
    let app = TestApp::start().await;
    for (n, (name, kind)) in [
        ("Voicemail-Saved", "voicemail"),
        ("Recording-Saved", "recording"),
        ("transcription.call.summarized", "call_summary"),
        ("Communication initiated", "communication"),
        ("OutboundAppointment", "appointment"),
        ("Gizmo-Polished", "unknown"),
    ]
    .into_iter()
    .enumerate()
    {
        for path in ["webhooks/aloware", "integrations/aloware/webhook"] {
            let post = app.client.post(format!("{}/api/{path}", app.base));
            let post = post.basic_auth(ALOWARE_USER, Some(ALOWARE_PASS));
            // Neither names a call or a person.
            let body = json!({"event": name, "body": {"path": path, "n": n}});
            assert_eq!(
                said(post.json(&body).send().await.unwrap()).await,
                "Webhook received",
                "{name}"
            );
        }
        let rows = app
            .rows(&format!(
                "SELECT entity_type, entity_id ~ '^none:[0-9a-f]{{16}}$' AS visible FROM webhook_events WHERE event_type = '{name}'"
            ))
            .await;
        assert_eq!(rows, vec![json!({"entity_type": kind, "visible": true}); 2], "{name}");
    }
    app.finish().await;
}
