//! What the flows never ask, asked directly: a simulator is no kinder than its
//! vendor, and its errors are the vendor's.

use df_middleware::sandbox::ghl::{LOCATION, ProviderKind, TOKEN};
use df_middleware::sandbox::{Sandbox, aloware};
use serde_json::{Value, json};

use super::vendors;
use crate::support::client;

const CONTACTS: &str = "2021-07-28";
const CONVERSATIONS: &str = "2021-04-15";

/// Asks a simulated GHL and answers status and body.
async fn ask(sandbox: &Sandbox, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let version = if path.starts_with("/conversations") {
        CONVERSATIONS
    } else {
        CONTACTS
    };
    let request = client()
        .request(method.parse().unwrap(), format!("{}{path}", sandbox.ghl.url()))
        .bearer_auth(TOKEN)
        .header("Version", version);
    let request = if body.is_null() { request } else { request.json(body) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// A contact with everything that can be written.
fn full() -> Value {
    json!({"locationId": LOCATION, "firstName": "Ida", "lastName": "Probe", "email": "ida@probe.test",
        "phone": "+16195550103", "address1": "1 Probe St", "city": "Austin", "state": "TX", "postalCode": "78411",
        "country": "US", "timezone": "America/Chicago", "companyName": "Probe", "gender": "female",
        "website": "https://probe.test", "source": "probe", "dateOfBirth": "1990-09-25", "assignedTo": "user1",
        "tags": ["One"], "dnd": false, "customFields": [{"id": "field1", "field_value": ["a", "b"]}],
        "dndSettings": {"SMS": {"status": "active", "message": "m", "code": "101"}},
        "inboundDndSettings": {"all": {"status": "inactive", "message": ""}}})
}

/// What is asked in this order, and the status of the answer.
fn questions(contact: &str, note: &str) -> Vec<(&'static str, String, Value, u16)> {
    let own = format!("/contacts/{contact}");
    let note = format!("{own}/notes/{note}");
    let tags = json!({"tags": ["x"]});
    let bulk = json!({"locationId": LOCATION, "contacts": [contact, "nobody"], "tags": ["two"]});
    let text = json!({"type": "Custom", "contactId": contact, "conversationProviderId": "provider1", "message": "hi",
        "direction": "inbound", "date": "2026-11-02T18:00:00.000Z", "altId": "x"});
    let search = format!("/contacts/search/duplicate?locationId={LOCATION}");
    let conversations = format!("/conversations/search?locationId={LOCATION}&contactId={contact}");
    let fields = format!("/locations/{LOCATION}/customFields?model=contact");
    vec![
        ("POST", "/contacts/".to_owned(), full(), 400),
        ("POST", "/contacts/upsert".to_owned(), full(), 200),
        ("GET", own.clone(), Value::Null, 200),
        ("PUT", own.clone(), json!({"city": "Reno"}), 200),
        ("PUT", own.clone(), json!({"locationId": LOCATION}), 422),
        ("GET", format!("{search}&email=ida%40probe.test"), Value::Null, 200),
        ("GET", format!("{search}&number=%2B16195550199"), Value::Null, 200),
        ("POST", "/contacts/bulk/tags/update/add".to_owned(), bulk, 201),
        ("POST", format!("{own}/tags"), tags.clone(), 201),
        ("DELETE", format!("{own}/tags"), tags, 200),
        ("GET", note.clone(), Value::Null, 200),
        ("PUT", note.clone(), json!({"body": "c"}), 200),
        ("GET", format!("{own}/notes"), Value::Null, 200),
        ("DELETE", note, Value::Null, 200),
        ("POST", "/conversations/messages/inbound".to_owned(), text, 200),
        ("GET", conversations, Value::Null, 200),
        ("GET", fields, Value::Null, 200),
        ("GET", format!("/locations/{LOCATION}/tags"), Value::Null, 200),
        ("DELETE", own.clone(), Value::Null, 200),
        ("GET", own, Value::Null, 400),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulator_answers_as_the_official_files_say() {
    let Some(contracts) = vendors::contracts() else {
        return super::absent();
    };
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.ghl.set_provider("provider1", ProviderKind::Custom);
    let (status, made) = ask(&sandbox, "POST", "/contacts/", &full()).await;
    assert_eq!(status, 201);
    let contact = made["contact"]["id"].as_str().unwrap();
    let note = json!({"body": "b", "pinned": true});
    let (_, note) = ask(&sandbox, "POST", &format!("/contacts/{contact}/notes"), &note).await;
    for (method, path, body, wanted) in questions(contact, note["note"]["id"].as_str().unwrap()) {
        let (status, answer) = ask(&sandbox, method, &path, &body).await;
        assert_eq!(status, wanted, "{method} {path}: {answer}");
    }
    let calls = sandbox.calls();
    let strangers: Vec<_> = calls.iter().filter(|call| contracts.check(call).is_none()).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    // The refused PUT is wrong on purpose, and must be the only one.
    let wrong = vendors::violations(&calls);
    assert_eq!(wrong, ["PUT /contacts/{contactId}: body.locationId is not known"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulated_aloware_answers_as_it_is_written_down() {
    let Some(_) = vendors::contracts() else {
        return super::absent();
    };
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.aloware.add_user(
        json!({"id": 1, "name": "Ann", "email": "ann@probe.test", "agent_status": 1,
        "human_readable_agent_status": "Available"}),
    );
    let url = |path: &str| format!("{}/api/v1/webhook/{path}", sandbox.aloware.url());
    let get = |path: &str, query: &str| client().get(format!("{}?api_token={}{query}", url(path), aloware::TOKEN));
    let post = |path: &str, mut body: Value| {
        body["api_token"] = json!(aloware::TOKEN);
        client().post(url(path)).json(&body)
    };
    let phone = "+16195550104";
    let form =
        json!({"phone_number": phone, "force_update": true, "first_name": "Ida", "list_ids": "301", "tags": "a"});
    let asked = [
        (get("users", ""), 200),
        (post("forms", form.clone()), 201),
        (post("forms", form), 200),
        (post("forms", json!({"phone_number": phone})), 409),
        (get("contact/phone-number", "&phone_number=%2B16195550104"), 200),
        (get("contact/phone-number", "&phone_number=%2B16195550105"), 404),
        (get("contact/phone-number", "&phone_number=junk"), 400),
        (
            post("powerdialer-remove-contact-from-lists", json!({"contact_id": 1})),
            404,
        ),
        (
            post(
                "sms-gateway/send",
                json!({"from": "+18585550100", "to": phone, "message": "m"}),
            ),
            202,
        ),
    ];
    for (request, wanted) in asked {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), wanted, "{}", answer.url().path());
    }
    assert_eq!(vendors::violations(&sandbox.calls()), Vec::<String>::new());
}
