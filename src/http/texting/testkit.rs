//! Deliveries signed as each vendor signs them, with keys made for these tests,
//! by code that shares nothing with the verifiers but the hash functions.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Carrier, Knock, Refusal, Verified, may_pass, verify};
use crate::config::Texting;
use crate::http::testkit::settings;

/// When everything here is signed.
pub(super) const NOW: i64 = 1_790_000_000;
pub(super) const URL: &str = "https://hooks.example.com/api/webhooks/texting";
pub(super) const SECRET: &str = "a-secret-of-the-tests";
pub(super) const FORM: &str = "To=%2B18585550100&From=%2B16195550111&Body=Hello+%26+welcome&City=&MessageUUID=u-1";
pub(super) const JSON: &str = r#"{"id":"m-1","from":"16195550111","text":"STOP"}"#;

/// A request of somebody's.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) query: String,
    pub(super) path_secret: Option<String>,
    /// `None`: a GET.
    pub(super) body: Option<Vec<u8>>,
}

impl Delivery {
    pub(super) fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..Self::default()
        }
    }

    pub(super) fn get(query: &str) -> Self {
        Self {
            query: query.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn at(mut self, query: &str) -> Self {
        self.query = query.to_owned();
        self
    }

    /// Judged at a time. What `verify` takes, `may_pass` must have let through.
    pub(super) fn judged(&self, texting: &Texting, now: i64) -> Result<Verified, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Refusal::Malformed)?;
            headers.append(HeaderName::from_static(name), value);
        }
        let knock = Knock {
            headers: &headers,
            query: &self.query,
            path_secret: self.path_secret.as_deref(),
            carrier: if self.body.is_some() {
                Carrier::Body
            } else {
                Carrier::Query
            },
        };
        let now = DateTime::<Utc>::from_timestamp(now, 0).unwrap();
        let early = may_pass(knock, texting, now);
        let body = Bytes::from(self.body.clone().unwrap_or_default());
        let outcome = verify(knock, body, texting, now);
        assert!(
            early.is_ok() || outcome.is_err(),
            "{early:?} stands in the way of {self:?}"
        );
        outcome
    }
}

/// Settings of a vendor.
pub(super) fn texting(vendor: &str, secret: &str) -> Texting {
    texting_at(vendor, secret, URL)
}

pub(super) fn texting_at(vendor: &str, secret: &str, url: &str) -> Texting {
    settings(&[
        ("TEXTING_VENDOR", vendor),
        ("TEXTING_WEBHOOK_SECRET", secret),
        ("TEXTING_PUBLIC_URL", url),
    ])
    .texting
}

fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn sha1(secret: &str, text: &str) -> String {
    STANDARD.encode(mac::<Hmac<Sha1>>(secret.as_bytes(), text.as_bytes()))
}

pub(super) fn sha256(secret: &[u8], text: &[u8]) -> String {
    STANDARD.encode(mac::<Hmac<Sha256>>(secret, text))
}

pub(super) fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn public(seed: u8) -> String {
    STANDARD.encode(key(seed).verifying_key().as_bytes())
}

pub(super) fn telnyx(seed: u8) -> Delivery {
    let signature = key(seed).sign(format!("{NOW}|{JSON}").as_bytes());
    Delivery::post(JSON)
        .with("telnyx-signature-ed25519", STANDARD.encode(signature.to_bytes()))
        .with("telnyx-timestamp", NOW.to_string())
}

/// What Twilio signs of [`FORM`] after the URL.
pub(super) const TWILIO_FORM: &str = "BodyHello & welcomeCityFrom+16195550111MessageUUIDu-1To+18585550100";

pub(super) fn twilio(secret: &str, url: &str) -> Delivery {
    Delivery::post(FORM).with("x-twilio-signature", sha1(secret, &format!("{url}{TWILIO_FORM}")))
}

pub(super) fn twilio_json(secret: &str) -> Delivery {
    let query = format!("bodySHA256={}", hash(JSON.as_bytes()));
    Delivery::post(JSON)
        .at(&query)
        .with("x-twilio-signature", sha1(secret, &format!("{URL}?{query}")))
}

pub(super) fn twilio_get(secret: &str) -> Delivery {
    Delivery::get(FORM).with("x-twilio-signature", sha1(secret, &format!("{URL}?{FORM}")))
}

pub(super) fn plivo_v2(secret: &str) -> Delivery {
    Delivery::post(FORM)
        .with(
            "x-plivo-signature-v2",
            sha256(secret.as_bytes(), format!("{URL}n-2").as_bytes()),
        )
        .with("x-plivo-signature-v2-nonce", "n-2")
}

pub(super) fn plivo_v3(secret: &str, header: &'static str, query: &str) -> Delivery {
    let middle = if query.is_empty() { "?" } else { "?a=1&b=2." };
    let signed = format!("{URL}{middle}{TWILIO_FORM}.n-3");
    Delivery::post(FORM)
        .at(query)
        .with(header, sha256(secret.as_bytes(), signed.as_bytes()))
        .with("x-plivo-signature-v3-nonce", "n-3")
}

