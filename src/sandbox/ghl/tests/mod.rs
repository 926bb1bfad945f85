//! GoHighLevel is as strict as its vendor: what is refused before a handler
//! looks, and the limits. One file per kind of endpoint beside this one.

mod contacts;
mod conversations;
mod duplicates;
mod echo;
mod search;
mod tags_and_notes;

use std::time::Duration;

use serde_json::{Value, json};

use super::{LOCATION, TOKEN};
use crate::sandbox::tests::{Reply, call};
use crate::sandbox::{Options, Sandbox};

/// A request with a good token and version.
async fn api(sandbox: &Sandbox, method: &str, path: &str, body: Option<Value>) -> Reply {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("version", "2021-07-28")];
    call(method, &format!("{}{path}", sandbox.ghl.url()), &headers, body)
        .await
        .unwrap()
}

/// The messages of a 422.
fn messages(reply: &Reply) -> Vec<&str> {
    assert_eq!(reply.status, 422, "{}", reply.body);
    assert_eq!(reply.body["error"], "Unprocessable Entity");
    reply.body["message"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_token_must_be_one_of_the_configured_ones() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let url = format!("{}/contacts/{id}", sandbox.ghl.url());
    sandbox.ghl.set_tokens(&["old", "new"]);
    for (authorization, status) in [
        ("Bearer old", 200),
        ("Bearer new", 200),
        ("Bearer other", 401),
        ("new", 401),
        ("", 401),
    ] {
        let headers = [("authorization", authorization), ("version", "2021-07-28")];
        let reply = call("GET", &url, &headers, None).await.unwrap();
        assert_eq!(reply.status, status, "{authorization}");
        if status == 401 {
            assert_eq!(reply.body["message"], "Invalid token: access token is invalid");
        }
    }
}

#[tokio::test]
async fn a_version_is_required_and_must_be_known() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let url = format!("{}/contacts/{id}", sandbox.ghl.url());
    let bearer = format!("Bearer {TOKEN}");
    let auth = ("authorization", bearer.as_str());
    let reply = call("GET", &url, &[auth], None).await.unwrap();
    assert_eq!(
        (reply.status, &reply.body["message"]),
        (401, &json!("version header was not found."))
    );
    let reply = call("GET", &url, &[auth, ("version", "2020-01-01")], None)
        .await
        .unwrap();
    assert_eq!(
        (reply.status, &reply.body["message"]),
        (401, &json!("version header is invalid"))
    );
    let reply = call("GET", &url, &[auth, ("version", "2021-04-15")], None)
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_token_may_do_what_its_scopes_say_and_an_agency_s_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let (contact, tags) = (format!("/contacts/{id}"), format!("/contacts/{id}/tags"));
    let add = || Some(json!({"tags": ["hot"]}));
    sandbox.ghl.set_scopes(&["contacts.readonly"]);
    assert_eq!(api(&sandbox, "GET", &contact, None).await.status, 200);
    let refused = api(&sandbox, "POST", &tags, add()).await;
    let text = "The token is not authorized for this scope.";
    assert_eq!((refused.status, &refused.body["message"]), (401, &json!(text)));
    assert!(sandbox.ghl.tags(&id).is_empty());
    sandbox.ghl.set_scopes(&["contacts.readonly", "contacts.write"]);
    assert_eq!(api(&sandbox, "POST", &tags, add()).await.status, 201);
    sandbox.ghl.set_agency_tokens();
    let refused = api(&sandbox, "GET", &contact, None).await;
    let text = "Token's user type mismatch!";
    assert_eq!((refused.status, &refused.body["message"]), (401, &json!(text)));
}

