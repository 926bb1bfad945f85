//! Aloware is as strict as its vendor.

use std::time::Duration;

use serde_json::{Value, json};

use super::TOKEN;
use crate::sandbox::Sandbox;
use crate::sandbox::tests::{Reply, call};

const PHONE: &str = "+16195550111";

async fn get(sandbox: &Sandbox, path: &str) -> Reply {
    let url = format!("{}{path}", sandbox.aloware.url());
    call("GET", &url, &[], None).await.unwrap()
}

async fn lookup(sandbox: &Sandbox, number: &str) -> Reply {
    let path = "/api/v1/webhook/contact/phone-number";
    get(sandbox, &format!("{path}?api_token={TOKEN}&phone_number={number}")).await
}

async fn post(sandbox: &Sandbox, path: &str, mut body: Value) -> Reply {
    body["api_token"] = json!(TOKEN);
    let url = format!("{}/api/v1/webhook/{path}", sandbox.aloware.url());
    call("POST", &url, &[], Some(body)).await.unwrap()
}

#[tokio::test]
async fn the_token_of_a_get_is_in_the_query_and_of_a_post_in_the_body() {
    let sandbox = Sandbox::start().await.unwrap();
    assert_eq!(get(&sandbox, "/api/v1/webhook/users").await.status, 401);
    let url = format!("{}/api/v1/webhook/forms?api_token={TOKEN}", sandbox.aloware.url());
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    let form = json!({"phone_number": PHONE, "force_update": true});
    let reply = call("POST", &url, &headers, Some(form)).await.unwrap();
    assert_eq!((reply.status, reply.body), (401, json!({"error": "Unauthenticated."})));
    assert!(sandbox.aloware.contacts().is_empty());
    let users = get(&sandbox, &format!("/api/v1/webhook/users?api_token={TOKEN}")).await;
    assert_eq!((users.status, users.body), (200, json!([])));
}

#[tokio::test]
async fn a_lookup_answers_a_bare_contact_with_a_numeric_id() {
    let sandbox = Sandbox::start().await.unwrap();
    let form = json!({"phone_number": PHONE, "name": "Jane Example", "city": "Austin"});
    let id = sandbox.aloware.add_contact(form);
    let reply = lookup(&sandbox, "%2B16195550111").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body["id"], json!(id));
    assert_eq!(reply.body["cnam_city"], "Austin");
    assert_eq!(reply.body["first_name"], "Jane");
    assert!(reply.body.get("city").is_none());
    assert_eq!(lookup(&sandbox, "6195550111").await.status, 200);
}

#[tokio::test]
async fn a_lookup_tells_a_bad_number_from_an_unknown_one() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.aloware.add_contact(json!({"phone_number": PHONE}));
    let bad = json!({"error": "Phone number is empty or invalid."});
    for number in ["", "12", "abc", "+16195550111"] {
        let reply = lookup(&sandbox, number).await;
        assert_eq!((reply.status, reply.body), (400, bad.clone()), "{number}");
    }
    let reply = lookup(&sandbox, "%2B16195550199").await;
    assert_eq!(
        (reply.status, reply.body),
        (404, json!({"error": "Contact not found."}))
    );
}

#[tokio::test]
async fn a_form_creates_and_only_force_update_updates() {
    let sandbox = Sandbox::start().await.unwrap();
    let form = json!({"phone_number": PHONE, "tags": "Hot Lead, b", "list_ids": "7,8", "csf1": "g1"});
    let reply = post(&sandbox, "forms", form).await;
    assert_eq!(
        (reply.status, &reply.body["message"]),
        (201, &json!("Contact created."))
    );
    assert!(reply.body["contact_id"].is_i64());
    assert_eq!(sandbox.aloware.lists_of(PHONE), [7, 8]);
    let again = json!({"phone_number": "(619) 555-0111", "first_name": "Jane"});
    assert_eq!(post(&sandbox, "forms", again.clone()).await.status, 409);
    assert!(sandbox.aloware.contact_by_phone(PHONE).unwrap()["first_name"].is_null());
    let mut forced = again;
    forced["force_update"] = json!(1);
    forced["tags"] = json!("c");
    let reply = post(&sandbox, "forms", forced).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.get("contact_id").is_none());
    let contact = sandbox.aloware.contact_by_phone(PHONE).unwrap();
    assert_eq!(contact["tags"], json!(["Hot Lead", "b", "c"]));
    assert_eq!(contact["csf1"], "g1");
    assert_eq!(sandbox.aloware.contacts().len(), 1);
}

