//! What a contact sync writes into GHL, and what it leaves to the people there.

use serde_json::{Value, json};

use crate::support::{PATIENCE, TestApp, contact_event, finished_call};

const LEAD: &str = "+16195550122";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_custom_fields_are_filled_in_the_same_call_and_a_person_s_value_stays() {
    let fields = "alowareContactId=field1,leadSource=field2,intakeSource=field3";
    let app = TestApp::start_with(&[("GHL_CUSTOM_FIELDS", fields)]).await;
    let theirs = json!({"phone_number": LEAD, "first_name": "Ida", "country": "US", "lead_source": "Fair"});
    let aloware_id = app.sandbox.aloware.add_contact(theirs);
    let shown = json!({"firstName": "Ida", "phone": LEAD});
    let mut seeded = shown.clone();
    seeded["customFields"] =
        json!([{"id": "field2", "field_value": "Referral"}, {"id": "other", "field_value": "kept"}]);
    let id = app.sandbox.ghl.add_contact(seeded);
    app.ghl(&contact_event("ContactCreate", &id, "d1", shown.clone())).await;
    app.idle().await;
    let puts = app.sandbox.ghl.calls_to("PUT", "/contacts/");
    assert_eq!(puts.len(), 1);
    let known = json!([
        {"id": "field1", "field_value": aloware_id.to_string()}, {"id": "field3", "field_value": "form-capture"}
    ]);
    assert_eq!(puts[0].body, json!({"country": "US", "customFields": known}));
    let stored = app.sandbox.ghl.contact(&id).unwrap()["customFields"].clone();
    for kept in [
        json!({"id": "field2", "value": "Referral"}),
        json!({"id": "other", "value": "kept"}),
    ] {
        assert!(stored.as_array().unwrap().contains(&kept), "{stored}");
    }
    // A later edit finds them in place.
    app.sandbox.ghl.edit_contact(&id, json!({"firstName": "Idabelle"}));
    let edited = json!({"firstName": "Idabelle", "phone": LEAD});
    app.ghl(&contact_event("ContactUpdate", &id, "d2", edited)).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.calls_to("PUT", "/contacts/").len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_of_somebody_else_is_left_out_and_the_rest_is_written() {
    let app = TestApp::start().await;
    let shared = "office@probe.test";
    let other = app
        .sandbox
        .ghl
        .add_contact(json!({"firstName": "Other", "email": shared, "phone": "+16195550123"}));
    let theirs = json!({"phone_number": LEAD, "first_name": "Ida", "country": "US", "email": shared});
    app.sandbox.aloware.add_contact(theirs);
    let fields = json!({"firstName": "Ida", "phone": LEAD});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d1", fields)).await;
    app.idle().await;
    let written = app.sandbox.ghl.contact(&id).unwrap();
    assert_eq!((&written["country"], &written["email"]), (&json!("US"), &Value::Null));
    assert_eq!(app.sandbox.ghl.contact(&other).unwrap()["email"], shared);
    let log = app.rows("SELECT status, error_message, decisions FROM sync_log").await;
    assert_eq!(log[0]["status"], "success");
    assert_eq!(
        log[0]["error_message"],
        "the e-mail belongs to another GHL contact and was not written"
    );
    let decided = log[0]["decisions"].as_array().unwrap();
    assert!(
        decided.iter().all(|decision| decision["field"] != "email"),
        "{decided:?}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn place_and_timezone_of_a_ghl_contact_reach_aloware() {
    let app = TestApp::start().await;
    let fields = json!({"firstName": "Ida", "phone": LEAD, "timezone": "America/Chicago", "country": "US",
        "state": "TX", "city": "Austin"});
    let id = app.sandbox.ghl.add_contact(fields.clone());
    app.ghl(&contact_event("ContactCreate", &id, "d1", fields)).await;
    app.idle().await;
    let made = app.sandbox.aloware.contact_by_phone(LEAD).unwrap();
    for (field, value) in [
        ("timezone", "America/Chicago"),
        ("cnam_country", "US"),
        ("cnam_state", "TX"),
        ("cnam_city", "Austin"),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    assert_eq!(app.sandbox.aloware.calls_to("POST", "*").len(), 1, "in one form");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_email_of_a_stranger_comes_with_the_sync_that_the_creation_causes() {
    let app = TestApp::start().await;
    app.sandbox.ghl.echo_to(&format!("{}/api/webhooks/ghl", app.base));
    let theirs =
        json!({"phone_number": LEAD, "first_name": "Wanda", "last_name": "Tester", "email": "wanda@probe.test"});
    app.sandbox.aloware.add_contact(theirs);
    let mut told = finished_call(9401, LEAD);
    told["body"]["contact"]["email"] = json!("wanda@probe.test");
    app.aloware(&told).await;
    app.idle().await;
    app.sandbox.ghl.echoes_settled(PATIENCE).await;
    app.idle().await;
    let contacts = app.sandbox.ghl.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0]["email"], "wanda@probe.test");
    let creation = &app.sandbox.ghl.calls_to("POST", "/contacts/upsert")[0].body;
    assert_eq!(creation.get("email"), None, "two identifiers may match another contact");
    app.finish().await;
}
