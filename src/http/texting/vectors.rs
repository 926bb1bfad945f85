//! The published test vectors, where the workshop keeps them: they are not ours
//! to ship, so without the folder these tests only say so.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::testkit::{Delivery, texting_at};
use super::{Refusal, testkit};

struct Vectors {
    folder: PathBuf,
    all: Value,
}

impl Vectors {
    fn open() -> Option<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut folders = here.map(|folder| folder.join("shared/contracts/texting"));
        let Some(folder) = folders.find(|folder| folder.join("signatures.json").is_file()) else {
            eprintln!("skipped: no shared/contracts/texting/signatures.json above the crate");
            return None;
        };
        let text = std::fs::read(folder.join("signatures.json")).unwrap();
        let all = serde_json::from_slice(&text).unwrap();
        Some(Self { folder, all })
    }

    fn text(&self, pointer: &str) -> &str {
        self.all
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer}"))
    }

    fn file(&self, scheme: &str) -> Delivery {
        let name = self.text(&format!("/{scheme}/file"));
        Delivery::post(std::fs::read(self.folder.join(name)).unwrap())
    }
}

/// Passes at its time, under its key; not a bit beside, not an hour later.
#[track_caller]
fn holds(delivery: &Delivery, vendor: &str, secret: &str, url: &str, time: Option<i64>) {
    let settings = texting_at(vendor, secret, url);
    let now = time.unwrap_or(testkit::NOW);
    let outcome = delivery.judged(&settings, now);
    assert!(outcome.is_ok(), "{vendor}: {outcome:?}");
    for (at, _) in delivery.headers.iter().enumerate() {
        let mut forged = delivery.clone();
        forged.headers[at].1.replace_range(9..10, "*");
        assert!(forged.judged(&settings, now).is_err(), "{vendor}: {forged:?}");
        forged.headers[at].1.truncate(8);
        assert!(forged.judged(&settings, now).is_err(), "{vendor}: {forged:?}");
    }
    let mut tampered = delivery.clone();
    if let Some(last) = tampered
        .body
        .as_mut()
        .and_then(|body| body.iter_mut().rfind(|byte| byte.is_ascii_digit()))
    {
        *last ^= 1;
        assert!(tampered.judged(&settings, now).is_err(), "{vendor}: a body was changed");
    }
    if time.is_some() {
        assert_eq!(
            delivery.judged(&settings, now + 3_600).err(),
            Some(Refusal::Stale),
            "{vendor}"
        );
    }
}

const TIME: i64 = 1_766_757_602;

#[test]
fn the_vectors_of_vendors_that_sign_the_url_hold() {
    let Some(v) = Vectors::open() else { return };
    let url = v.text("/twilio/url");
    let query = url.split_once('?').unwrap().1;
    let twilio = v
        .file("twilio")
        .at(query)
        .with("x-twilio-signature", v.text("/twilio/header/X-Twilio-Signature"));
    holds(&twilio, "twilio", v.text("/twilio/auth_token"), url, None);
    let blank = Delivery::post("A=2&A=1&Body=&A=2").with("x-twilio-signature", v.text("/twilio_empty_param/signature"));
    holds(
        &blank,
        "twilio",
        v.text("/twilio_empty_param/auth_token"),
        v.text("/twilio_empty_param/url"),
        None,
    );
    let url = v.text("/twilio_json/url");
    let json = Delivery::post(v.text("/twilio_json/body"))
        .at(url.split_once('?').unwrap().1)
        .with("x-twilio-signature", v.text("/twilio_json/signature"));
    holds(&json, "twilio", v.text("/twilio_json/auth_token"), url, None);
    for (header, nonce, at) in [
        (
            "x-plivo-signature-v3",
            "x-plivo-signature-v3-nonce",
            "/plivo/v3/signature",
        ),
        (
            "x-plivo-signature-ma-v3",
            "x-plivo-signature-v3-nonce",
            "/plivo/v3/signature",
        ),
    ] {
        let plivo = v
            .file("plivo")
            .with(header, v.text(at))
            .with(nonce, v.text("/plivo/nonce"));
        holds(&plivo, "plivo", v.text("/plivo/auth_token"), v.text("/plivo/url"), None);
    }
    // V2 covers no body.
    let v2 = Delivery::post("")
        .with("x-plivo-signature-v2", v.text("/plivo/v2/signature"))
        .with("x-plivo-signature-v2-nonce", v.text("/plivo/nonce"));
    holds(&v2, "plivo", v.text("/plivo/auth_token"), v.text("/plivo/url"), None);
    let token = v
        .file("messagebird_jwt")
        .with("messagebird-signature-jwt", v.text("/messagebird_jwt/jwt"));
    holds(
        &token,
        "messagebird",
        v.text("/messagebird_jwt/secret"),
        v.text("/messagebird_jwt/url"),
        Some(TIME),
    );
    let bird = v
        .file("bird")
        .with("messagebird-signature", v.text("/bird/messagebird-signature"))
        .with(
            "messagebird-request-timestamp",
            v.text("/bird/messagebird-request-timestamp"),
        );
    holds(
        &bird,
        "messagebird",
        v.text("/bird/signing_key"),
        v.text("/bird/url"),
        Some(TIME),
    );
}

