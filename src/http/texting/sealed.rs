//! A delivery beside all that its proof may rest on, and the few operations
//! that the vendors' schemes are made of.

use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Position, Url};

use super::{Carrier, Knock, Refusal, Texting, TextingProof};

/// How far a signed time may be from ours.
pub(super) const WINDOW: i64 = 300;
/// Most signatures that one header may list.
pub(super) const LONGEST_LIST: usize = 16;

/// A delivery that is not proved yet.
#[derive(Debug)]
pub(super) struct Sealed<'r> {
    headers: &'r HeaderMap,
    query: &'r str,
    pub(super) path_secret: Option<&'r str>,
    pub(super) carrier: Carrier,
    /// The raw body; that of a `GET` is not looked at.
    pub(super) body: &'r [u8],
    pub(super) proofs: &'r [TextingProof],
    public_url: Option<&'r Url>,
    /// Seconds of the epoch.
    pub(super) now: i64,
}

impl<'r> Sealed<'r> {
    pub(super) fn new(knock: Knock<'r>, body: &'r [u8], texting: &'r Texting, now: DateTime<Utc>) -> Self {
        Self {
            headers: knock.headers,
            query: knock.query,
            path_secret: knock.path_secret,
            carrier: knock.carrier,
            body: if knock.carrier == Carrier::Body { body } else { b"" },
            proofs: &texting.webhook_secrets,
            public_url: texting.public_url.as_ref(),
            now: now.timestamp(),
        }
    }

    /// A header's value; one that stands twice is nobody's.
    pub(super) fn header(&self, name: &str) -> Result<&'r [u8], Refusal> {
        let mut values = self.headers.get_all(name).map(|value| value.as_bytes().trim_ascii());
        match (values.next(), values.next()) {
            (None | Some([]), None) => Err(Refusal::Missing),
            (Some(value), None) => Ok(value),
            (_, Some(_)) => Err(Refusal::Malformed),
        }
    }

    /// A header's value as text.
    pub(super) fn text(&self, name: &str) -> Result<&'r str, Refusal> {
        std::str::from_utf8(self.header(name)?).map_err(|_| Refusal::Malformed)
    }

    /// A header's value out of Base64.
    pub(super) fn base64(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        STANDARD.decode(self.header(name)?).map_err(|_| Refusal::Malformed)
    }

    /// Whether one of the shared secrets makes the same code over `parts`.
    pub(super) fn is_mac<M: Mac + KeyInit>(&self, code: &[u8], parts: &[&[u8]]) -> bool {
        self.shared()
            .any(|secret| is_mac::<M>(secret.expose_secret().as_bytes(), code, parts))
    }

    /// The shared secrets.
    pub(super) fn shared(&self) -> impl Iterator<Item = &'r SecretString> {
        self.proofs.iter().filter_map(|proof| match proof {
            TextingProof::Shared(secret) => Some(secret),
            _ => None,
        })
    }

    /// The query as the vendor sent it; the configured one where a proxy ate it.
    pub(super) fn query(&self) -> &'r str {
        let configured = self.public_url.and_then(Url::query);
        if self.query.is_empty() {
            configured.unwrap_or_default()
        } else {
            self.query
        }
    }

    /// The URL the vendor called, up to its query: as configured, and without
    /// and with its port, for vendors are of two minds about that.
    pub(super) fn addresses(&self) -> Result<Vec<String>, Refusal> {
        let url = self.public_url.ok_or(Refusal::Unset)?;
        let (host, path) = (
            &url[..Position::AfterHost],
            &url[Position::BeforePath..Position::AfterPath],
        );
        let mut addresses = vec![format!("{host}{path}")];
        if let Some(port) = url.port_or_known_default() {
            addresses.push(format!("{host}:{port}{path}"));
        }
        Ok(addresses)
    }

    /// The same with the query.
    pub(super) fn urls(&self) -> Result<Vec<String>, Refusal> {
        let mut urls = self.addresses()?;
        if !self.query().is_empty() {
            for url in &mut urls {
                url.push('?');
                url.push_str(self.query());
            }
        }
        Ok(urls)
    }

    /// Whether a signed time is near enough to ours.
    pub(super) fn is_fresh(&self, time: i64) -> Result<(), Refusal> {
        if self.now.abs_diff(time) <= WINDOW.unsigned_abs() {
            Ok(())
        } else {
            Err(Refusal::Stale)
        }
    }

    /// Whether `digest` is the hexadecimal SHA-256 of the body.
    pub(super) fn is_body_hash(&self, digest: &str) -> bool {
        is_sha256(digest, self.body)
    }
}

/// Seconds of the epoch as text.
pub(super) fn seconds(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::Malformed)
}

/// Whether `key` makes the same code over `parts`; an empty key makes none.
pub(super) fn is_mac<M: Mac + KeyInit>(key: &[u8], code: &[u8], parts: &[&[u8]]) -> bool {
    !key.is_empty()
        && M::new_from_slice(key).is_ok_and(|mut mac| {
            parts.iter().for_each(|part| mac.update(part));
            mac.verify_slice(code).is_ok()
        })
}

/// Whether `key` signed `message`.
pub(super) fn is_signed(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (key, signature) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature));
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_strict(message, &signature).is_ok())
}

/// Whether `digest` is the hexadecimal SHA-256 of `content`.
pub(super) fn is_sha256(digest: &str, content: &[u8]) -> bool {
    let given = hex::decode(digest).unwrap_or_default();
    Sha256::digest(content).as_slice().ct_eq(&given).into()
}

/// `true` is proof, `false` is not.
pub(super) fn proved(fits: bool) -> Result<(), Refusal> {
    if fits { Ok(()) } else { Err(Refusal::Wrong) }
}
