//! Proof that a body came from GHL: its Ed25519 signature over the raw bytes,
//! a shared-secret HMAC, or the secret in the path for workflow webhooks,
//! which can sign nothing.

use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::auth::same;
use crate::config::Ghl;

/// The two headers a signature may stand in.
const HEADERS: [&str; 2] = ["x-ghl-signature", "signature"];

/// A body whose sender was proved. Nothing else is ingested as GHL's.
///
/// ```compile_fail
/// let forged = df_middleware::http::signature::Verified { body: bytes::Bytes::new() };
/// ```
#[derive(Debug)]
pub struct Verified {
    body: Bytes,
}

impl Verified {
    /// The raw bytes, as they were signed.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// The sender was not proved. Which part failed is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unauthorized")]
pub struct Unproved;

/// Which proof a door asks for.
#[derive(Clone, Copy, Debug)]
pub enum Door<'a> {
    /// `/api/webhooks/ghl`: a signature, unless the settings waive it.
    Plain,
    /// `/api/webhooks/ghl/{secret}`: a signature or this path secret.
    Secret(&'a str),
    /// Provider delivery: a signature, whatever the settings say.
    Signed,
}

/// Whether it is worth reading the body at all.
pub fn may_pass(headers: &HeaderMap, door: Door<'_>, settings: &Ghl) -> bool {
    signatures(headers).next().is_some() || unsigned_passes(door, settings)
}

/// Checks the raw body against the request's headers and its door. A wrong
/// signature is refused even where none was needed.
///
/// # Errors
/// [`Unproved`].
pub fn verify(headers: &HeaderMap, body: Bytes, door: Door<'_>, settings: &Ghl) -> Result<Verified, Unproved> {
    let mut signed = signatures(headers).peekable();
    let proved = if signed.peek().is_some() {
        signed.any(|signature| is_valid(signature, &body, settings))
    } else {
        unsigned_passes(door, settings)
    };
    if proved { Ok(Verified { body }) } else { Err(Unproved) }
}

fn unsigned_passes(door: Door<'_>, settings: &Ghl) -> bool {
    match door {
        Door::Plain => !settings.webhook_require_signature,
        Door::Secret(given) => {
            let secret = settings.webhook_secret.as_ref();
            secret.is_some_and(|secret| same(given.as_bytes(), secret).into())
        }
        Door::Signed => false,
    }
}

/// The signatures given; GHL was seen to send the text `N/A` for none.
fn signatures(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    HEADERS
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        // A value that is no text is a wrong signature, not a missing one.
        .map(|value| value.to_str().unwrap_or("?").trim())
        .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("n/a"))
}

/// Tells the two kinds apart by their shape: 32 bytes in hex are an HMAC,
/// 64 bytes in base64 an Ed25519 signature.
fn is_valid(signature: &str, body: &[u8], settings: &Ghl) -> bool {
    let plain = match signature.split_at_checked(7) {
        Some((head, rest)) if head.eq_ignore_ascii_case("sha256=") => rest,
        _ => signature,
    };
    if let Some(mac) = hex_digest(plain) {
        return settings
            .webhook_secret
            .as_ref()
            .is_some_and(|secret| is_hmac(&mac, body, secret));
    }
    let decoded = STANDARD
        .decode(signature)
        .or_else(|_| STANDARD_NO_PAD.decode(signature));
    decoded.is_ok_and(|bytes| is_ed25519(&bytes, body, &settings.webhook_public_keys))
}

fn hex_digest(text: &str) -> Option<[u8; 32]> {
    let mut mac = [0u8; 32];
    hex::decode_to_slice(text, &mut mac).ok()?;
    Some(mac)
}

fn is_hmac(mac: &[u8; 32], body: &[u8], secret: &SecretString) -> bool {
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() {
        return false;
    }
    Hmac::<Sha256>::new_from_slice(secret).is_ok_and(|mut hmac| {
        hmac.update(body);
        hmac.verify_slice(mac).is_ok()
    })
}

fn is_ed25519(signature: &[u8], body: &[u8], keys: &[[u8; 32]]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    keys.iter()
        .filter_map(|key| VerifyingKey::from_bytes(key).ok())
        .any(|key| key.verify_strict(body, &signature).is_ok())
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
