//! What an operator asks for: one contact in step, one tag's list filled.

use df_middleware::sandbox::{Fault, Times};
use serde_json::{Value, json};

use crate::support::{ADMIN_SECRET, OUR_NUMBER, TestApp};

const LEAD: &str = "+16195550188";

/// Asks, and answers status and body.
async fn ask(app: &TestApp, what: &str) -> (u16, Value) {
    let request = app.client.post(format!("{}/api/sync/{what}", app.base));
    let answer = request.header("X-DF-ADMIN-SECRET", ADMIN_SECRET).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Calls so far that change something at a vendor.
fn writes(app: &TestApp) -> usize {
    app.sandbox.calls().iter().filter(|call| call.method != "GET").count()
}

/// A contact in Aloware and its id.
fn in_aloware(app: &TestApp) -> String {
    let theirs = json!({"phone_number": LEAD, "first_name": "Ida", "last_name": "Probe", "email": "ida@probe.test",
        "country": "US"});
    app.sandbox.aloware.add_contact(theirs).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_sync_on_request_brings_the_aloware_contact_to_ghl_and_maps_both() {
    let app = TestApp::start().await;
    let id = in_aloware(&app);
    let (status, answer) = ask(&app, "contacts?phone=%2B16195550188").await;
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!((status, contacts.len()), (200, 1), "{answer}");
    let ghl = contacts[0]["id"].as_str().unwrap().to_owned();
    let both = json!({"success": true, "alowareContactId": id, "ghlContactId": ghl});
    assert_eq!(answer, both);
    for (field, value) in [
        ("firstName", "Ida"),
        ("lastName", "Probe"),
        ("email", "ida@probe.test"),
        ("country", "US"),
    ] {
        assert_eq!(contacts[0][field], value, "{field}");
    }
    let mapping = app
        .rows("SELECT ghl_contact_id, aloware_contact_id, phone_number, sync_direction FROM contact_mappings")
        .await;
    let wanted = json!({"ghl_contact_id": ghl, "aloware_contact_id": id, "phone_number": LEAD,
        "sync_direction": "aloware_to_ghl"});
    assert_eq!(mapping, [wanted]);
    let log = "SELECT direction, entity_type, entity_id, target_id, status,
                      correlation_id ~ '^contact-sync-[0-9]+$' AS named FROM sync_log";
    let row = json!({"direction": "aloware_to_ghl", "entity_type": "contact", "entity_id": id, "target_id": ghl,
        "status": "success", "named": true});
    assert_eq!(app.rows(log).await, [row]);

    app.sandbox.ghl.edit_contact(&ghl, json!({"tags": ["vip"]}));
    let before = writes(&app);
    assert_eq!(ask(&app, &format!("contacts?alowareContactId={id}")).await, (200, both));
    assert_eq!(writes(&app), before, "they are in step already");
    assert_eq!(app.sandbox.ghl.tags(&ghl), ["vip"]);
    let (status, problem) = ask(&app, "contacts?alowareContactId=424242").await;
    assert_eq!(
        (status, &problem["error"]),
        (404, &json!("Contact 424242 not found in Aloware"))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_ghl_lost_is_made_anew_and_a_number_of_somebody_else_finds_nobody() {
    let app = TestApp::start().await;
    let id = in_aloware(&app);
    let (_, first) = ask(&app, "contacts?phone=%2B16195550188").await;
    let lost = first["ghlContactId"].as_str().unwrap();
    app.sandbox.ghl.remove_contact(lost);
    let (status, second) = ask(&app, &format!("contacts?alowareContactId={id}")).await;
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!((status, contacts.len()), (200, 1), "{second}");
    assert_eq!(second["ghlContactId"], contacts[0]["id"]);
    assert_ne!(second["ghlContactId"], lost);

    // Aloware's contact 5 had this number once.
    app.execute(&format!(
        "UPDATE contact_mappings SET aloware_contact_id = '5' WHERE aloware_contact_id = '{id}'"
    ))
    .await;
    let before = writes(&app);
    let (status, problem) = ask(&app, "contacts?alowareContactId=5").await;
    assert_eq!(
        (status, &problem["error"]),
        (404, &json!("Contact 5 not found in Aloware"))
    );
    assert_eq!(writes(&app), before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_forbids_is_answered_409_with_the_rule() {
    let app = TestApp::start().await;
    app.sandbox.aloware.add_contact(json!({"phone_number": OUR_NUMBER}));
    let nameless = app.sandbox.ghl.add_contact(json!({"email": "ida@probe.test"}));
    for (what, reason) in [
        ("contacts?phone=8585550100".to_owned(), "own_number"),
        (
            format!("contacts?ghlContactId={nameless}"),
            "No phone number: Aloware keeps contacts by phone",
        ),
    ] {
        let (status, problem) = ask(&app, &what).await;
        assert_eq!((status, &problem["code"]), (409, &json!("skipped")), "{problem}");
        assert_eq!(problem["error"], format!("skipped: {reason}"));
    }
    let (status, problem) = ask(&app, "contacts?ghlContactId=nobody").await;
    assert_eq!(
        (status, &problem["error"]),
        (404, &json!("Contact nobody not found in GHL"))
    );
    assert_eq!(writes(&app), 0);
    app.finish().await;
}

/// Maps contacts of both systems that were last seen with these tags.
async fn seen(app: &TestApp, people: &[(&str, &str)]) {
    for (n, (phone, tags)) in people.iter().enumerate() {
        app.sandbox.aloware.add_contact(json!({"phone_number": phone}));
        app.execute(&format!(
            "INSERT INTO contact_mappings (ghl_contact_id, phone_number, ghl_tags) VALUES ('g{n}', '{phone}', '{{{tags}}}')"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_sync_on_request_puts_on_only_those_last_seen_with_the_tag() {
    let app = TestApp::start().await;
    let (other, plain) = ("+16195550189", "+16195550190");
    seen(&app, &[(LEAD, "vip,hot lead"), (other, "hot lead 2"), (plain, "")]).await;
    let answer = ask(&app, "lists?tagName=Hot%20Lead").await;
    let wanted = json!({"success": true, "tagName": "Hot Lead", "callListId": "301", "added": 1});
    assert_eq!(answer, (200, wanted));
    assert_eq!(app.sandbox.aloware.lists_of(LEAD), [301]);
    for phone in [other, plain] {
        assert_eq!(app.sandbox.aloware.lists_of(phone), Vec::<i64>::new());
    }
    let log = "SELECT direction, entity_type, entity_id, target_id, status,
                      correlation_id ~ '^list-sync-[0-9]+$' AS named FROM sync_log";
    let row = json!({"direction": "ghl_to_aloware", "entity_type": "list", "entity_id": "hot lead", "target_id": "301",
        "status": "success", "named": true});
    assert_eq!(app.rows(log).await, [row]);
    let (status, problem) = ask(&app, "lists?tagName=Cold").await;
    assert_eq!(
        (status, &problem["error"]),
        (404, &json!("No list is configured for this tag"))
    );
    assert_eq!(app.sandbox.calls().len(), 1, "one form, and nothing else");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_for_one_keeps_nobody_else_off_the_list_and_is_told() {
    let app = TestApp::start().await;
    let people = ["+16195550191", "+16195550192", "+16195550193"];
    seen(&app, &people.map(|phone| (phone, "hot lead"))).await;
    let refused = Fault::status(422, r#"{"errors": {"phone_number": ["is not a number"]}}"#);
    app.sandbox
        .aloware
        .fault("POST", "/api/v1/webhook/forms", Times::Once, refused);
    let (status, problem) = ask(&app, "lists?tagName=hot%20lead").await;
    let told = "2 added, 1 not: aloware rejected 422: property phone_number";
    assert_eq!((status, &problem["code"]), (502, &json!("refused")), "{problem}");
    assert_eq!(problem["error"], format!("refused ({told})"));
    let lists = people.map(|phone| app.sandbox.aloware.lists_of(phone));
    assert_eq!(lists, [vec![], vec![301], vec![301]]);
    let log = app.rows("SELECT status, error_message FROM sync_log").await;
    assert_eq!(log, [json!({"status": "error", "error_message": told})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_in_trouble_is_left_alone_and_the_answer_tells_who_was_not_tried() {
    for (trouble, reason) in [(503, "aloware 503"), (401, "aloware 401 unauthorized")] {
        let app = TestApp::start().await;
        let people = ["+16195550191", "+16195550192", "+16195550193", "+16195550194"];
        seen(&app, &people.map(|phone| (phone, "hot lead"))).await;
        let forms = "/api/v1/webhook/forms";
        let faults = &app.sandbox.aloware;
        faults.fault("POST", forms, Times::Once, Fault::status(422, "{}"));
        faults.fault("POST", forms, Times::Forever, Fault::status(trouble, "{}"));
        let (status, problem) = ask(&app, "lists?tagName=hot%20lead").await;
        let told = format!("0 added, 2 not: aloware rejected 422, {reason}; 2 not tried");
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("vendor_unavailable")),
            "{problem}"
        );
        assert_eq!(problem["error"], format!("a vendor is not available: {told}"));
        assert_eq!(
            app.sandbox.aloware.calls().len(),
            2,
            "the refused one and the one in trouble"
        );
        let log = app.rows("SELECT status, error_message FROM sync_log").await;
        assert_eq!(log, [json!({"status": "error", "error_message": told})]);
        app.finish().await;
    }
}
