//! Recording messages: types, providers, directions.

use serde_json::{Value, json};

use super::{api, messages};
use crate::sandbox::Sandbox;
use crate::sandbox::ghl::{LOCATION, ProviderKind, TOKEN};
use crate::sandbox::tests::Reply;

const INBOUND: &str = "/conversations/messages/inbound";

async fn inbound(sandbox: &Sandbox, body: Value) -> Reply {
    api(sandbox, "POST", INBOUND, Some(body)).await
}

fn error(reply: &Reply) -> &str {
    assert_eq!(reply.status, 400, "{}", reply.body);
    reply.body["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_message_is_recorded_outbound_unless_it_says_inbound() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    sandbox.ghl.set_provider("p1", ProviderKind::Custom);
    let body = json!({
        "type": "Custom", "contactId": id, "conversationProviderId": "p1", "message": "hi",
        "phone": "+1", "dateSent": "x", "locationId": "y",
    });
    let reply = inbound(&sandbox, body.clone()).await;
    assert_eq!((reply.status, &reply.body["success"]), (200, &json!(true)));
    let mut body = body;
    body["direction"] = json!("inbound");
    inbound(&sandbox, body).await;
    let stored = sandbox.ghl.messages();
    let directions: Vec<_> = stored.iter().map(|one| one["direction"].clone()).collect();
    assert_eq!(directions, ["outbound", "inbound"]);
    assert_eq!(stored[0]["conversationId"], stored[1]["conversationId"]);
    assert_eq!(stored[0]["id"], reply.body["messageId"]);
    assert!(stored[0].get("phone").is_none());
    let path = format!("/conversations/messages/{}", reply.body["messageId"].as_str().unwrap());
    assert_eq!(api(&sandbox, "GET", &path, None).await.body["message"]["body"], "hi");
    let path = format!("/conversations/search?locationId={LOCATION}&contactId={id}");
    let found = api(&sandbox, "GET", &path, None).await.body;
    let conversation = found["conversations"][0]["id"].as_str().unwrap();
    let path = format!("/conversations/{conversation}/messages?limit=1");
    let page = api(&sandbox, "GET", &path, None).await.body;
    assert_eq!(page["messages"]["messages"][0]["direction"], "inbound");
    assert_eq!(page["messages"]["nextPage"], true);
}

#[tokio::test]
async fn the_type_is_an_enum_in_exact_case() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    sandbox.ghl.set_provider("p1", ProviderKind::Sms);
    for kind in [json!("sms"), json!("custom"), json!(2)] {
        let reply = inbound(&sandbox, json!({"type": kind, "contactId": id})).await;
        assert_eq!(messages(&reply), ["type must be a valid enum value"]);
    }
    let reply = inbound(&sandbox, json!({"contactId": id})).await;
    assert_eq!(messages(&reply), ["type must be a valid enum value"]);
    let reply = inbound(&sandbox, json!({"type": "SMS"})).await;
    assert_eq!(messages(&reply), ["contactId or conversationId should not be empty"]);
    let body = json!({"type": "SMS", "contactId": id, "direction": "in", "date": "today"});
    assert_eq!(messages(&inbound(&sandbox, body).await).len(), 2);
}

#[tokio::test]
async fn the_provider_must_exist_and_fit_the_type() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({}));
    let body = |kind: &str, provider: Option<&str>| match provider {
        Some(provider) => {
            json!({"type": kind, "contactId": id, "conversationProviderId": provider})
        }
        None => json!({"type": kind, "contactId": id}),
    };
    let missing = "No conversationProviderId passed in body";
    let incorrect = "Incorrect conversationProviderId/type";
    assert_eq!(error(&inbound(&sandbox, body("SMS", None)).await), missing);
    assert_eq!(error(&inbound(&sandbox, body("SMS", Some("p1"))).await), incorrect);
    sandbox.ghl.set_provider("p1", ProviderKind::Custom);
    assert_eq!(error(&inbound(&sandbox, body("Custom", None)).await), missing);
    assert_eq!(error(&inbound(&sandbox, body("SMS", Some("p1"))).await), incorrect);
    assert_eq!(error(&inbound(&sandbox, body("Custom", Some("p2"))).await), incorrect);
    assert_eq!(inbound(&sandbox, body("Custom", Some("p1"))).await.status, 200);
    sandbox.ghl.set_provider("p1", ProviderKind::Sms);
    assert_eq!(error(&inbound(&sandbox, body("Custom", Some("p1"))).await), incorrect);
    assert_eq!(inbound(&sandbox, body("SMS", None)).await.status, 200);
    assert_eq!(inbound(&sandbox, body("SMS", Some("p1"))).await.status, 200);
    let nobody = json!({"type": "SMS", "contactId": "nobody"});
    assert_eq!(
        error(&inbound(&sandbox, nobody).await),
        "Contact with id nobody not found"
    );
    assert_eq!(sandbox.ghl.messages().len(), 3);
}

#[tokio::test]
async fn outbound_records_calls_only_and_the_callee_is_the_contact() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    let path = "/conversations/messages/outbound";
    sandbox.ghl.set_call_provider("c1");
    let body = |kind: &str, to: &str, status: &str| {
        Some(json!({
            "type": kind, "contactId": id, "conversationProviderId": "c1",
            "call": {"to": to, "from": "+16195550100", "status": status},
        }))
    };
    let phone = "+16195550111";
    let reply = api(&sandbox, "POST", path, body("SMS", phone, "completed")).await;
    assert_eq!(messages(&reply), ["type must be a valid enum value"]);
    let reply = api(&sandbox, "POST", path, body("Call", phone, "done")).await;
    assert_eq!(messages(&reply), ["call.status must be a valid enum value"]);
    let reply = api(&sandbox, "POST", path, body("Call", "+16195550199", "completed")).await;
    assert_eq!(reply.status, 400);
    let reply = api(&sandbox, "POST", path, body("Call", phone, "no-answer")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(sandbox.ghl.messages()[0]["direction"], "outbound");
}

#[tokio::test]
async fn a_status_is_set_by_the_providers_app_alone() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    let event = sandbox.ghl.agent_text(&id, "hello").unwrap();
    assert_eq!(event["phone"], "+16195550111");
    let path = format!(
        "/conversations/messages/{}/status",
        event["messageId"].as_str().unwrap()
    );
    let delivered = || Some(json!({"status": "delivered"}));
    assert_eq!(api(&sandbox, "PUT", &path, delivered()).await.status, 401);
    sandbox.ghl.set_provider("p1", ProviderKind::Sms);
    let reply = api(&sandbox, "PUT", &path, Some(json!({"status": "sent"}))).await;
    assert_eq!(messages(&reply), ["status must be a valid enum value"]);
    let half = json!({"status": "failed", "error": {"code": "1"}});
    assert_eq!(api(&sandbox, "PUT", &path, Some(half)).await.status, 422);
    assert_eq!(api(&sandbox, "PUT", &path, delivered()).await.status, 200);
    assert_eq!(sandbox.ghl.messages()[0]["status"], "delivered");
    let unknown = "/conversations/messages/none/status";
    assert_eq!(api(&sandbox, "PUT", unknown, delivered()).await.status, 400);
    sandbox.ghl.set_tokens(&[TOKEN, "app"]);
    sandbox.ghl.restrict_status_to("app");
    assert_eq!(api(&sandbox, "PUT", &path, delivered()).await.status, 401);
}