pub(super) fn plivo_v3_get(secret: &str) -> Delivery {
    let signed = format!("{URL}?From=16195550111&Text=STOP now.n-3");
    Delivery::get("Text=STOP+now&From=16195550111")
        .with("x-plivo-signature-v3", sha256(secret.as_bytes(), signed.as_bytes()))
        .with("x-plivo-signature-v3-nonce", "n-3")
}

pub(super) fn sinch(secret: &str) -> Delivery {
    let signed = format!("{JSON}.n-4.{NOW}");
    Delivery::post(JSON)
        .with(
            "x-sinch-webhook-signature",
            sha256(secret.as_bytes(), signed.as_bytes()),
        )
        .with("x-sinch-webhook-signature-nonce", "n-4")
        .with("x-sinch-webhook-signature-timestamp", NOW.to_string())
}

pub(super) fn generic_code(secret: &str, header: &'static str) -> Delivery {
    let code = STANDARD.decode(sha256(secret.as_bytes(), JSON.as_bytes())).unwrap();
    Delivery::post(JSON).with(header, hex::encode(code))
}

pub(super) fn basic(pair: &str) -> Delivery {
    Delivery::post(JSON).with("authorization", format!("Basic {}", STANDARD.encode(pair)))
}

pub(super) fn by_path(secret: &str) -> Delivery {
    Delivery {
        path_secret: Some(secret.to_owned()),
        ..Delivery::post(JSON)
    }
}

pub(super) fn jwt(secret: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = mac::<Hmac<Sha256>>(secret.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(super) fn hs256() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

pub(super) fn vonage_jwt(secret: &str) -> Delivery {
    let claims = json!({"iss": "Vonage", "iat": NOW, "payload_hash": hash(JSON.as_bytes()), "api_key": "k"});
    Delivery::post(JSON).with("authorization", format!("Bearer {}", jwt(secret, &hs256(), &claims)))
}

/// What Vonage's SMS API signs of its parameters.
const VONAGE_PARAMETERS: &str = "&api-key=k&msisdn=16195550111&text=you _ me_ fine&timestamp=1790000000";

pub(super) fn vonage_sig(method: &str, secret: &str) -> String {
    let (key, text) = (secret.as_bytes(), VONAGE_PARAMETERS.as_bytes());
    hex::encode(match method {
        "md5hash" => Md5::digest(format!("{VONAGE_PARAMETERS}{secret}")).to_vec(),
        "md5" => mac::<Hmac<Md5>>(key, text),
        "sha1" => mac::<Hmac<Sha1>>(key, text),
        "sha256" => mac::<Hmac<Sha256>>(key, text),
        _ => mac::<Hmac<Sha512>>(key, text),
    })
}

pub(super) fn vonage_query(sig: &str) -> String {
    format!("text=you+%26+me%3D+fine&msisdn=16195550111&sig={sig}&api-key=k&timestamp={NOW}")
}

pub(super) fn vonage_json(sig: &str) -> Delivery {
    let body = json!({"text": "you & me= fine", "msisdn": "16195550111", "api-key": "k", "timestamp": NOW, "sig": sig});
    Delivery::post(body.to_string())
}

pub(super) fn messagebird_claims(url: &str, body: Option<&[u8]>) -> Value {
    let mut claims = json!({"iss": "MessageBird", "nbf": NOW, "iat": NOW, "exp": NOW + 60, "jti": "j-1",
        "url_hash": hash(url.as_bytes())});
    if let Some(body) = body {
        claims["payload_hash"] = hash(body).into();
    }
    claims
}

pub(super) fn messagebird(secret: &str) -> Delivery {
    let claims = messagebird_claims(URL, Some(JSON.as_bytes()));
    Delivery::post(JSON).with("messagebird-signature-jwt", jwt(secret, &hs256(), &claims))
}

pub(super) fn messagebird_get(secret: &str) -> Delivery {
    let query = "id=m-1&status=delivered&price%5Bamount%5D=0.1";
    let claims = messagebird_claims(&format!("{URL}?{query}"), None);
    Delivery::get(query).with("messagebird-signature-jwt", jwt(secret, &hs256(), &claims))
}

pub(super) fn bird(secret: &str) -> Delivery {
    let mut signed = format!("{NOW}\n{URL}\n").into_bytes();
    signed.extend(Sha256::digest(JSON));
    Delivery::post(JSON)
        .with("messagebird-signature", sha256(secret.as_bytes(), &signed))
        .with("messagebird-request-timestamp", NOW.to_string())
}

/// Signed with each of `keys`: `v1` with a secret, `v1a` with a seed.
pub(super) fn standard(keys: &[Result<&[u8], u8>]) -> Delivery {
    let signed = format!("msg-1.{NOW}.{JSON}");
    let signatures: Vec<String> = keys
        .iter()
        .map(|kind| match kind {
            Ok(secret) => format!("v1,{}", sha256(secret, signed.as_bytes())),
            Err(seed) => format!("v1a,{}", STANDARD.encode(key(*seed).sign(signed.as_bytes()).to_bytes())),
        })
        .collect();
    Delivery::post(JSON)
        .with("webhook-id", "msg-1")
        .with("webhook-timestamp", NOW.to_string())
        .with("webhook-signature", signatures.join(" "))
}

/// The setting of a `v1` key.
pub(super) fn standard_secret(seed: u8) -> String {
    format!("whsec_{}", STANDARD.encode([seed; 32]))
}
