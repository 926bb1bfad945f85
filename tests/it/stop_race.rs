//! No text is accepted by the vendor after a STOP was answered, whichever
//! daemon took the STOP and whichever door the text came through.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use df_middleware::sandbox::{Fault, Times};
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::support::{ADMIN_SECRET, PROVIDER, TestApp, post_provider, post_texting, query, text, typed};

const PEOPLE: usize = 1000;
/// People at a time.
const AT_ONCE: usize = 24;

/// One in so many says STOP while an agent's text is with the vendor.
const HELD: usize = 10;
/// To one in so many an agent types once more after the STOP.
const LATE: usize = 10;

/// One person's story: texts through both doors before, beside and after the
/// STOP. Answers the moment at which the STOP's answer was there.
async fn person(app: &TestApp, bases: &[String; 2], nth: usize) -> (String, DateTime<Utc>) {
    let phone = format!("+1619{:07}", 5_550_000 + nth);
    app.sandbox.ghl.add_contact(json!({"phone": phone}));
    let [here, there] = [&bases[nth % 2], &bases[(nth + 1) % 2]];
    let api = async |base: &str| {
        loop {
            let request = app.client.post(format!("{base}/api/messages"));
            let body = json!({"to": phone, "body": "api"});
            let answer = request
                .header("X-DF-ADMIN-SECRET", ADMIN_SECRET)
                .json(&body)
                .send()
                .await
                .unwrap();
            // A daemon that is late for its touch keeps the other one from sending.
            if answer.status() != 503 {
                assert!([202, 409].contains(&answer.status().as_u16()), "{}", answer.status());
                return answer.status();
            }
        }
    };
    let agent = async |base: &str| {
        let body = typed(&app.sandbox, &phone, "agent");
        assert_eq!(
            post_provider(&app.client, base, &app.sandbox, &body).await.status(),
            200
        );
    };
    let stop = async {
        if nth.is_multiple_of(HELD) {
            // The agent's text has been cleared: it is on its way to the vendor right now.
            let cleared =
                format!("SELECT 1 FROM outbound_messages WHERE to_number = '{phone}' AND correlation_id LIKE 'ghl:%'");
            query::settled_within(&app.config, &cleared, 1, Duration::from_secs(120)).await;
        } else {
            // The others have a few milliseconds, or none, to be first.
            tokio::time::sleep(Duration::from_millis((nth % 12) as u64 * 4)).await;
        }
        let body = text("message.received", &format!("stop-{nth}"), &phone, "STOP");
        let answer = post_texting(&app.client, here, &body).await;
        let at = Utc::now();
        assert_eq!(answer.status(), 200);
        at
    };
    let (at, ..) = tokio::join!(stop, api(here), api(there), agent(there));
    assert_eq!(api(there).await, 409);
    if nth.is_multiple_of(LATE) {
        agent(here).await;
    }
    (phone, at)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_accepted_after_the_answer_to_a_stop() {
    let fast = [
        PROVIDER,
        ("GHL_RATE_LIMIT", "100000/1s"),
        ("TEXTING_RATE_LIMIT", "100000/1s"),
    ];
    let app = TestApp::start_with(&fast).await;
    app.sandbox.ghl.set_rate_limit(100_000, Duration::from_secs(1), 200_000);
    let data = tempfile::tempdir().unwrap();
    let (second, other) = app.second(data.path(), &fast).await;
    query::settled(&app.config, "SELECT 1 FROM daemon_sessions WHERE working", 2).await;
    // A text is with the vendor for a while before it is taken.
    app.sandbox
        .texting
        .fault("POST", "/", Times::Forever, Fault::Delay(Duration::from_millis(25)));

    let bases = [app.base.clone(), other];
    let people = stream::iter(0..PEOPLE).map(|nth| person(&app, &bases, nth));
    let stopped: HashMap<String, DateTime<Utc>> = people.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(stopped.len(), PEOPLE);
    // Every text that an agent typed has been tried by now or after the STOP.
    query::settled_within(&app.config, query::UNFINISHED, 0, Duration::from_secs(300)).await;

    let sent = app.sandbox.texting.sent();
    for text in &sent {
        let late = (text.at - stopped[&text.to]).num_microseconds().unwrap_or(i64::MAX);
        assert!(
            late <= 0,
            "accepted {late} us after the STOP's answer, by the door of the {}",
            text.body
        );
    }
    for door in ["api", "agent"] {
        let texts = sent.iter().filter(|text| text.body == door).count();
        assert!(
            texts >= PEOPLE / HELD,
            "only {texts} texts of the {door} were in time: this raced nothing"
        );
    }
    let refused = app
        .rows("SELECT count(*) AS n FROM outbound_messages WHERE reason = 'opted_out: consumer_stop'")
        .await;
    let refused = refused[0]["n"].as_i64().unwrap();
    let texts = i64::try_from(PEOPLE * 4 + PEOPLE / LATE).unwrap();
    assert_eq!(
        refused + i64::try_from(sent.len()).unwrap(),
        texts,
        "each text was sent or refused, once"
    );
    assert!(
        app.rows("SELECT 1 FROM outbound_messages WHERE state NOT IN ('sent', 'refused')")
            .await
            .is_empty()
    );
    second.stop().await;
    app.shut_down_quietly().await;
}
