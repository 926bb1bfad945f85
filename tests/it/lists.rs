//! GHL tags move the one contact in Aloware's lists, with the fewest calls the
//! vendor allows, and the log says what a removal really does.

use serde_json::{Value, json};

use crate::support::{TestApp, contact_event};

const LEAD: &str = "+16195550133";

/// Delivers a tag set and answers the calls it cost: GHL's, Aloware's.
async fn tagged(app: &TestApp, id: &str, delivery: &str, tags: &[&str]) -> (u64, u64) {
    let body = contact_event("ContactTagUpdate", id, delivery, json!({"phone": LEAD, "tags": tags}));
    cost(app, &body).await
}

async fn cost(app: &TestApp, body: &Value) -> (u64, u64) {
    let before = (app.sandbox.ghl.calls_total(), app.sandbox.aloware.calls_total());
    assert_eq!(app.ghl(body).await.status(), 200);
    app.idle().await;
    let after = (app.sandbox.ghl.calls_total(), app.sandbox.aloware.calls_total());
    (after.0 - before.0, after.1 - before.1)
}

/// The newest row about a list.
async fn told(app: &TestApp) -> Value {
    let sql = "SELECT status, target_id, error_message FROM sync_log WHERE entity_type = 'list'
                ORDER BY started_at DESC LIMIT 1";
    app.rows(sql).await[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_change_of_a_mapped_contact_costs_one_call() {
    let app = TestApp::start().await;
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d0", fields)).await;
    app.idle().await;
    assert_eq!(tagged(&app, &id, "d1", &["hot lead"]).await, (0, 1));
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301]);
    assert_eq!(
        tagged(&app, &id, "d2", &["hot lead"]).await,
        (0, 0),
        "the same set again"
    );
    assert_eq!(
        tagged(&app, &id, "d3", &["hot lead", "plain"]).await,
        (0, 0),
        "no list of that name"
    );
    assert_eq!(tagged(&app, &id, "d4", &["plain"]).await, (0, 1));
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), Vec::<i64>::new());
    let removed = json!({"status": "success", "target_id": "301",
        "error_message": "removed from ALL Aloware lists: Aloware has no call for one list"});
    assert_eq!(told(&app).await, removed);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_known_by_phone_only_costs_one_call_more_to_take_off() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    assert_eq!(tagged(&app, &id, "d1", &["hot lead"]).await, (0, 1), "added by phone");
    assert_eq!(tagged(&app, &id, "d2", &[]).await, (0, 2), "looked up, removed");
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), Vec::<i64>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lists_of_the_other_tags_are_set_again_and_the_log_says_so() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    tagged(&app, &id, "d1", &["hot lead", "call me"]).await;
    tagged(&app, &id, "d2", &["call me"]).await;
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [302]);
    let text = "removed from ALL Aloware lists: Aloware has no call for one list; \
                those of its other tags were set again";
    assert_eq!(told(&app).await["error_message"], text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legacy_event_that_names_one_tag_adds_or_removes_that_one() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    let named = |event: &str, delivery: &str, tag: &str| {
        contact_event(event, &id, delivery, json!({"phone": LEAD, "tag": tag}))
    };
    for (event, delivery, tag, lists) in [
        ("contact.tag.added", "d1", "Hot Lead", vec![301]),
        ("contact.tag.added", "d2", "call me", vec![301, 302]),
        ("contact.tag.removed", "d3", "hot lead", vec![302]),
        ("contact.tag.removed", "d4", "call me", vec![]),
    ] {
        cost(&app, &named(event, delivery, tag)).await;
        assert_eq!(app.sandbox.aloware.lists_of(LEAD), lists, "{event} {tag}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_in_aloware_is_on_no_list_and_the_log_says_so() {
    let app = TestApp::start().await;
    let id = app
        .sandbox
        .ghl
        .add_contact(json!({"firstName": "Ida", "phone": LEAD, "tags": ["hot lead"]}));
    // The tag set is known, Aloware's contact is not.
    app.execute(&format!(
        "INSERT INTO contact_mappings (ghl_contact_id, phone_number, ghl_tags) VALUES ('{id}', '{LEAD}', '{{hot lead}}')"
    ))
    .await;
    assert_eq!(tagged(&app, &id, "d1", &[]).await, (0, 1));
    let wanted =
        json!({"status": "skipped", "target_id": "301", "error_message": "No Aloware contact: it is on no list"});
    assert_eq!(told(&app).await, wanted);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_made_anew_in_aloware_is_taken_off_under_the_new_id_which_the_mapping_learns() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    tagged(&app, &id, "d1", &["hot lead", "call me"]).await;
    // The contact that Aloware had before was 5.
    app.execute("UPDATE contact_mappings SET aloware_contact_id = '5'")
        .await;
    assert_eq!(
        tagged(&app, &id, "d2", &["call me"]).await,
        (0, 4),
        "5, by phone, it, again"
    );
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [302]);
    let now = app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["id"].to_string();
    let mapped = app.rows("SELECT aloware_contact_id AS id FROM contact_mappings").await;
    assert_eq!(mapped, [json!({"id": now})]);
    assert_eq!(tagged(&app, &id, "d3", &[]).await, (0, 1), "by its id");
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), Vec::<i64>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_deleted_in_aloware_is_on_no_list_and_later_tag_events_work() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    app.execute(&format!(
        "INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, phone_number, ghl_tags)
         VALUES ('{id}', '5', '{LEAD}', '{{hot lead}}')"
    ))
    .await;
    assert_eq!(tagged(&app, &id, "d1", &[]).await, (0, 2), "5, by phone");
    let wanted =
        json!({"status": "skipped", "target_id": "301", "error_message": "No Aloware contact: it is on no list"});
    assert_eq!(told(&app).await, wanted);
    assert_eq!(tagged(&app, &id, "d2", &["call me"]).await, (0, 1));
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [302]);
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_event_without_a_readable_tag_set_takes_nobody_off_a_list() {
    let app = TestApp::start().await;
    let id = app.sandbox.ghl.add_contact(json!({"firstName": "Ida", "phone": LEAD}));
    tagged(&app, &id, "d1", &["hot lead"]).await;
    for (n, said) in [
        json!({"tags": [{"id": "t1", "name": "Hot Lead"}]}),
        json!({"tags": [{"id": "t1"}]}),
        json!({"tags": ["plain", null]}),
        json!({"tags": [["Hot Lead"]]}),
        json!({"tags": {"0": "Hot Lead"}}),
        json!({"tags": null}),
        json!({"name": "Hot Lead"}),
        json!({}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = contact_event("ContactTagUpdate", &id, &format!("e{n}"), json!({"phone": LEAD}));
        event.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        assert_eq!(cost(&app, &event).await, (0, 0), "{said}");
        assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301], "{said}");
    }
    let unread = app
        .rows("SELECT status FROM sync_log WHERE error_message = 'No tags in payload'")
        .await;
    assert_eq!(unread, vec![json!({"status": "skipped"}); 7]);
    let nested = contact_event(
        "contact.tag.removed",
        &id,
        "e9",
        json!({"phone": LEAD, "body": {"tags": []}}),
    );
    assert_eq!(
        cost(&app, &nested).await.1,
        2,
        "a set that is empty for sure: looked up, removed"
    );
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), Vec::<i64>::new());
    app.finish().await;
}
