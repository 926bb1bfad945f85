//! Duplicates: create, upsert, and the search for them.

use serde_json::json;

use super::{api, messages};
use crate::sandbox::Sandbox;
use crate::sandbox::ghl::{Identifier, LOCATION};

#[tokio::test]
async fn the_location_must_be_there_and_ours() {
    let sandbox = Sandbox::start().await.unwrap();
    for path in ["/contacts/", "/contacts/upsert"] {
        let missing = api(&sandbox, "POST", path, Some(json!({"email": "a@b.test"}))).await;
        assert_eq!(messages(&missing), ["locationId should not be empty"]);
        let body = json!({"email": "a@b.test", "locationId": "other"});
        assert_eq!(api(&sandbox, "POST", path, Some(body)).await.status, 403);
    }
}

#[tokio::test]
async fn a_duplicate_names_the_contact_that_is_there() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox
        .ghl
        .add_contact(json!({"phone": "+16195550111", "email": "Jane@Example.test", "name": "Jane Example"}));
    for (field, value) in [("phone", "6195550111"), ("email", "jane@example.test")] {
        let body = json!({"locationId": LOCATION, field: value});
        let reply = api(&sandbox, "POST", "/contacts/", Some(body)).await;
        assert_eq!(reply.status, 400);
        assert_eq!(
            reply.body["meta"],
            json!({"contactId": id, "contactName": "Jane Example", "matchingField": field})
        );
    }
    let other = sandbox.ghl.add_contact(json!({"phone": "+16195550122"}));
    let steal = Some(json!({"phone": "+16195550111"}));
    assert_eq!(
        api(&sandbox, "PUT", &format!("/contacts/{other}"), steal).await.status,
        400
    );
    sandbox.ghl.allow_duplicates(true);
    let body = json!({"locationId": LOCATION, "phone": "+16195550111"});
    assert_eq!(api(&sandbox, "POST", "/contacts/", Some(body)).await.status, 201);
}

#[tokio::test]
async fn an_upsert_matches_by_one_identifier_and_ignores_the_other() {
    let sandbox = Sandbox::start().await.unwrap();
    let by_email = sandbox.ghl.add_contact(json!({"email": "a@b.test", "tags": ["keep"]}));
    let by_phone = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    let body = json!({
        "locationId": LOCATION, "email": "A@B.test", "phone": "+16195550111", "tags": ["new"],
    });
    let reply = api(&sandbox, "POST", "/contacts/upsert", Some(body.clone())).await;
    assert_eq!((reply.status, &reply.body["new"]), (200, &json!(false)));
    assert!(reply.body["traceId"].is_string());
    assert_eq!(reply.body["contact"]["id"], json!(by_email));
    assert!(reply.body["contact"].get("phone").is_none());
    assert_eq!(sandbox.ghl.tags(&by_email), ["new"]);
    sandbox.ghl.set_match_priority(&[Identifier::Phone, Identifier::Email]);
    let reply = api(&sandbox, "POST", "/contacts/upsert", Some(body)).await;
    assert_eq!(reply.body["contact"]["id"], json!(by_phone));
    let body = json!({"locationId": LOCATION, "phone": "+16195550133"});
    let reply = api(&sandbox, "POST", "/contacts/upsert", Some(body)).await;
    assert_eq!(reply.body["new"], true);
    let body = json!({"locationId": LOCATION, "firstName": "x"});
    assert_eq!(api(&sandbox, "POST", "/contacts/upsert", Some(body)).await.status, 400);
}

#[tokio::test]
async fn a_duplicate_search_needs_an_escaped_plus() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox
        .ghl
        .add_contact(json!({"phone": "+16195550111", "email": "a@b.test"}));
    let path = format!("/contacts/search/duplicate?locationId={LOCATION}");
    let hit = api(&sandbox, "GET", &format!("{path}&number=%2B16195550111"), None).await;
    assert_eq!(hit.body["contact"]["id"], json!(id));
    let hit = api(&sandbox, "GET", &format!("{path}&email=A%40b.test"), None).await;
    assert_eq!(hit.body["contact"]["id"], json!(id));
    for query in ["number=+16195550111", "number=6195550111", "email=x%40y.test"] {
        let miss = api(&sandbox, "GET", &format!("{path}&{query}"), None).await;
        assert_eq!((miss.status, miss.body), (200, json!({"contact": null})), "{query}");
    }
    let foreign = api(
        &sandbox,
        "GET",
        "/contacts/search/duplicate?locationId=o&number=1",
        None,
    );
    assert_eq!(foreign.await.status, 403);
}
