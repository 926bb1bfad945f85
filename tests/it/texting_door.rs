//! The texting vendors' door, through the real listener: what proves nothing
//! stores nothing, what is proved is stored whatever it came as, and nobody is
//! answered what he would take for an order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use crate::support::{STANDARD_KEY, TestApp, post_standard};

const URL: &str = "https://hooks.example.com/api/webhooks/texting";
const TOKEN: &str = "a-token-of-the-tests";
const FORM: &str = "application/x-www-form-urlencoded";

fn request(app: &TestApp, method: Method, tail: &str) -> RequestBuilder {
    let at = format!("{}/api/webhooks/texting{tail}", app.base);
    app.client.request(method, at)
}

async fn told(response: Response) -> (u16, String, String) {
    let content_type = response
        .headers()
        .get("content-type")
        .map(|kind| kind.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    (status, content_type.unwrap_or_default(), response.text().await.unwrap())
}

async fn stored(app: &TestApp) -> Vec<String> {
    let rows = app
        .rows("SELECT payload_json::text AS payload FROM texting_webhook_events ORDER BY seq")
        .await;
    rows.iter()
        .map(|row| row["payload"].as_str().unwrap().to_owned())
        .collect()
}

async fn meter(app: &TestApp, name: &str) -> f64 {
    let text = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_delivery_stores_nothing_and_a_signed_one_is_stored() {
    let key = SigningKey::from_bytes(&[5; 32]);
    let public = STANDARD.encode(key.verifying_key().as_bytes());
    let app = TestApp::start_with(&[("TEXTING_VENDOR", "telnyx"), ("TEXTING_WEBHOOK_SECRET", &public)]).await;
    let body = json!({"data": {"id": "e-1", "event_type": "message.received", "record_type": "event", "payload": {
        "id": "m-1", "direction": "inbound", "text": "Is it still free?",
        "from": {"phone_number": "+16195550133"}, "to": [{"phone_number": "+18585550100"}]}}})
    .to_string();
    let post = |signer: &SigningKey, time: i64, signed: &str, sent: &str| {
        let signature = STANDARD.encode(signer.sign(format!("{time}|{signed}").as_bytes()).to_bytes());
        request(&app, Method::POST, "")
            .header("telnyx-signature-ed25519", signature)
            .header("telnyx-timestamp", time.to_string())
            .header("content-type", "application/json")
            .body(sent.to_owned())
    };
    let now = chrono::Utc::now().timestamp();
    let refused = |reason: &str| format!("texting_refused_total{{vendor=\"telnyx\",reason=\"{reason}\"}}");
    let before = (
        meter(&app, &refused("wrong")).await,
        meter(&app, &refused("stale")).await,
    );
    let other = SigningKey::from_bytes(&[6; 32]);
    let changed = body.replace("free", "flee");
    for forged in [
        post(&other, now, &body, &body),
        post(&key, now, &body, &changed),
        request(&app, Method::POST, "").body(body.clone()),
        request(&app, Method::POST, "")
            .header("X-Texting-Secret", &public)
            .body(body.clone()),
        request(&app, Method::POST, &format!("/{}", public.replace('/', "%2F"))).body(body.clone()),
    ] {
        let (status, _, text) = told(forged.send().await.unwrap()).await;
        assert_eq!((status, text.as_str()), (401, "Unauthorized"));
    }
    // Authentic, so perhaps our own clock is wrong: it may come again.
    for off in [-600, 600] {
        let (status, ..) = told(post(&key, now + off, &body, &body).send().await.unwrap()).await;
        assert_eq!(status, 503);
    }
    assert!(stored(&app).await.is_empty());
    assert!(meter(&app, &refused("wrong")).await >= before.0 + 2.0);
    assert!(meter(&app, &refused("stale")).await >= before.1 + 2.0);
    for message in ["Webhook received", "Duplicate event ignored"] {
        let answer = post(&key, now, &body, &body).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["message"], message);
    }
    let rows = stored(&app).await;
    assert!(rows.len() == 1 && rows[0].contains("Is it still free?"), "{rows:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generic_vendor_may_sign_its_body_instead_of_showing_the_secret() {
    let app = TestApp::start_with(&[("TEXTING_WEBHOOK_SECRET", TOKEN)]).await;
    let body = r#"{"type": "message.received", "message": {"id": "g-1", "from": "+16195550133", "to": "+18585550100", "body": "Hello"}}"#;
    let code = |key: &str| {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    let post = |name: &str, value: &str, body: String| {
        let request = request(&app, Method::POST, "").header(name, value);
        request.header("content-type", "application/json").body(body)
    };
    let signed = code(TOKEN);
    for forged in [
        post("X-Texting-Signature", &code("another-token"), body.to_owned()),
        post("X-Texting-Signature", &signed, body.replace("0133", "0134")),
        post("X-Signature", &signed[..32], body.to_owned()),
        post("X-Texting-Signature", TOKEN, body.to_owned()),
        post("X-Texting-Secret", &signed, body.to_owned()),
    ] {
        assert_eq!(told(forged.send().await.unwrap()).await.0, 401);
    }
    assert!(stored(&app).await.is_empty());
    for (name, value) in [
        ("X-Texting-Signature", signed.as_str()),
        ("X-Signature", &signed),
        ("X-Texting-Secret", TOKEN),
    ] {
        assert_eq!(
            told(post(name, value, body.to_owned()).send().await.unwrap()).await.0,
            200,
            "{name}"
        );
    }
    assert_eq!(stored(&app).await.len(), 1, "one text, however it was proved");
    app.finish().await;
}

fn twilio(text: &str) -> String {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilio_is_answered_nothing_that_it_would_text_to_the_person() {
    let app = TestApp::start_with(&[
        ("TEXTING_VENDOR", "twilio"),
        ("TEXTING_WEBHOOK_SECRET", TOKEN),
        ("TEXTING_PUBLIC_URL", URL),
    ])
    .await;
    let post = |signature: String, body: &str| {
        request(&app, Method::POST, "")
            .header("X-Twilio-Signature", signature)
            .header("content-type", FORM)
            .body(body.to_owned())
    };
    let body = "MessageSid=SM1&From=%2B16195550133&To=%2B18585550100&Body=Hello+%26+welcome&SmsStatus=received";
    let signed = format!("{URL}BodyHello & welcomeFrom+16195550133MessageSidSM1SmsStatusreceivedTo+18585550100");
    let forged = post(twilio(&signed), &body.replace("welcome", "goodbye"));
    assert_eq!(told(forged.send().await.unwrap()).await.0, 401);
    assert!(stored(&app).await.is_empty());
    for _ in 0..2 {
        let (status, kind, text) = told(post(twilio(&signed), body).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str(), text.as_str()), (200, "text/xml", "<Response/>"));
    }
    let rows = stored(&app).await;
    assert!(rows.len() == 1 && rows[0].contains("Hello & welcome"), "{rows:?}");
    // By GET the signature covers the query, and the query is what is stored.
    let get = |signature: String, query: &str| {
        request(&app, Method::GET, &format!("?{query}")).header("X-Twilio-Signature", signature)
    };
    let query = "MessageSid=SM2&From=%2B16195550133&To=%2B18585550100&Body=By+get&SmsStatus=received";
    let signature = twilio(&format!("{URL}?{query}"));
    let forged = get(signature.clone(), &query.replace("get", "set"));
    assert_eq!(told(forged.send().await.unwrap()).await.0, 401);
    let (status, _, text) = told(get(signature, query).send().await.unwrap()).await;
    assert_eq!((status, text.as_str()), (200, "<Response/>"));
    let rows = stored(&app).await;
    assert!(rows.len() == 2 && rows[1].contains("By get"), "{rows:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_signs_nothing_is_known_by_the_path_or_by_basic() {
    let secrets = format!("ann:pass:word,{TOKEN}");
    let app = TestApp::start_with(&[("TEXTING_VENDOR", "bandwidth"), ("TEXTING_WEBHOOK_SECRET", &secrets)]).await;
    let body = |id: &str| {
        json!({"type": "message-received", "time": "2026-11-02T17:20:00Z", "to": "+18585550100", "message": {"id": id,
            "owner": "+18585550100", "direction": "in", "to": ["+18585550100"], "from": "+16195550133", "text": id}})
    };
    let post = |tail: &str, id: &str| request(&app, Method::POST, tail).json(&body(id));
    for wrong in [
        post("", "m-0"),
        post("/another-token-of-the-tests", "m-0"),
        post("/ann:pass:word", "m-0"),
        post("", "m-0").basic_auth("ann", Some("pass")),
        post("", "m-0").bearer_auth(TOKEN),
    ] {
        assert_eq!(told(wrong.send().await.unwrap()).await.0, 401);
    }
    assert!(stored(&app).await.is_empty());
    let by_path = post(&format!("/{TOKEN}"), "m-path").send().await.unwrap();
    let by_basic = post("", "m-basic")
        .basic_auth("ann", Some("pass:word"))
        .send()
        .await
        .unwrap();
    assert_eq!((by_path.status().as_u16(), by_basic.status().as_u16()), (200, 200));
    let rows = stored(&app).await;
    assert!(
        rows.len() == 2 && rows[0].contains("m-path") && rows[1].contains("m-basic"),
        "{rows:?}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_authentic_and_nothing_is_kept_for_a_vendor_that_would_not_send_it_again() {
    let key = [
        ("TEXTING_VENDOR", "simpletexting"),
        ("TEXTING_WEBHOOK_SECRET", STANDARD_KEY),
    ];
    let app = TestApp::start_with(&key).await;
    let post = async |kind: &str, body: &str| {
        let response = post_standard(&app.client, &app.base, kind, body.as_bytes().to_vec()).await;
        told(response).await.0
    };
    assert_eq!(
        post("application/json", "").await,
        200,
        "a look whether somebody is here"
    );
    assert!(stored(&app).await.is_empty());
    assert_eq!(post("application/json", "{\"text\": \"cut of").await, 200);
    let rows = stored(&app).await;
    assert!(
        rows.len() == 1 && rows[0].contains("cut of") && rows[0].contains("unreadable"),
        "{rows:?}"
    );
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nIn parts\r\n--b--\r\n";
    assert_eq!(post("multipart/form-data; boundary=b", multipart).await, 200);
    let rows = stored(&app).await;
    assert!(rows.len() == 2 && rows[1].contains("In parts"), "{rows:?}");
    app.idle().await;
    app.shut_down_quietly().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_the_address_is_answered_and_stores_nothing() {
    let generic = TestApp::start().await;
    let vonage = TestApp::start_with(&[("TEXTING_VENDOR", "vonage"), ("TEXTING_WEBHOOK_SECRET", TOKEN)]).await;
    for (app, get) in [(&generic, 405), (&vonage, 200)] {
        for tail in ["", "/whatever"] {
            let head = request(app, Method::HEAD, tail).send().await.unwrap();
            assert_eq!(head.status().as_u16(), 200);
            assert_eq!(told(request(app, Method::GET, tail).send().await.unwrap()).await.0, get);
        }
        let unsigned = request(
            app,
            Method::GET,
            "?msisdn=16195550133&to=18585550100&text=START&messageId=1",
        );
        assert_eq!(
            told(unsigned.send().await.unwrap()).await.0,
            if get == 200 { 401 } else { 405 }
        );
        assert_eq!(told(request(app, Method::PUT, "").send().await.unwrap()).await.0, 405);
        assert!(stored(app).await.is_empty());
    }
    let broken = request(&generic, Method::POST, "").header("X-Texting-Secret", crate::support::TEXTING_SECRET);
    assert_eq!(
        told(broken.body("{\"type\":").send().await.unwrap()).await.0,
        400,
        "the generic vendor is told"
    );
    assert!(stored(&generic).await.is_empty());
    generic.finish().await;
    vonage.finish().await;
}
