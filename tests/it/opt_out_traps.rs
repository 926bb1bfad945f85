//! Traps of the earlier attempt that have no test elsewhere: how a number is
//! written, which words count, what is kept.

use serde_json::json;

use crate::support::{OUR_NUMBER, TestApp, text};

const LEAD: &str = "+16195550144";

/// D-128: the opt-out stood under one spelling, the check looked under another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_number_is_written_its_stop_holds() {
    let app = TestApp::start().await;
    let spellings = [
        "(619) 555-0144",
        "6195550144",
        "1-619-555-0144",
        "tel:+16195550144",
        "+1 619 555 0144",
    ];
    for (index, stopped) in spellings.iter().enumerate() {
        app.execute("DELETE FROM optout_registry; DELETE FROM optout_blocks; DELETE FROM optout_history")
            .await;
        let mut stop = text("message.received", &format!("m{index}"), stopped, "STOP");
        stop["message"]["to"] = json!("858.555.0123");
        assert_eq!(app.texting(&stop).await.status(), 200);
        assert_eq!(
            app.rows("SELECT phone_number FROM optout_registry WHERE status = 'opted_out'")
                .await,
            [json!({"phone_number": LEAD})],
            "{stopped}"
        );
        for written in spellings {
            assert_eq!(app.send(written, "hello").await.status(), 409, "{stopped} / {written}");
        }
    }
    assert!(app.sandbox.texting.sent().is_empty());
    app.idle().await;
    app.finish().await;
}

/// D-122: half of the words the law names were not known, and START and HELP did nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_word_the_law_names_opts_out_and_help_is_an_ordinary_text() {
    let app = TestApp::start().await;
    let words = [
        "stop",
        "Quit",
        "END",
        "revoke",
        "Opt out",
        "cancel",
        "unsubscribe",
        "optout",
    ];
    for (index, word) in words.iter().enumerate() {
        let number = format!("+1619555{:04}", 150 + index);
        app.texting(&text("message.received", &format!("m{index}"), &number, word))
            .await;
        assert_eq!(app.send(&number, "hello").await.status(), 409, "{word}");
    }
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "help", LEAD, "HELP")).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1, "it is logged");
    assert_eq!(app.send(LEAD, "We are Acme Homes").await.status(), 202);
    app.finish().await;
}

/// D-125: the trail was one row that each event wrote over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_consent_stays_in_the_history_with_its_words_and_time() {
    let app = TestApp::start().await;
    for (id, words, at) in [
        ("m1", "please stop texting me", "2026-11-02T10:00:00Z"),
        ("m2", "START", "2026-11-02T11:00:00Z"),
        ("m3", "STOP", "2026-11-02T12:00:00Z"),
        ("m3", "STOP", "2026-11-02T12:00:00Z"),
    ] {
        let mut body = text("message.received", id, LEAD, words);
        body["message"]["timestamp"] = json!(at);
        app.texting(&body).await;
    }
    let kept = app
        .rows(
            "SELECT action, evidence, to_char(occurred_at AT TIME ZONE 'UTC', 'HH24:MI') AS at FROM optout_history
              WHERE cause = 'consumer_stop' ORDER BY occurred_at",
        )
        .await;
    assert_eq!(
        kept,
        [
            json!({"action": "block", "evidence": "please stop texting me", "at": "10:00"}),
            json!({"action": "lift", "evidence": "START", "at": "11:00"}),
            json!({"action": "block", "evidence": "STOP", "at": "12:00"}),
        ]
    );
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    app.idle().await;
    app.finish().await;
}

/// D-134: where a STOP named no sender, our own number was opted out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_number_is_never_opted_out() {
    let app = TestApp::start().await;
    for (id, from, to) in [
        ("m1", OUR_NUMBER, OUR_NUMBER),
        ("m2", "", OUR_NUMBER),
        ("m3", OUR_NUMBER, ""),
    ] {
        for kind in ["message.received", "optout.stop"] {
            let mut body = text(kind, &format!("{id}:{kind}"), from, "STOP");
            body["message"]["to"] = json!(to);
            app.texting(&body).await;
        }
    }
    app.idle().await;
    assert!(app.rows("SELECT 1 FROM optout_history").await.is_empty());
    assert_eq!(app.send(LEAD, "hello").await.status(), 202);
    app.finish().await;
}
