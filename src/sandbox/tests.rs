//! Faults, recording and timing, and the small HTTP client the room's tests
//! share.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Fault, Options, Sandbox, Times, Vendor, ghl, texting};

/// What came back: status, headers, JSON body (text if it is not JSON).
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: Value,
}

/// A request with these headers and an optional JSON body.
pub(super) async fn call(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> reqwest::Result<Reply> {
    // Plain HTTP only: no reason to load certificates for every request.
    let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client.request(method, url).timeout(Duration::from_secs(5));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Reply { status, headers, body })
}

async fn note(sandbox: &Sandbox, contact: &str) -> reqwest::Result<Reply> {
    let url = format!("{}/contacts/{contact}/notes", sandbox.ghl.url());
    let token = format!("Bearer {}", ghl::TOKEN);
    let headers = [("authorization", token.as_str()), ("version", "2021-07-28")];
    call("POST", &url, &headers, Some(json!({"body": "hello"}))).await
}

async fn started() -> (Sandbox, String) {
    let sandbox = Sandbox::start().await.unwrap();
    let contact = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    (sandbox, contact)
}

#[tokio::test]
async fn a_status_fault_answers_without_effect_and_then_wears_off() {
    let (sandbox, contact) = started().await;
    let fault = sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::status(503, ""));
    assert_eq!(note(&sandbox, &contact).await.unwrap().status, 503);
    assert!(sandbox.ghl.notes(&contact).is_empty());
    assert_eq!(fault.hits(), 1);
    assert_eq!(note(&sandbox, &contact).await.unwrap().status, 201);
    assert_eq!(sandbox.ghl.notes(&contact), ["hello"]);
}

