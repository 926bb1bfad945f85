//! Contacts: what bodies may hold, what is stored, what a PUT leaves alone.

use serde_json::json;

use super::{api, messages};
use crate::sandbox::Sandbox;
use crate::sandbox::ghl::LOCATION;

#[tokio::test]
async fn an_unknown_id_is_400_not_404() {
    let sandbox = Sandbox::start().await.unwrap();
    let put = Some(json!({"firstName": "x"}));
    for (method, body) in [("GET", None), ("PUT", put), ("DELETE", None)] {
        let reply = api(&sandbox, method, "/contacts/nobody", body).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.body["message"], "Contact with id nobody not found");
    }
}

#[tokio::test]
async fn a_contact_is_created_normalised_and_read_back() {
    let sandbox = Sandbox::start().await.unwrap();
    let body = json!({
        "locationId": LOCATION, "phone": "(619) 555-0111", "firstName": "Jane",
        "lastName": "Example", "tags": [" Hot Lead ", "hot lead", "B"],
        "dateOfBirth": "09/25/1990", "customFields": [{"id": "f1", "field_value": 5}],
    });
    let created = api(&sandbox, "POST", "/contacts/", Some(body)).await;
    assert_eq!(created.status, 201);
    let id = created.body["contact"]["id"].as_str().unwrap();
    let read = api(&sandbox, "GET", &format!("/contacts/{id}"), None).await.body;
    let contact = &read["contact"];
    assert_eq!(contact["phone"], "+16195550111");
    assert_eq!(contact["name"], "Jane Example");
    assert_eq!(contact["firstNameLowerCase"], "jane");
    assert_eq!(contact["tags"], json!(["hot lead", "b"]));
    assert_eq!(contact["customFields"], json!([{"id": "f1", "value": 5}]));
    assert_eq!(contact["locationId"], LOCATION);
    assert_eq!(contact["dateAdded"], contact["dateUpdated"]);
}

#[tokio::test]
async fn properties_that_are_not_documented_are_refused_by_name() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    for (method, path) in [("POST", "/contacts/"), ("POST", "/contacts/upsert"), ("PUT", "")] {
        let mut body = json!({"email": "a@b.test", "notes": "x", "additionalEmails": []});
        let path = if path.is_empty() {
            format!("/contacts/{id}")
        } else {
            path.to_owned()
        };
        if method == "POST" {
            body["locationId"] = json!(LOCATION);
        }
        let reply = api(&sandbox, method, &path, Some(body)).await;
        let mut found = messages(&reply);
        found.sort_unstable();
        let expected = [
            "property additionalEmails should not exist",
            "property notes should not exist",
        ];
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_put_refuses_what_only_a_create_may_say() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let path = format!("/contacts/{id}");
    for field in ["locationId", "companyName", "gender", "createNewIfDuplicateAllowed"] {
        let reply = api(&sandbox, "PUT", &path, Some(json!({field: "x"}))).await;
        assert_eq!(messages(&reply), [format!("property {field} should not exist")]);
    }
    let reply = api(&sandbox, "GET", &format!("{path}?locationId={LOCATION}"), None).await;
    assert_eq!(messages(&reply), ["property locationId should not exist"]);
}

