//! What becomes of each transport, and of none.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::transport::{to_json, unreadable};
use super::{Carrier, Verified};

const FORM: &str = "application/x-www-form-urlencoded";

fn delivery(carrier: Carrier, content: impl Into<Vec<u8>>) -> Verified {
    let content = Bytes::from(content.into());
    Verified { content, carrier }
}

async fn body(content_type: &str, content: impl Into<Vec<u8>>) -> Bytes {
    to_json(&delivery(Carrier::Body, content), content_type).await
}

async fn read(content_type: &str, content: impl Into<Vec<u8>>) -> Value {
    serde_json::from_slice(&body(content_type, content).await).unwrap()
}

#[actix_web::test]
async fn json_stays_as_it_is_whatever_its_content_type_says() {
    for text in [
        r#" { "a" : "x=y", "big": 12345678901234567890123 }"#,
        r#"[{"a":1}]"#,
        "null",
        r#""a=b""#,
    ] {
        for content_type in [
            "application/json",
            FORM,
            "multipart/form-data; boundary=b",
            "text/plain",
            "",
        ] {
            assert_eq!(body(content_type, text).await, text, "{content_type}");
        }
    }
}

#[actix_web::test]
async fn a_form_is_a_flat_object_of_texts_whatever_its_content_type_says() {
    let form = "Body=Hello+%26+%C3%A9&A=1&A=2&City=&A=3&price%5Bamount%5D=0.1\r\n";
    let wanted = json!({"Body": "Hello & é", "A": ["1", "2", "3"], "City": "", "price[amount]": "0.1"});
    for content_type in [
        FORM,
        "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        "application/json",
        "",
    ] {
        assert_eq!(read(content_type, form).await, wanted, "{content_type}");
    }
    assert_eq!(
        read(FORM, "Text=not quite encoded").await,
        json!({"Text": "not quite encoded"})
    );
}

#[actix_web::test]
async fn a_query_is_read_as_a_form_is() {
    let query = delivery(Carrier::Query, "msisdn=16195550111&text=STOP+it&n=1&n=2");
    let read: Value = serde_json::from_slice(&to_json(&query, "application/json").await).unwrap();
    assert_eq!(
        read,
        json!({"msisdn": "16195550111", "text": "STOP it", "n": ["1", "2"]})
    );
}

#[actix_web::test]
async fn of_a_multipart_form_the_texts_are_kept_and_the_files_left() {
    let parts = [
        "Content-Disposition: form-data; name=\"text\"\r\n\r\nSTOP = now",
        "Content-Disposition: form-data; name=\"to\"\r\n\r\n1",
        "Content-Disposition: form-data; name=\"to\"\r\n\r\n2",
        "Content-Disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\u{1}\u{2}",
    ];
    let whole: String = parts.iter().map(|part| format!("--b1\r\n{part}\r\n")).collect();
    let content_type = "multipart/form-data; boundary=\"b1\"";
    let read = read(content_type, format!("{whole}--b1--\r\n")).await;
    assert_eq!(read, json!({"text": "STOP = now", "to": ["1", "2"]}));
    let cut = whole.replace("form-data", "form-dat");
    assert_eq!(
        body(content_type, cut.clone()).await,
        cut,
        "what is broken stays as it came"
    );
}

#[actix_web::test]
async fn what_is_nothing_stays_as_it_came_and_is_kept_within_bounds() {
    for (content_type, text) in [
        (FORM, "{\"a\": "),
        (FORM, "no form"),
        ("", "<x a=\"b\"/>"),
        ("", "two words=3"),
        (FORM, ""),
    ] {
        assert_eq!(body(content_type, text).await, text);
    }
    let odd = delivery(Carrier::Body, [&b"caf\xe9 "[..], &[b'x'; 100_000]].concat());
    let kept: Value = serde_json::from_slice(&unreadable(&odd)).unwrap();
    let text = kept["unreadable"].as_str().unwrap();
    assert!(text.starts_with("caf\u{fffd} x") && text.len() < 70_000);
}

proptest! {
    #[test]
    fn no_body_brings_the_reader_down(
        content in prop::collection::vec(any::<u8>(), 0..300),
        content_type in "application/json|application/x-www-form-urlencoded|multipart/form-data; boundary=[a-z\"]{0,4}|[ -~]{0,40}",
        multipart in any::<bool>(),
    ) {
        let content = if multipart { [b"--b\r\n", &content[..], b"\r\n--b--"].concat() } else { content };
        let verified = delivery(Carrier::Body, content.clone());
        let read = futures_util::FutureExt::now_or_never(to_json(&verified, &content_type)).expect("waits for nobody");
        prop_assert!(read == content || serde_json::from_slice::<Value>(&read).is_ok());
        let kept: Value = serde_json::from_slice(&unreadable(&verified)).unwrap();
        prop_assert!(kept["unreadable"].is_string());
    }
}