#[tokio::test]
async fn a_form_refuses_properties_the_vendor_does_not_document() {
    let sandbox = Sandbox::start().await.unwrap();
    for (field, value) in [
        ("cnam_city", json!("Austin")),
        ("phone", json!(PHONE)),
        ("contact_ids", json!([1])),
        ("tags", json!(["a"])),
        ("list_ids", json!([7])),
        ("is_dnc", json!("yes")),
    ] {
        let mut form = json!({"phone_number": PHONE, "force_update": true});
        form[field] = value;
        let reply = post(&sandbox, "forms", form).await;
        assert_eq!(reply.status, 422, "{field}");
        assert!(reply.body["errors"][field][0].is_string(), "{field}");
    }
    assert_eq!(post(&sandbox, "forms", json!({"name": "x"})).await.status, 422);
    assert!(sandbox.aloware.contacts().is_empty());
}

#[tokio::test]
async fn dnc_can_be_set_by_a_form_but_not_cleared() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.aloware.add_contact(json!({"phone_number": PHONE}));
    for dnc in [1, 0] {
        let form = json!({"phone_number": PHONE, "force_update": true, "is_dnc": dnc});
        assert_eq!(post(&sandbox, "forms", form).await.status, 200);
        assert_eq!(sandbox.aloware.contact_by_phone(PHONE).unwrap()["is_dnc"], true);
    }
}

#[tokio::test]
async fn removing_from_lists_empties_them_all() {
    let sandbox = Sandbox::start().await.unwrap();
    let form = json!({"phone_number": PHONE, "list_ids": "7,8", "add_to_powerdialer": true});
    let id = sandbox.aloware.add_contact(form);
    assert!(sandbox.aloware.in_power_dialer(PHONE));
    let path = "powerdialer-remove-contact-from-lists";
    let reply = post(&sandbox, path, json!({"contact_id": 1})).await;
    let unknown = json!({"message": "The requested contact id does not exist."});
    assert_eq!((reply.status, reply.body), (404, unknown));
    assert_eq!(
        post(&sandbox, path, json!({"contact_id": id, "list_id": 7}))
            .await
            .status,
        422
    );
    assert_eq!(post(&sandbox, path, json!({"contact_id": id})).await.status, 200);
    assert!(sandbox.aloware.lists_of(PHONE).is_empty());
    assert!(!sandbox.aloware.in_power_dialer(PHONE));
}

