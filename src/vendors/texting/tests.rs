//! The texting client against a vendor on a local port.

use serde_json::json;

use super::*;
use crate::domain::Phone;
use crate::vendors::testkit::{self, Vendor, proof};

fn client(vendor: &Vendor) -> TextingClient {
    TextingClient::new(&testkit::texting(Some(vendor.base())), &testkit::http())
        .unwrap()
        .unwrap()
}

fn cleared() -> Cleared {
    Cleared::for_tests(Phone::from_e164("+16195550111").unwrap())
}

async fn send(vendor: &Vendor, outbound: &OutboundText) -> Result<String, VendorError> {
    let client = client(vendor);
    let turn = client.turn().await?;
    client.send(turn, &proof(), cleared(), outbound).await
}

#[tokio::test]
async fn a_text_goes_to_the_cleared_number_from_our_first_number() {
    let vendor = Vendor::saying(200, json!({"messageId": 77})).await;
    let outbound = OutboundText {
        body: "Hello".into(),
        correlation_id: Some("ev-1".into()),
        ..OutboundText::default()
    };
    let id = send(&vendor, &outbound).await.unwrap();
    assert_eq!(id, "77");
    let seen = vendor.last();
    let path = "/api/integrations/df-middleware/send-message";
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", path));
    assert_eq!(seen.header("authorization"), Some("Bearer texting-secret"));
    assert_eq!(seen.header("idempotency-key"), Some("ev-1"));
    let wanted = json!({"to": "+16195550111", "body": "Hello", "from": "+16195550100", "correlationId": "ev-1"});
    assert_eq!(seen.json(), wanted);
}

#[tokio::test]
async fn an_answer_without_an_id_is_no_success() {
    let vendor = Vendor::saying(200, json!({"success": true})).await;
    let error = send(&vendor, &OutboundText::default()).await.unwrap_err();
    assert_eq!(error, VendorError::Incomplete { missing: "messageId" });
    assert!(error.maybe_applied());
}

#[tokio::test]
async fn the_id_may_be_named_id() {
    let vendor = Vendor::saying(200, json!({"id": "m-1"})).await;
    let id = send(&vendor, &OutboundText::default()).await.unwrap();
    assert_eq!(id, "m-1");
}

#[tokio::test]
async fn a_refusal_as_opted_out_is_told_apart_by_its_code() {
    let vendor = Vendor::saying(400, json!({"errors": [{"code": "40300"}]})).await;
    let error = send(&vendor, &OutboundText::default()).await.unwrap_err();
    assert_eq!(error, VendorError::OptedOut { code: "40300".into() });
}

#[test]
fn without_address_or_key_there_is_no_client() {
    let settings = testkit::texting(None);
    assert!(TextingClient::new(&settings, &testkit::http()).unwrap().is_none());
}

#[tokio::test]
async fn the_key_and_the_words_show_in_no_debug_text() {
    let vendor = Vendor::saying(500, json!({})).await;
    let texting = client(&vendor);
    let error = texting
        .send(
            texting.turn().await.unwrap(),
            &proof(),
            cleared(),
            &OutboundText::default(),
        )
        .await
        .unwrap_err();
    assert!(!format!("{texting:?} {error:?} {error}").contains("secret"));
}

#[tokio::test]
async fn a_probe_sends_nothing_and_any_answer_but_a_refused_key_will_do() {
    for status in [200, 404, 405, 422] {
        let vendor = Vendor::saying(status, json!({"error": {"code": "405"}})).await;
        assert_eq!(client(&vendor).probe().await, Ok(()), "{status}");
        let seen = vendor.last();
        assert_eq!((seen.method.as_str(), seen.body.as_str()), ("GET", ""));
    }
    let vendor = Vendor::saying(401, json!({})).await;
    assert_eq!(client(&vendor).probe().await, Err(VendorError::Unauthorized));
    let vendor = Vendor::saying(503, json!({})).await;
    assert!(matches!(
        client(&vendor).probe().await,
        Err(VendorError::Transient { .. })
    ));
}
