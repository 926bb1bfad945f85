//! Several daemons on one database: no event twice, each person in order.

use serde_json::json;

use crate::support::{TestApp, post_texting, text};

const PEOPLE: usize = 8;
const TEXTS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_run_no_event_twice_and_keep_each_person_s_order() {
    let app = TestApp::start_with(&[("GHL_RATE_LIMIT", "100000/1s")]).await;
    app.sandbox.ghl.lift_rate_limit();
    let data = tempfile::tempdir().unwrap();
    let (second, second_base) = app.second(data.path(), &[("GHL_RATE_LIMIT", "100000/1s")]).await;
    let bases = [app.base.clone(), second_base];
    let phone = |person: usize| format!("+1619555{:04}", 200 + person);
    for person in 0..PEOPLE {
        app.sandbox.ghl.add_contact(json!({"phone": phone(person)}));
    }
    // Each person's texts go to both daemons in turn, one after the other.
    let senders = (0..PEOPLE).map(|person| {
        let (client, bases) = (app.client.clone(), bases.clone());
        async move {
            for n in 0..TEXTS {
                let body = text(
                    "message.received",
                    &format!("p{person}-{n}"),
                    &phone(person),
                    &format!("number {n}"),
                );
                assert_eq!(post_texting(&client, &bases[n % 2], &body).await.status(), 200);
            }
        }
    });
    futures_util::future::join_all(senders).await;
    app.idle().await;
    for person in 0..PEOPLE {
        let contact = app.sandbox.ghl.contact_by_phone(&phone(person)).unwrap();
        let notes = app.sandbox.ghl.notes(contact["id"].as_str().unwrap());
        let order: Vec<String> = notes
            .iter()
            .map(|note| note.lines().nth(4).unwrap_or_default().to_owned())
            .collect();
        let wanted: Vec<String> = (0..TEXTS).map(|n| format!("number {n}")).collect();
        assert_eq!(order, wanted, "person {person}");
    }
    let total = app
        .rows("SELECT count(*) AS n, count(DISTINCT correlation_id) AS d FROM sync_log")
        .await;
    assert_eq!(
        total,
        [json!({"n": PEOPLE * TEXTS, "d": PEOPLE * TEXTS})],
        "one run, one row"
    );
    let lanes = app.rows("SELECT 1 FROM event_lanes").await;
    assert!(
        lanes.is_empty(),
        "a lane lives only while its person has unfinished events"
    );
    second.stop().await;
    app.finish().await;
}