#[tokio::test]
async fn an_unknown_get_is_a_web_page_and_an_unknown_post_is_405() {
    let sandbox = Sandbox::start().await.unwrap();
    let reply = get(&sandbox, &format!("/api/v1/webhook/calls?api_token={TOKEN}")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(reply.body.as_str().unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(
        post(&sandbox, "powerdialer-add-contact-to-lists", json!({}))
            .await
            .status,
        405
    );
    let url = format!("{}/contacts/1", sandbox.aloware.url());
    assert_eq!(call("PUT", &url, &[], Some(json!({}))).await.unwrap().status, 405);
    assert_eq!(sandbox.aloware.unmatched().len(), 3);
}

#[tokio::test]
async fn a_text_is_accepted_with_202_and_no_id() {
    let sandbox = Sandbox::start().await.unwrap();
    let text = json!({"from": "+16195550100", "to": PHONE, "message": "hi"});
    let reply = post(&sandbox, "sms-gateway/send", text).await;
    assert_eq!((reply.status, reply.body), (202, json!({"message": "Message sent."})));
    let reply = post(&sandbox, "sms-gateway/send", json!({"to": PHONE, "message": "hi"})).await;
    assert_eq!(reply.status, 422);
    assert_eq!(sandbox.aloware.texts().len(), 1);
}

#[tokio::test]
async fn a_sequence_finds_its_contact_by_the_named_source() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.aloware.add_contact(json!({"phone_number": PHONE}));
    let enrol = json!({"sequence_id": 5, "source": "phone_number", "phone_number": PHONE});
    assert_eq!(post(&sandbox, "sequence-enroll", enrol).await.status, 200);
    assert_eq!(sandbox.aloware.contact_by_phone(PHONE).unwrap()["sequence_id"], 5);
    let enrol = json!({"sequence_id": 5, "source": "gohighlevel", "id": 1});
    assert_eq!(post(&sandbox, "sequence-enroll", enrol).await.status, 422);
}

#[tokio::test]
async fn its_own_writes_come_back_as_webhooks_with_basic_authorisation() {
    let sandbox = Sandbox::start().await.unwrap();
    // The texting vendor's server is merely a recorder here.
    let target = format!("{}/hook", sandbox.texting.url());
    sandbox.aloware.echo_to(&target, Some(("al", "pw")));
    post(&sandbox, "forms", json!({"phone_number": PHONE})).await;
    let form = json!({"phone_number": PHONE, "force_update": true, "is_dnc": 1});
    post(&sandbox, "forms", form.clone()).await;
    post(&sandbox, "forms", form).await;
    assert!(sandbox.aloware.echoes_settled(Duration::from_secs(5)).await);
    let hooks = sandbox.texting.calls_to("POST", "/hook");
    let events: Vec<_> = hooks.iter().map(|hook| hook.body["event"].clone()).collect();
    assert_eq!(events, ["Contact-Created", "Contact-Updated", "Contact-DncUpdated"]);
    assert_eq!(hooks[0].headers["authorization"], "Basic YWw6cHc=");
    assert!(hooks[0].body["body"]["id"].is_i64());
    assert_eq!(hooks[2].body["body"]["is_dnc"], true);
    assert_eq!(sandbox.aloware.echoes().len(), 3);
}

#[tokio::test]
async fn reads_by_id_are_pages_of_the_web_app_until_they_are_switched_on() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.aloware.add_contact(json!({"phone_number": PHONE}));
    sandbox.aloware.put_call(json!({"id": "c1", "contact_id": id}));
    let (call, contact) = ("/api/v1/calls/c1".to_owned(), format!("/api/v1/contacts/{id}"));
    let asked = |path: &str| format!("{path}?api_token={TOKEN}");
    for path in [&call, &contact] {
        let reply = get(&sandbox, &asked(path)).await;
        let page = reply.body.as_str().unwrap().starts_with("<!DOCTYPE html>");
        assert!(reply.status == 200 && page, "{path}");
    }
    assert_eq!(sandbox.unmatched().len(), 2);
    sandbox.aloware.serve_reads_by_id();
    let reply = get(&sandbox, &asked(&call)).await;
    assert_eq!((reply.status, &reply.body["call"]["contact_id"]), (200, &json!(id)));
    let reply = get(&sandbox, &asked(&contact)).await;
    assert_eq!(
        (reply.status, &reply.body["contact"]["phone_number"]),
        (200, &json!(PHONE))
    );
    assert_eq!(get(&sandbox, &call).await.status, 401);
    for unknown in ["/api/v1/calls/c2", "/api/v1/contacts/1", "/api/v1/contacts/x"] {
        assert_eq!(get(&sandbox, &asked(unknown)).await.status, 404, "{unknown}");
    }
    assert_eq!(sandbox.unmatched().len(), 2);
}