#[tokio::test]
async fn a_422_can_have_done_its_work_all_the_same() {
    let (sandbox, contact) = started().await;
    let fault = Fault::apply_then(Fault::status(422, r#"{"message":["no"]}"#));
    sandbox.ghl.fault("POST", "/contacts/", Times::Once, fault);
    let reply = note(&sandbox, &contact).await.unwrap();
    assert_eq!((reply.status, reply.body), (422, json!({"message": ["no"]})));
    assert_eq!(sandbox.ghl.notes(&contact), ["hello"]);
}

#[tokio::test]
async fn a_reset_drops_the_connection_before_or_after_the_effect() {
    let (sandbox, contact) = started().await;
    sandbox.ghl.fault("*", "*", Times::Once, Fault::Reset);
    assert!(
        note(&sandbox, &contact)
            .await
            .is_err_and(|error| error.status().is_none())
    );
    assert!(sandbox.ghl.notes(&contact).is_empty());
    sandbox
        .ghl
        .fault("*", "*", Times::Once, Fault::apply_then(Fault::Reset));
    assert!(note(&sandbox, &contact).await.is_err());
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
    let last = sandbox.calls().pop().unwrap();
    assert_eq!(last.status, None);
    assert!(last.answered_at.is_some());
}

#[tokio::test]
async fn a_truncated_answer_ends_before_its_content_length() {
    let (sandbox, contact) = started().await;
    sandbox
        .ghl
        .fault("*", "*", Times::Once, Fault::apply_then(Fault::Truncated));
    let error = note(&sandbox, &contact).await.err().unwrap();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
}

#[tokio::test]
async fn a_hang_never_answers_and_a_gate_answers_when_released() {
    let (sandbox, contact) = started().await;
    let hang = sandbox.ghl.fault("*", "*", Times::Once, Fault::apply_then(Fault::Hang));
    let waiting = tokio::time::timeout(Duration::from_millis(300), note(&sandbox, &contact)).await;
    assert!(waiting.is_err());
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
    hang.release();

    let gate = sandbox.ghl.fault("*", "*", Times::Once, Fault::Gate);
    let release = async {
        let held = sandbox
            .wait_for_call(|call| call.seq == 2 && call.status.is_none(), Duration::from_secs(5))
            .await;
        assert!(held.is_some());
        assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
        gate.release();
    };
    let (reply, ()) = tokio::join!(note(&sandbox, &contact), release);
    assert_eq!(reply.unwrap().status, 201);
    assert_eq!(sandbox.ghl.notes(&contact).len(), 2);
}

#[tokio::test]
async fn a_gate_after_the_effect_gives_the_true_answer_late() {
    let (sandbox, contact) = started().await;
    let gate = sandbox
        .ghl
        .fault("*", "*", Times::Forever, Fault::apply_then(Fault::Gate));
    let release = async {
        assert!(sandbox.wait_for_call(|_| true, Duration::from_secs(5)).await.is_some());
        assert_eq!(sandbox.ghl.notes(&contact), ["hello"]);
        gate.release();
    };
    let (reply, ()) = tokio::join!(note(&sandbox, &contact), release);
    assert_eq!(reply.unwrap().status, 201);
    assert_eq!(sandbox.ghl.notes(&contact).len(), 1);
}

#[tokio::test]
async fn rate_limits_web_pages_and_delays_can_be_asked_for() {
    let (sandbox, contact) = started().await;
    let wait = Some(Duration::from_secs(7));
    let limited = Fault::RateLimited { retry_after: wait };
    sandbox.ghl.fault("*", "*", Times::Once, limited);
    let reply = note(&sandbox, &contact).await.unwrap();
    assert_eq!(
        (reply.status, reply.headers["retry-after"].as_bytes()),
        (429, &b"7"[..])
    );
    assert_eq!(reply.headers["x-ratelimit-remaining"], "0");
    sandbox.ghl.fault("*", "*", Times::Once, Fault::HtmlOk);
    let reply = note(&sandbox, &contact).await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    sandbox
        .ghl
        .fault("*", "*", Times::Once, Fault::Delay(Duration::from_millis(200)));
    let start = Instant::now();
    assert_eq!(note(&sandbox, &contact).await.unwrap().status, 201);
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn calls_are_recorded_in_order_across_the_vendors() {
    let (sandbox, contact) = started().await;
    note(&sandbox, &contact).await.unwrap();
    let url = format!("{}{}?x=%2B1", sandbox.texting.url(), texting::SEND_PATH);
    call("POST", &url, &[], Some(json!({"to": "+16195550111"})))
        .await
        .unwrap();
    let url = format!("{}/nowhere", sandbox.aloware.url());
    call("GET", &url, &[], None).await.unwrap();
    let calls = sandbox.calls();
    let vendors: Vec<_> = calls.iter().map(|call| (call.seq, call.vendor)).collect();
    assert_eq!(vendors, [(1, Vendor::Ghl), (2, Vendor::Texting), (3, Vendor::Aloware)]);
    assert_eq!(calls[0].body, json!({"body": "hello"}));
    assert_eq!(calls[0].headers["version"], "2021-07-28");
    assert_eq!(calls[1].query["x"], "+1");
    assert_eq!(calls[1].status, Some(401));
    let unmatched: Vec<_> = sandbox.unmatched().into_iter().map(|call| call.path).collect();
    assert_eq!(unmatched, ["/nowhere"]);
    assert_eq!(sandbox.ghl.calls_to("POST", "/contacts/*/notes").len(), 1);
    assert!(sandbox.ghl.calls_to("GET", "/contacts/").is_empty());
}

#[tokio::test]
async fn instant_mode_counts_and_keeps_nothing_else() {
    let sandbox = Sandbox::start_with(Options::instant()).await.unwrap();
    let contact = sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    for _ in 0..120 {
        assert_eq!(note(&sandbox, &contact).await.unwrap().status, 201);
    }
    assert_eq!(sandbox.ghl.calls_total(), 120);
    assert!(sandbox.calls().is_empty());
    assert_eq!(sandbox.ghl.notes(&contact).len(), 64);
    sandbox.set_latency(Some(Duration::from_millis(150)));
    let start = Instant::now();
    note(&sandbox, &contact).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_dropped_sandbox_stops_answering_and_lets_held_requests_go() {
    let (sandbox, contact) = started().await;
    let url = sandbox.ghl.url();
    sandbox.ghl.fault("*", "*", Times::Forever, Fault::Hang);
    let held = tokio::time::timeout(Duration::from_millis(100), note(&sandbox, &contact)).await;
    assert!(held.is_err());
    drop(sandbox);
    for _ in 0..50 {
        if call("GET", &url, &[], None).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server still answers");
}

#[actix_web::test]
async fn several_sandboxes_run_at_once_inside_an_actix_runtime() {
    let (first, contact) = started().await;
    let (second, other) = started().await;
    note(&first, &contact).await.unwrap();
    assert_eq!(first.ghl.notes(&contact).len(), 1);
    assert!(second.ghl.notes(&other).is_empty());
    assert_eq!(second.ghl.calls_total(), 0);
}
