//! Long texts come in pieces, in any order. No piece is read by itself while the
//! others can still come.

use chrono::{TimeDelta, Utc};
use df_middleware::domain::TextingVendor;
use serde_json::{Value, json};

use super::{Counter, LEAD, app, blocks};
use crate::support::{PATIENCE, TestApp};

fn piece(id: &str, reference: &str, number: u8, total: u8, words: &str) -> Value {
    json!({"msisdn": "16195550111", "to": "18585550123", "messageId": id, "text": words, "type": "text", "concat": "true",
        "concat-ref": reference, "concat-part": number.to_string(), "concat-total": total.to_string()})
}

async fn log(app: &TestApp) -> Vec<String> {
    let rows = app
        .rows("SELECT e.status || coalesce(': ' || l.status, '') || coalesce(' ' || regexp_replace(l.error_message, '[0-9a-f-]{36}', 'ID'), '') AS told
                 FROM texting_webhook_events e LEFT JOIN sync_log l ON l.correlation_id = e.id::text ORDER BY e.seq")
        .await;
    rows.iter()
        .map(|row| row["told"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_two_pieces_is_a_stop_in_either_order_and_no_piece_alone_is_one() {
    for order in [[1, 2], [2, 1]] {
        let app = app().await;
        let counter = Counter::open(&app).await;
        let words = ["Please stop te", "xting me"];
        for number in order {
            assert!(blocks(&app, LEAD).await.is_empty());
            let words = words[usize::from(number) - 1];
            counter
                .take(
                    TextingVendor::Vonage,
                    &piece(&format!("v{number}"), "5F", number, 2, words),
                )
                .await;
        }
        assert_eq!(
            blocks(&app, LEAD).await,
            ["consumer_stop"],
            "in the last piece's own commit"
        );
        let evidence = app.rows("SELECT evidence FROM optout_history").await;
        assert_eq!(evidence, [json!({"evidence": "Please stop texting me"})]);
        app.idle().await;
        assert_eq!(
            log(&app).await,
            ["done: skipped joined with event ID", "done: success STOP"]
        );
        assert_eq!(
            app.rows("SELECT DISTINCT attempts FROM texting_webhook_events").await,
            [json!({"attempts": 0})]
        );
        counter.close().await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_that_store_a_piece_each_at_the_same_moment_do_not_overlook_each_other() {
    let app = app().await;
    let (one, other) = (Counter::open(&app).await, Counter::open(&app).await);
    for round in 0..20 {
        let reference = format!("r{round}");
        let piece = |number: u8, words: &str| {
            let id = format!("v{round}-{number}");
            let mut piece = piece(&id, &reference, number, 2, words);
            piece["msisdn"] = json!(format!("1619555{round:04}"));
            piece
        };
        let (first, second) = (piece(1, "Please stop te"), piece(2, "xting me"));
        tokio::join!(
            one.take(TextingVendor::Vonage, &first),
            other.take(TextingVendor::Vonage, &second)
        );
        let phone = format!("+1619555{round:04}");
        assert_eq!(blocks(&app, &phone).await, ["consumer_stop"], "round {round}");
    }
    one.close().await;
    other.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_innocent_text_in_three_pieces_is_one_note_and_its_reference_can_be_used_again() {
    let app = app().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let counter = Counter::open(&app).await;
    let texts = [
        ("a", ["I will ", "stop ", "by on Friday"]),
        ("b", ["See you", " then,", " bye"]),
    ];
    for (name, words) in texts {
        for number in [3, 1, 2] {
            let words = words[usize::from(number) - 1];
            counter
                .take(
                    TextingVendor::Vonage,
                    &piece(&format!("{name}{number}"), "7", number, 3, words),
                )
                .await;
        }
    }
    app.idle().await;
    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].contains("I will stop by on Friday") && notes[1].contains("See you then, bye"),
        "{notes:?}"
    );
    assert!(blocks(&app, LEAD).await.is_empty());
    assert_eq!(app.rows("SELECT 1 AS row FROM message_mappings").await.len(), 2);
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_counts_when_the_rest_does_not_come_and_the_whole_when_it_comes_late() {
    let app = app().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let counter = Counter::open(&app).await;
    let long_ago = Utc::now() - TimeDelta::minutes(3);
    for (number, words) in [(1, "Stop texting me. My "), (3, "number.")] {
        counter
            .take_at(
                TextingVendor::Vonage,
                &piece(&format!("v{number}"), "5F", number, 3, words),
                long_ago,
            )
            .await;
    }
    app.idle().await;
    assert_eq!(blocks(&app, LEAD).await, ["consumer_stop"]);
    assert_eq!(
        log(&app).await,
        ["done: success STOP", "done: skipped joined with event ID"]
    );
    let evidence = app.rows("SELECT evidence FROM optout_history").await;
    assert_eq!(evidence, [json!({"evidence": "Stop texting me. My number."})]);
    counter
        .take(TextingVendor::Vonage, &piece("v2", "5F", 2, 3, "wife has this "))
        .await;
    app.idle().await;
    assert_eq!(log(&app).await.len(), 3);
    assert!(
        app.sandbox.ghl.notes(&contact).is_empty(),
        "the words of a STOP are evidence, not conversation"
    );
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_waits_in_its_lane_and_burns_no_attempt() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    counter
        .take(TextingVendor::Vonage, &piece("v1", "5F", 1, 2, "Please stop te"))
        .await;
    let looked = "SELECT 1 AS row FROM event_lanes WHERE ready_at > now() AND owner IS NULL";
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while app.rows(looked).await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the piece was not looked at");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let row = app
        .rows("SELECT status, attempts, error_message FROM texting_webhook_events")
        .await;
    assert_eq!(
        row,
        [json!({"status": "pending", "attempts": 0, "error_message": null})]
    );
    assert!(app.rows("SELECT 1 AS row FROM sync_log").await.is_empty());
    assert!(blocks(&app, LEAD).await.is_empty());
    // As if two minutes had passed.
    app.execute("UPDATE texting_webhook_events SET received_at = received_at - interval '121 seconds'")
        .await;
    app.idle().await;
    assert_ne!(log(&app).await, Vec::<String>::new());
    counter.close().await;
    app.finish().await;
}
