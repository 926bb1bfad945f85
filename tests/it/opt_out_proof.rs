//! An opt-out counts as told when the other system shows it, and says so until then.

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use crate::support::query::settled;
use crate::support::{ALOWARE_PASS, ALOWARE_USER, PATIENCE, TestApp, text};

const LEAD: &str = "+16195550137";

async fn deliveries(app: &TestApp) -> Vec<Value> {
    app.rows(
        "SELECT system, action, confirmed_at IS NOT NULL AS confirmed, confirmation, waived FROM optout_deliveries
          ORDER BY requested_at, system",
    )
    .await
}

async fn settle(app: &TestApp) {
    for _ in 0..2 {
        app.idle().await;
        app.sandbox.aloware.echoes_settled(PATIENCE).await;
    }
    app.idle().await;
}

/// A daemon whose Aloware has the person on two lists and tells of every change.
async fn dialed(changes: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with(changes).await;
    app.sandbox.aloware.echo_to(
        &format!("{}/api/webhooks/aloware", app.base),
        Some((ALOWARE_USER, ALOWARE_PASS)),
    );
    app.sandbox
        .aloware
        .add_contact(json!({"phone_number": LEAD, "first_name": "Ida", "list_ids": "7,8"}));
    app
}

fn is_dnc(app: &TestApp) -> bool {
    app.sandbox.aloware.contact_by_phone(LEAD).unwrap()["is_dnc"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sets_do_not_call_in_aloware_and_its_echo_blocks_nothing_a_start_could_not_lift() {
    let app = dialed(&[]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    settle(&app).await;
    assert!(is_dnc(&app));
    assert!(app.sandbox.aloware.lists_of(LEAD).is_empty());
    let told: Vec<Value> = app
        .sandbox
        .aloware
        .echoes()
        .into_iter()
        .map(|sent| sent.body["event"].clone())
        .collect();
    assert!(told.contains(&json!("Contact-DncUpdated")), "{told:?}");
    let blocks = app.rows("SELECT cause FROM optout_blocks WHERE active").await;
    assert_eq!(
        blocks,
        [json!({"cause": "consumer_stop"})],
        "our own flag is nobody's do-not-call"
    );
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["dnc-sms", "sms opted out"]);
    let shown = deliveries(&app).await;
    assert_eq!(
        shown.iter().filter(|row| row["confirmed"] == true).count(),
        2,
        "{shown:?}"
    );
    assert_eq!(shown[0]["confirmation"]["isDnc"], true);
    assert!(
        !json!(shown).to_string().contains("619555"),
        "no personal data: {shown:?}"
    );

    let mut start = text("message.received", "m2", LEAD, "START");
    start["message"]["timestamp"] = json!("2026-11-02T18:00:00Z");
    app.texting(&start).await;
    settle(&app).await;
    assert!(app.rows("SELECT 1 FROM optout_blocks WHERE active").await.is_empty());
    assert_eq!(app.send(LEAD, "welcome back").await.status(), 202);
    assert!(is_dnc(&app), "no API clears it");
    let by_hand = app
        .rows("SELECT 1 FROM sync_log WHERE error_message LIKE 'START; Aloware: do-not-call stays%'")
        .await;
    assert_eq!(by_hand.len(), 1);

    // A person clears it and sets it again: that is theirs. (The note: a delivery of the
    // same second with the same content is a repeat.)
    app.sandbox.aloware.edit_contact(LEAD, json!({"is_dnc": false}));
    settle(&app).await;
    app.sandbox
        .aloware
        .edit_contact(LEAD, json!({"is_dnc": true, "notes": "asked again on the phone"}));
    settle(&app).await;
    let blocks = app.rows("SELECT cause FROM optout_blocks WHERE active").await;
    assert_eq!(blocks, [json!({"cause": "voice_dnc"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_setting_says_how_far_a_stop_goes_in_aloware_and_nobody_is_created_there() {
    for (reach, dnc, lists) in [("lists", false, 0), ("off", false, 2)] {
        let app = dialed(&[("DF_OPT_OUT_TO_ALOWARE", reach)]).await;
        app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
        settle(&app).await;
        assert_eq!(
            (is_dnc(&app), app.sandbox.aloware.lists_of(LEAD).len()),
            (dnc, lists),
            "{reach}"
        );
        app.finish().await;
    }
    let app = TestApp::start().await;
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    app.idle().await;
    assert!(app.sandbox.aloware.contacts().is_empty());
    let shown = deliveries(&app).await;
    assert_eq!(shown[0]["waived"], "Aloware has nobody with this number");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ghl_takes_and_does_not_show_is_not_confirmed_and_tried_again() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD, "tags": ["dnc-sms"]}));
    // Only what was new is answered: the contact itself has to show the rest.
    app.sandbox.ghl.answer_tags_as_delta(true);
    app.sandbox
        .ghl
        .fault("POST", "/contacts/*/tags", Times::Forever, Fault::status(503, "unwell"));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    let open = "SELECT 1 FROM optout_deliveries WHERE system = 'ghl' AND confirmed_at IS NULL";
    settled(&app.config, open, 1).await;
    let metrics = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("optout_unconfirmed"));
    app.sandbox.clear_faults();
    app.idle().await;
    assert!(app.sandbox.ghl.tags(&contact).contains(&"sms opted out".to_owned()));
    let shown = deliveries(&app).await;
    let ghl = shown.iter().find(|row| row["system"] == "ghl").unwrap();
    assert_eq!(ghl["confirmed"], true);
    assert_eq!(ghl["confirmation"]["contact"], contact);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aloware_that_is_away_keeps_ghl_from_nothing_and_stays_unconfirmed() {
    let app = dialed(&[]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox
        .aloware
        .fault("*", "/", Times::Forever, Fault::status(500, "unwell"));
    app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
    let half = "SELECT 1 FROM optout_deliveries o JOIN optout_deliveries c USING (event_id)
                 WHERE o.system = 'aloware' AND o.confirmed_at IS NULL AND c.system = 'ghl' AND c.confirmed_at IS NOT NULL";
    settled(&app.config, half, 1).await;
    assert!(app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()));
    app.sandbox.clear_faults();
    app.idle().await;
    assert!(is_dnc(&app));
    assert!(deliveries(&app).await.iter().all(|row| row["confirmed"] == true));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_that_names_the_contact_by_id_only_is_known_too() {
    for typed in [false, true] {
        let app = TestApp::start().await;
        let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
        let id = app.sandbox.aloware.add_contact(json!({"phone_number": LEAD}));
        app.texting(&text("message.received", "m1", LEAD, "STOP")).await;
        app.idle().await;
        assert!(is_dnc(&app));
        app.execute(&format!(
            "UPDATE contact_mappings SET aloware_contact_id = '{id}' WHERE ghl_contact_id = '{contact}'"
        ))
        .await;
        let told = |at: &str| json!({"event": "contact.dnc.updated", "id": id, "is_dnc": true, "at": at});
        if typed {
            // By an operator, past the door where the registry is told.
            app.execute(&format!(
                "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
                 VALUES ('aloware', 'contact.dnc.updated', 'contact', '{id}', '{}', 'typed')",
                told("first")
            ))
            .await;
        } else {
            app.aloware(&told("first")).await;
        }
        app.idle().await;
        let blocks = "SELECT cause FROM optout_blocks WHERE active ORDER BY 1";
        assert_eq!(app.rows(blocks).await, [json!({"cause": "consumer_stop"})], "{typed}");
        let log = app
            .rows("SELECT error_message FROM sync_log WHERE direction = 'aloware_to_ghl'")
            .await;
        assert_eq!(log, [json!({"error_message": "own_echo"})], "{typed}");
        // The same once more is somebody's.
        app.aloware(&told("later")).await;
        app.idle().await;
        let both = [json!({"cause": "consumer_stop"}), json!({"cause": "voice_dnc"})];
        assert_eq!(app.rows(blocks).await, both, "{typed}");
        app.finish().await;
    }
}
