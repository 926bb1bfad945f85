//! Vonage: a token that names the body's hash (Messages API), or `sig` among
//! the parameters (SMS API). Both sign a time.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use url::form_urlencoded::parse;

use super::sealed::{Sealed, proved, seconds};
use super::{Carrier, Refusal, jwt};

/// What the token says; the parameters of a `GET` it says nothing of.
#[derive(Deserialize)]
struct Claims {
    iat: i64,
    payload_hash: String,
}

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    match sealed.text("authorization") {
        Ok(header) if sealed.carrier == Carrier::Body => token(sealed, header),
        Ok(_) | Err(Refusal::Missing) => parameters(sealed),
        Err(refusal) => Err(refusal),
    }
}

fn token(sealed: &Sealed<'_>, header: &str) -> Result<(), Refusal> {
    let (scheme, token) = header.split_once(' ').ok_or(Refusal::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Malformed);
    }
    let claims: Claims = jwt::claims(sealed, token.trim())?;
    // A token is good for one body only; Vonage's own library forgets to look.
    proved(sealed.is_body_hash(&claims.payload_hash))?;
    sealed.is_fresh(claims.iat)
}

fn parameters(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let mut pairs = match sealed.carrier {
        Carrier::Query => form(sealed.query().as_bytes()),
        Carrier::Body => match serde_json::from_slice(sealed.body) {
            Ok(map) => flat(map)?,
            Err(_) => form(sealed.body),
        },
    };
    pairs.sort();
    let one = |name| {
        let mut values = pairs
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (None | Some(""), None) => Err(Refusal::Missing),
            (Some(value), None) => Ok(value),
            (_, Some(_)) => Err(Refusal::Malformed),
        }
    };
    let signature = hex::decode(one("sig")?).map_err(|_| Refusal::Malformed)?;
    let time = seconds(one("timestamp")?)?;
    let mut signed = String::new();
    for (name, value) in pairs.iter().filter(|(name, _)| name != "sig") {
        signed.push_str(&format!("&{}={}", plain(name), plain(value)));
    }
    proved(is_sig(sealed, &signature, signed.as_bytes()))?;
    sealed.is_fresh(time)
}

/// The two signs that would move the border between parameters.
fn plain(text: &str) -> String {
    text.replace(['&', '='], "_")
}

/// Which of its five algorithms an account uses shows in the length, but for
/// the two of MD5.
fn is_sig(sealed: &Sealed<'_>, signature: &[u8], signed: &[u8]) -> bool {
    match signature.len() {
        16 => is_md5(sealed, signature, signed) || is_hmac::<Hmac<Md5>>(sealed, signature, signed),
        20 => is_hmac::<Hmac<Sha1>>(sealed, signature, signed),
        32 => is_hmac::<Hmac<Sha256>>(sealed, signature, signed),
        64 => is_hmac::<Hmac<Sha512>>(sealed, signature, signed),
        _ => false,
    }
}

fn is_hmac<M: Mac + KeyInit>(sealed: &Sealed<'_>, signature: &[u8], signed: &[u8]) -> bool {
    sealed.is_mac::<M>(signature, &[signed])
}

/// The account's default: MD5 over parameters and secret.
fn is_md5(sealed: &Sealed<'_>, signature: &[u8], signed: &[u8]) -> bool {
    sealed.shared().any(|secret| {
        let digest = Md5::new().chain_update(signed).chain_update(secret.expose_secret());
        digest.finalize().as_slice().ct_eq(signature).into()
    })
}

fn form(encoded: &[u8]) -> Vec<(String, String)> {
    parse(encoded).into_owned().collect()
}

/// A JSON object as parameters; one that nests has none.
fn flat(map: Map<String, Value>) -> Result<Vec<(String, String)>, Refusal> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Refusal::Missing),
    };
    map.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect()
}