#[tokio::test]
async fn an_unknown_path_is_404_and_unmatched() {
    let sandbox = Sandbox::start().await.unwrap();
    for (method, path) in [
        ("GET", "/contacts"),
        ("POST", "/contacts"),
        ("GET", "/conversations?contactId=1"),
        ("POST", "/conversations/messages"),
        ("GET", "/v3/contacts/1"),
    ] {
        let reply = api(&sandbox, method, path, None).await;
        assert_eq!(reply.status, 404, "{path}");
        let text = reply.body["message"].as_str().unwrap();
        assert!(text.starts_with(&format!("Cannot {method} /")), "{text}");
    }
    assert_eq!(sandbox.ghl.unmatched().len(), 5);
}

#[tokio::test]
async fn a_body_must_be_json_that_says_so() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |kind: &'static str, body: &'static str| {
        let url = format!("{}/contacts/", sandbox.ghl.url());
        let request = client.post(url).bearer_auth(TOKEN).header("version", "2021-07-28");
        request.header("content-type", kind).body(body).send()
    };
    let broken = post("application/json", "{\"locationId\":").await.unwrap();
    assert_eq!(broken.status(), 400);
    let undeclared = post("text/plain", "{\"locationId\":\"x\"}").await.unwrap();
    assert_eq!(undeclared.status(), 422);
}

#[tokio::test]
async fn every_answer_tells_the_limits_and_the_101st_request_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let path = format!("/contacts/{id}");
    let first = api(&sandbox, "GET", &path, None).await;
    assert_eq!(first.headers["x-ratelimit-max"], "100");
    assert_eq!(first.headers["x-ratelimit-remaining"], "99");
    assert_eq!(first.headers["x-ratelimit-interval-milliseconds"], "10000");
    assert_eq!(first.headers["x-ratelimit-limit-daily"], "200000");
    assert_eq!(first.headers["x-ratelimit-daily-remaining"], "199999");
    assert!(first.headers.contains_key("x-ratelimit-daily-reset"));
    let url = format!("{}{path}", sandbox.ghl.url());
    let unauthorized = call("GET", &url, &[], None).await.unwrap();
    assert!(unauthorized.headers.contains_key("x-ratelimit-max"));
    for _ in 0..99 {
        assert_eq!(api(&sandbox, "GET", &path, None).await.status, 200);
    }
    let refused = api(&sandbox, "GET", &path, None).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    assert!(!refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_window_ends_and_limits_can_be_lifted() {
    let sandbox = Sandbox::start_with(Options::strict()).await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let path = format!("/contacts/{id}");
    sandbox.ghl.set_rate_limit(1, Duration::from_millis(300), 10);
    assert_eq!(api(&sandbox, "GET", &path, None).await.status, 200);
    assert_eq!(api(&sandbox, "GET", &path, None).await.status, 429);
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(api(&sandbox, "GET", &path, None).await.status, 200);
    sandbox.ghl.lift_rate_limit();
    assert_eq!(api(&sandbox, "GET", &path, None).await.status, 200);
}

#[tokio::test]
async fn users_fields_and_tags_belong_to_one_location() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.ghl.add_user(json!({"id": "u1", "name": "Jane"}));
    sandbox.ghl.define_custom_field("f1", "score", "Score", "TEXT");
    sandbox.ghl.add_contact(json!({"tags": ["b", "a"]}));
    let reply = api(&sandbox, "GET", &format!("/users/?locationId={LOCATION}"), None).await;
    assert_eq!(reply.body["users"][0]["id"], "u1");
    let path = format!("/locations/{LOCATION}/customFields?model=contact");
    let reply = api(&sandbox, "GET", &path, None).await;
    assert_eq!(reply.body["customFields"][0]["fieldKey"], "contact.score");
    let reply = api(&sandbox, "GET", &format!("/locations/{LOCATION}/tags"), None).await;
    assert_eq!(reply.body["tags"][0]["name"], "a");
    for path in ["/users/?locationId=other", "/locations/other/tags", "/locations/other"] {
        let reply = api(&sandbox, "GET", path, None).await;
        assert_eq!(reply.status, 403, "{path}");
        let text = "The token does not have access to this location.";
        assert_eq!(reply.body["message"], text);
    }
}