#[tokio::test]
async fn values_must_be_of_the_right_kind() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    for (body, text) in [
        (json!({"customFields": {"f1": "x"}}), "customFields must be an array"),
        (
            json!({"customFields": [{"id": "f", "value": 1}]}),
            "customFields.0.property value",
        ),
        (
            json!({"customFields": [{"field_value": 1}]}),
            "customFields.0.id should not be empty",
        ),
        (json!({"tags": "a,b"}), "tags must be an array"),
        (json!({"dnd": "true"}), "dnd must be a boolean value"),
        (json!({"phone": "call me"}), "phone must be a valid phone number"),
        (json!({"email": "nobody"}), "email must be an email"),
        (json!({"postalCode": null}), "postalCode must be a string"),
        (
            json!({"dndSettings": {"SMS": {"status": "on"}}}),
            "dndSettings.SMS.status must be",
        ),
        (
            json!({"dndSettings": {"SMS": {"message": "x"}}}),
            "dndSettings.SMS.status should",
        ),
        (
            json!({"dndSettings": {"sms": {"status": "active"}}}),
            "dndSettings.property sms",
        ),
        (
            json!({"inboundDndSettings": {"all": {"status": "permanent"}}}),
            "inboundDnd",
        ),
    ] {
        let reply = api(&sandbox, "PUT", &format!("/contacts/{id}"), Some(body.clone())).await;
        let found = messages(&reply);
        assert!(
            found.iter().any(|message| message.starts_with(text)),
            "{body}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_put_changes_what_it_says_and_overwrites_all_tags() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox
        .ghl
        .add_contact(json!({"name": "Jane Example", "city": "Austin", "tags": ["a", "b"], "email": "a@b.test"}));
    let body = json!({"tags": ["C"], "city": null, "lastName": "Other"});
    let reply = api(&sandbox, "PUT", &format!("/contacts/{id}"), Some(body)).await;
    assert_eq!((reply.status, &reply.body["succeded"]), (200, &json!(true)));
    assert_eq!(sandbox.ghl.tags(&id), ["c"]);
    let contact = sandbox.ghl.contact(&id).unwrap();
    assert!(contact.get("city").is_none());
    assert_eq!(contact["name"], "Jane Other");
    assert_eq!(contact["email"], "a@b.test");
}

#[tokio::test]
async fn a_put_that_changes_nothing_does_not_touch_date_updated() {
    let sandbox = Sandbox::start().await.unwrap();
    let old = "2020-01-01T00:00:00.000Z";
    let id = sandbox.ghl.add_contact(json!({"city": "Austin", "dateUpdated": old}));
    let path = format!("/contacts/{id}");
    api(&sandbox, "PUT", &path, Some(json!({"city": "Austin"}))).await;
    assert_eq!(sandbox.ghl.contact(&id).unwrap()["dateUpdated"], old);
    api(&sandbox, "PUT", &path, Some(json!({"city": "Dallas"}))).await;
    assert_ne!(sandbox.ghl.contact(&id).unwrap()["dateUpdated"], old);
}

#[tokio::test]
async fn dnd_settings_replace_each_other_but_permanent_stays() {
    let sandbox = Sandbox::start().await.unwrap();
    let settings = json!({"Email": {"status": "active"}, "Call": {"status": "permanent"}});
    let id = sandbox.ghl.add_contact(json!({"dndSettings": settings}));
    let path = format!("/contacts/{id}");
    let sms = json!({"SMS": {"status": "active"}, "Call": {"status": "inactive"}});
    api(&sandbox, "PUT", &path, Some(json!({"dndSettings": sms}))).await;
    let stored = sandbox.ghl.contact(&id).unwrap()["dndSettings"].clone();
    assert_eq!(
        stored,
        json!({"SMS": {"status": "active"}, "Call": {"status": "permanent"}})
    );
    sandbox.ghl.merge_dnd_settings(true);
    let email = json!({"Email": {"status": "active"}});
    api(&sandbox, "PUT", &path, Some(json!({"dndSettings": email}))).await;
    let stored = sandbox.ghl.contact(&id).unwrap()["dndSettings"].clone();
    assert_eq!(stored["SMS"]["status"], "active");
}

#[tokio::test]
async fn custom_fields_merge_by_id_and_undefined_ones_are_dropped() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.ghl.define_custom_field("f1", "score", "Score", "TEXT");
    sandbox.ghl.define_custom_field("f2", "city_2", "City", "TEXT");
    let id = sandbox
        .ghl
        .add_contact(json!({"customFields": [{"id": "f2", "field_value": "x"}]}));
    let fields = json!([
        {"key": "score", "field_value": "high"}, {"id": "nope", "field_value": 1},
        {"key": "nope", "field_value": 1},
    ]);
    let path = format!("/contacts/{id}");
    api(&sandbox, "PUT", &path, Some(json!({"customFields": fields}))).await;
    let stored = sandbox.ghl.contact(&id).unwrap()["customFields"].clone();
    assert_eq!(
        stored,
        json!([{"id": "f2", "value": "x"}, {"id": "f1", "value": "high"}])
    );
}

#[tokio::test]
async fn a_deleted_contact_is_gone() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    let path = format!("/contacts/{id}");
    let reply = api(&sandbox, "DELETE", &path, None).await;
    assert_eq!((reply.status, reply.body), (200, json!({"succeded": true})));
    assert_eq!(api(&sandbox, "GET", &path, None).await.status, 400);
    assert!(sandbox.ghl.contact_by_phone("+16195550111").is_none());
}
