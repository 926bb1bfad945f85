//! Tags and notes of a contact.

use serde_json::json;

use super::{api, messages};
use crate::sandbox::Sandbox;
use crate::sandbox::ghl::LOCATION;

#[tokio::test]
async fn tags_are_added_and_removed_in_lower_case() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"tags": ["a"]}));
    let path = format!("/contacts/{id}/tags");
    let reply = api(&sandbox, "POST", &path, Some(json!({"tags": ["Hot Lead", "A "]}))).await;
    assert_eq!((reply.status, reply.body), (201, json!({"tags": ["a", "hot lead"]})));
    sandbox.ghl.answer_tags_as_delta(true);
    let reply = api(&sandbox, "DELETE", &path, Some(json!({"tags": ["HOT LEAD", "no"]}))).await;
    assert_eq!((reply.status, reply.body), (200, json!({"tags": ["hot lead"]})));
    assert_eq!(sandbox.ghl.tags(&id), ["a"]);
}

#[tokio::test]
async fn tags_need_a_body_with_tags_and_nothing_else() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"tags": ["a"]}));
    let path = format!("/contacts/{id}/tags");
    for method in ["POST", "DELETE"] {
        assert_eq!(
            messages(&api(&sandbox, method, &path, None).await),
            ["tags should not be empty"]
        );
        let body = json!({"tags": ["a"], "locationId": LOCATION});
        let reply = api(&sandbox, method, &path, Some(body)).await;
        assert_eq!(messages(&reply), ["property locationId should not exist"]);
        let body = Some(json!({"tags": ["a"]}));
        assert_eq!(api(&sandbox, method, "/contacts/nobody/tags", body).await.status, 400);
    }
    assert_eq!(sandbox.ghl.tags(&id), ["a"]);
}

#[tokio::test]
async fn bulk_tags_can_fail_for_one_contact_alone() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"tags": ["a"]}));
    let body = json!({"contacts": [id, "nobody"], "tags": ["B"], "locationId": LOCATION});
    let reply = api(&sandbox, "POST", "/contacts/bulk/tags/update/add", Some(body.clone())).await;
    assert_eq!((reply.status, &reply.body["errorCount"]), (201, &json!(1)));
    assert_eq!(reply.body["responses"][0]["tagsAdded"], json!(["b"]));
    assert_eq!(reply.body["responses"][1]["type"], "error");
    assert_eq!(sandbox.ghl.tags(&id), ["a", "b"]);
    let reply = api(&sandbox, "POST", "/contacts/bulk/tags/update/set", Some(body)).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn a_note_lives_and_dies_and_a_repeat_is_a_second_note() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let path = format!("/contacts/{id}/notes");
    let first = api(&sandbox, "POST", &path, Some(json!({"body": "one"}))).await;
    assert_eq!(first.status, 201);
    let note = first.body["note"]["id"].as_str().unwrap().to_owned();
    assert_eq!(first.body["note"]["contactId"], json!(id));
    api(&sandbox, "POST", &path, Some(json!({"body": "one"}))).await;
    assert_eq!(sandbox.ghl.notes(&id), ["one", "one"]);
    let one = format!("{path}/{note}");
    let reply = api(&sandbox, "PUT", &one, Some(json!({"body": "two", "pinned": true}))).await;
    assert_eq!((reply.status, &reply.body["note"]["body"]), (200, &json!("two")));
    assert_eq!(api(&sandbox, "GET", &one, None).await.body["note"]["pinned"], true);
    let list = api(&sandbox, "GET", &path, None).await;
    assert_eq!(list.body["notes"].as_array().unwrap().len(), 2);
    assert_eq!(list.body["notes"][1]["id"], json!(note));
    let reply = api(&sandbox, "DELETE", &one, None).await;
    assert_eq!((reply.status, reply.body), (200, json!({"succeded": true})));
    assert_eq!(api(&sandbox, "GET", &one, None).await.status, 400);
    assert_eq!(sandbox.ghl.notes(&id), ["one"]);
}

#[tokio::test]
async fn a_note_needs_a_body_and_knows_no_location() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let path = format!("/contacts/{id}/notes");
    let reply = api(&sandbox, "POST", &path, Some(json!({"title": "x"}))).await;
    assert_eq!(messages(&reply), ["body should not be empty"]);
    let body = json!({"body": "x", "locationId": LOCATION});
    let reply = api(&sandbox, "POST", &path, Some(body)).await;
    assert_eq!(messages(&reply), ["property locationId should not exist"]);
    let body = Some(json!({"body": "x"}));
    assert_eq!(api(&sandbox, "POST", "/contacts/nobody/notes", body).await.status, 400);
}
