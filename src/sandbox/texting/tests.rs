//! The texting vendor is as strict as any of them.

use serde_json::{Value, json};

use super::{SEND_PATH, TOKEN};
use crate::sandbox::Sandbox;
use crate::sandbox::tests::{Reply, call};

async fn send(sandbox: &Sandbox, token: &str, body: Value) -> Reply {
    let url = format!("{}{SEND_PATH}", sandbox.texting.url());
    let bearer = format!("Bearer {token}");
    call("POST", &url, &[("authorization", bearer.as_str())], Some(body))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_text_gets_a_message_id_and_a_repeat_is_a_second_text() {
    let sandbox = Sandbox::start().await.unwrap();
    let text = json!({"to": "+16195550111", "body": "hi", "correlationId": "c1"});
    let first = send(&sandbox, TOKEN, text.clone()).await;
    let second = send(&sandbox, TOKEN, text).await;
    assert_eq!((first.status, second.status), (200, 200));
    assert!(first.body["messageId"].as_str().unwrap().starts_with("msg_"));
    assert_ne!(first.body, second.body);
    let sent = sandbox.texting.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].correlation_id.as_deref(), Some("c1"));
    assert_eq!(sandbox.texting.sent_to("+16195550111").len(), 2);
}

#[tokio::test]
async fn the_token_the_number_and_the_properties_must_be_right() {
    let sandbox = Sandbox::start().await.unwrap();
    let good = json!({"to": "+16195550111", "body": "hi"});
    assert_eq!(send(&sandbox, "wrong", good).await.status, 401);
    for bad in [
        json!({"to": "6195550111", "body": "hi"}),
        json!({"to": "+1 619 555 0111", "body": "hi"}),
        json!({"to": "+16195550111"}),
        json!({"to": "+16195550111", "body": ""}),
        json!({"to": "+16195550111", "body": "hi", "text": "hi"}),
        json!({"to": "+16195550111", "body": 5}),
    ] {
        assert_eq!(send(&sandbox, TOKEN, bad.clone()).await.status, 422, "{bad}");
    }
    assert!(sandbox.texting.sent().is_empty());
}

#[tokio::test]
async fn a_stopped_number_is_refused_until_it_starts_again() {
    let sandbox = Sandbox::start().await.unwrap();
    let text = json!({"to": "+16195550111", "body": "hi"});
    sandbox.texting.opt_out("+16195550111");
    let reply = send(&sandbox, TOKEN, text.clone()).await;
    let blocked = json!({"error": {"code": "40300", "message": "Blocked due to STOP message"}});
    assert_eq!((reply.status, reply.body), (400, blocked));
    sandbox.texting.opt_in("+16195550111");
    assert_eq!(send(&sandbox, TOKEN, text).await.status, 200);
}

#[tokio::test]
async fn get_is_refused_whatever_the_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}{SEND_PATH}", sandbox.texting.url());
    for token in [TOKEN, "wrong"] {
        let bearer = format!("Bearer {token}");
        let reply = call("GET", &url, &[("authorization", bearer.as_str())], None)
            .await
            .unwrap();
        assert_eq!(reply.status, 405);
    }
    assert!(sandbox.texting.sent().is_empty() && sandbox.texting.unmatched().is_empty());
}

#[tokio::test]
async fn any_other_path_is_unmatched() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}/api/send", sandbox.texting.url());
    assert_eq!(call("POST", &url, &[], Some(json!({}))).await.unwrap().status, 404);
    assert_eq!(sandbox.texting.unmatched().len(), 1);
}