#[test]
fn the_vectors_of_vendors_that_sign_the_body_hold() {
    let Some(v) = Vectors::open() else { return };
    let (telnyx, sinch) = (v.file("telnyx"), v.file("sinch"));
    let telnyx = ["telnyx-signature-ed25519", "telnyx-timestamp"]
        .into_iter()
        .fold(telnyx, |delivery, name| {
            delivery.with(name, v.text(&format!("/telnyx/{name}")))
        });
    holds(
        &telnyx,
        "telnyx",
        v.text("/telnyx/public_key_base64"),
        testkit::URL,
        Some(TIME),
    );
    let sinch = [
        "x-sinch-webhook-signature",
        "x-sinch-webhook-signature-nonce",
        "x-sinch-webhook-signature-timestamp",
    ]
    .into_iter()
    .fold(sinch, |delivery, name| {
        delivery.with(name, v.text(&format!("/sinch/{name}")))
    });
    holds(&sinch, "sinch", v.text("/sinch/secret"), testkit::URL, Some(TIME));
    for name in ["x-texting-signature", "x-signature"] {
        let code = v.text("/seed_hmac/signature_hex");
        let generic = v.file("seed_hmac").with(name, code);
        holds(&generic, "generic", v.text("/seed_hmac/secret"), testkit::URL, None);
    }
    let standard = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .fold(v.file("standard_webhooks"), |delivery, name| {
            delivery.with(name, v.text(&format!("/standard_webhooks/{name}")))
        });
    for vendor in ["generic", "telnyx", "simpletexting"] {
        holds(
            &standard,
            vendor,
            v.text("/standard_webhooks/secret"),
            testkit::URL,
            Some(TIME),
        );
    }
    let bearer = format!("Bearer {}", v.text("/vonage_jwt/jwt"));
    let vonage = v.file("vonage_jwt").with("authorization", bearer);
    holds(
        &vonage,
        "vonage",
        v.text("/vonage_jwt/signature_secret"),
        testkit::URL,
        Some(TIME),
    );
}

#[test]
fn the_vectors_of_vonages_parameters_hold_in_both_methods() {
    let Some(v) = Vectors::open() else { return };
    let body = v.file("vonage_smsapi_sig").body.unwrap();
    for method in ["sha256hmac_hex", "md5hash_hex"] {
        let mut sms: Value = serde_json::from_slice(&body).unwrap();
        sms["sig"] = v.text(&format!("/vonage_smsapi_sig/{method}")).into();
        let time = sms["timestamp"].as_str().unwrap().parse().unwrap();
        let secret = v.text("/vonage_smsapi_sig/signature_secret");
        holds(
            &Delivery::post(sms.to_string()),
            "vonage",
            secret,
            testkit::URL,
            Some(time),
        );
    }
}
