//! What vendors report about a person: opt-outs, do-not-call, dispositions.

use serde_json::{Value, json};

use crate::support::{OUR_NUMBER, TestApp, call};

const LEAD: &str = "+16195550166";

/// What the registry says of everybody it knows.
async fn registry(app: &TestApp) -> Vec<Value> {
    app.rows("SELECT phone_number, status, source, reason FROM optout_registry ORDER BY 1")
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_the_vendor_reports_with_the_person_as_recipient_blocks_that_person() {
    for sides in [json!({"to": LEAD}), json!({"from": OUR_NUMBER, "to": LEAD})] {
        let app = TestApp::start().await;
        let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
        let mut report = json!({"type": "optout.stop", "message": sides});
        report["message"]["id"] = json!("m1");
        assert_eq!(app.texting(&report).await.status(), 200);
        let blocked = json!({"phone_number": LEAD, "status": "opted_out", "source": "texting", "reason": "STOP"});
        assert_eq!(registry(&app).await, [blocked], "before anything ran: {sides}");
        assert_eq!(app.send(LEAD, "one more offer").await.status(), 409);
        app.idle().await;
        let mut tags = app.sandbox.ghl.tags(&contact);
        tags.sort();
        assert_eq!(tags, ["dnc-sms", "sms opted out"], "{sides}");
        assert_eq!(app.sandbox.ghl.contacts().len(), 1, "our number is nobody's contact");
        let log = app
            .rows("SELECT direction, entity_type, entity_id, target_id, status FROM sync_log")
            .await;
        let row = json!({"direction": "texting_to_ghl", "entity_type": "optout", "entity_id": "m1",
            "target_id": contact, "status": "success"});
        assert_eq!(log, [row], "{sides}");
        app.finish().await;
    }
}

/// Aloware's do-not-call flag of a contact, as of a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbound_stop_report_blocks_its_recipient_where_our_numbers_are_not_configured() {
    let app = TestApp::start_with(&[("TEXTING_FROM_NUMBER", "")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let report = json!({"type": "optout.stop", "message": {"id": "m1", "direction": "outbound",
        "from": OUR_NUMBER, "to": LEAD}});
    assert_eq!(app.texting(&report).await.status(), 200);
    let blocked = json!({"phone_number": LEAD, "status": "opted_out", "source": "texting", "reason": "STOP"});
    assert_eq!(registry(&app).await, [blocked]);
    assert_eq!(app.send(LEAD, "one more offer").await.status(), 409);
    app.idle().await;
    let mut tags = app.sandbox.ghl.tags(&contact);
    tags.sort();
    assert_eq!(tags, ["dnc-sms", "sms opted out"]);
    assert_eq!(app.sandbox.ghl.contacts().len(), 1, "our number is nobody's contact");
    assert!(app.sandbox.texting.sent().is_empty());
    app.finish().await;
}

fn dnc(id: i64, phone: &str, on: bool, at: &str) -> Value {
    json!({"event": "Contact-DncUpdated", "body": {"id": id, "phone_number": phone, "is_dnc": on,
        "updated_at": format!("2026-11-02 {at}:00")}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aloware_dnc_off_lifts_its_own_block_and_opts_in_nobody_who_never_was_out() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let known = |status: &str, reason: &str| json!({"phone_number": LEAD, "status": status, "source": "aloware", "reason": reason});
    let tags = ["dnc", "do not call"];
    for (on, at, answer, row, tags) in [
        (true, "18:00", 409, known("opted_out", "DNC Updated"), &tags[..]),
        (false, "19:00", 202, known("opted_in", "DNC Removed"), &[]),
        // Sent first, delivered last.
        (true, "17:00", 202, known("opted_in", "DNC Removed"), &[]),
        (true, "21:00", 409, known("opted_out", "DNC Updated"), &tags),
        (false, "20:00", 409, known("opted_out", "DNC Updated"), &tags),
    ] {
        app.aloware(&dnc(155, LEAD, on, at)).await;
        assert_eq!(registry(&app).await, [row], "{at}");
        assert_eq!(app.send(LEAD, "hello").await.status(), answer, "{at}");
        app.idle().await;
        let mut marked = app.sandbox.ghl.tags(&contact);
        marked.sort();
        assert_eq!(marked, tags, "{at}");
    }
    let told = app
        .rows("SELECT last_event_at = '2026-11-02 21:00:00Z' AS newest FROM optout_registry")
        .await;
    assert_eq!(told, [json!({"newest": true})]);
    let late = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'skipped' ORDER BY started_at")
        .await;
    let skipped = |reason: &str| json!({"error_message": reason});
    assert_eq!(
        late,
        [skipped("a later DNC off holds"), skipped("a later DNC on holds")]
    );
    app.aloware(&dnc(156, "+16195550167", false, "20:00")).await;
    app.idle().await;
    assert_eq!(registry(&app).await.len(), 1, "who never was out did not consent");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_do_not_call_for_a_contact_mapped_under_another_number_reaches_that_contact() {
    let app = TestApp::start().await;
    let (old, new) = ("+16195550168", "+16195550169");
    let contact = app.sandbox.ghl.add_contact(json!({"phone": old}));
    let under_155 = json!({"contact_id": 155, "contact": {"id": 155, "phone_number": old}});
    app.aloware(&call("Call-Disposed", 1, old, under_155)).await;
    app.idle().await;
    let mapping = "SELECT ghl_contact_id, aloware_contact_id FROM contact_mappings";
    let mapped = [json!({"ghl_contact_id": contact, "aloware_contact_id": "155"})];
    assert_eq!(app.rows(mapping).await, mapped);
    app.aloware(&dnc(155, new, true, "18:00")).await;
    app.idle().await;
    assert!(app.sandbox.ghl.tags(&contact).contains(&"do not call".to_owned()));
    assert_eq!(app.sandbox.ghl.contacts().len(), 1);
    assert_eq!(app.rows(mapping).await, mapped);
    assert_eq!(registry(&app).await[0]["phone_number"], new);
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disposition_finds_an_unmapped_contact_by_phone_and_creates_none() {
    let app = TestApp::start().await;
    for (n, (body, label)) in [
        (
            json!({"disposition_status": "Won", "disposition": "Lost", "status": "Busy"}),
            "Won",
        ),
        (json!({"disposition": "Lost", "status": "Busy"}), "Lost"),
        (json!({"status": "Busy"}), "Busy"),
        (json!({}), "Unknown"),
    ]
    .into_iter()
    .enumerate()
    {
        let phone = format!("+1619555017{n}");
        let contact = app.sandbox.ghl.add_contact(json!({"phone": phone}));
        let mut disposed = json!({"event": "Contact-Disposed", "body": body});
        disposed["body"]["id"] = json!(200 + n);
        disposed["body"]["phone_number"] = json!(phone);
        app.aloware(&disposed).await;
        app.idle().await;
        let mut tags = app.sandbox.ghl.tags(&contact);
        tags.sort();
        let tag = format!("disposition: {}", label.to_lowercase());
        assert_eq!(tags, ["contact disposed", &tag]);
        let mapping =
            format!("SELECT aloware_contact_id, phone_number FROM contact_mappings WHERE ghl_contact_id = '{contact}'");
        let wanted = json!({"aloware_contact_id": (200 + n).to_string(), "phone_number": phone});
        assert_eq!(app.rows(&mapping).await, [wanted]);
    }
    let before = app.sandbox.ghl.contacts().len();
    app.aloware(&json!({"event": "Contact-Disposed", "body": {"id": 300, "phone_number": LEAD}}))
        .await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.contacts().len(), before);
    let skipped = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'skipped'")
        .await;
    assert_eq!(skipped, [json!({"error_message": "No contact mapping found"})]);
    app.finish().await;
}
