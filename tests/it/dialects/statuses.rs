//! Reports about texts of ours: late, repeated, out of order, and before the text.

use df_middleware::domain::{TextStatus, TextingVendor};
use df_middleware::ingest::Ack;
use serde_json::{Value, json};

use super::{Counter, LEAD, OURS, app, blocks};
use crate::support::{PATIENCE, TestApp, text};

fn report(id: &str, word: &str, code: &str) -> Value {
    json!({"MessageSid": id, "MessageStatus": word, "From": OURS, "To": LEAD, "ErrorCode": code})
}

async fn status_of(app: &TestApp, id: &str) -> Value {
    let sql = format!("SELECT delivery_status, error_code FROM message_mappings WHERE texting_message_id = '{id}'");
    app.rows(&sql).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_counts_only_when_it_ranks_above_what_is_known() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    for one in TextStatus::ALL {
        for other in TextStatus::ALL {
            let id = format!("SM-{one}-{other}");
            for word in [one, other, one] {
                counter
                    .take(TextingVendor::Twilio, &report(&id, word.as_str(), ""))
                    .await;
            }
        }
    }
    tokio::time::timeout(PATIENCE, app.idle()).await.unwrap();
    for one in TextStatus::ALL {
        for other in TextStatus::ALL {
            let wanted = if other.rank() > one.rank() { other } else { one };
            let known = status_of(&app, &format!("SM-{one}-{other}")).await;
            assert_eq!(known["delivery_status"], wanted.as_str(), "{one}, then {other}");
        }
    }
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_comes_before_its_text_is_kept_for_it_and_a_repeat_is_one() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    let delivered = report("m1", "delivered", "");
    assert_eq!(counter.take(TextingVendor::Twilio, &delivered).await, Some(Ack::Stored));
    assert_eq!(
        counter.take(TextingVendor::Twilio, &delivered).await,
        Some(Ack::Duplicate)
    );
    let mut sent = text("message.sent", "m1", LEAD, "It is.");
    sent["message"]["from"] = json!(OURS);
    counter.take(TextingVendor::Generic, &sent).await;
    app.idle().await;
    let rows = app
        .rows("SELECT delivery_status, from_number, ghl_contact_id IS NOT NULL AS told FROM message_mappings")
        .await;
    assert_eq!(
        rows,
        [json!({"delivery_status": "delivered", "from_number": OURS, "told": true})]
    );
    counter.close().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_means_opted_out_blocks_at_its_own_vendor_only() {
    let app = app().await;
    let counter = Counter::open(&app).await;
    let plivo = |id: &str, code: &str| json!({"MessageUUID": id, "Status": "failed", "From": "18585550123", "To": "16195550111", "ErrorCode": code});
    counter
        .take(TextingVendor::Twilio, &report("t1", "failed", "200"))
        .await;
    counter
        .take(TextingVendor::Twilio, &report("t2", "delivered", "21610"))
        .await;
    counter.take(TextingVendor::Plivo, &plivo("p1", "21610")).await;
    assert!(blocks(&app, LEAD).await.is_empty());
    counter
        .take(TextingVendor::Twilio, &report("t3", "failed", "21610"))
        .await;
    assert_eq!(blocks(&app, LEAD).await, ["vendor_block"], "before the event is run");
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    counter.close().await;
    app.finish().await;
}
