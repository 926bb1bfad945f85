//! MessageBird: a token that names the hashes of URL and body, or Bird's HMAC
//! over time, URL and body's hash.

use hmac::Hmac;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::sealed::{Sealed, WINDOW, is_sha256, proved, seconds};
use super::{Refusal, jwt};

/// The token's header.
pub(super) const JWT: &str = "messagebird-signature-jwt";
/// The header of Bird's signature.
pub(super) const SIGNATURE: &str = "messagebird-signature";
/// How long past its end a token is still taken.
const LEEWAY: i64 = 5;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: i64,
    nbf: Option<i64>,
    url_hash: String,
    payload_hash: Option<String>,
}

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    match sealed.text(JWT) {
        Ok(jwt) => token(sealed, jwt),
        Err(Refusal::Missing) => bird(sealed),
        Err(refusal) => Err(refusal),
    }
}

fn token(sealed: &Sealed<'_>, jwt: &str) -> Result<(), Refusal> {
    let claims: Claims = jwt::claims(sealed, jwt)?;
    let same_url = |url: String| is_sha256(&claims.url_hash, url.as_bytes());
    let same_body = match &claims.payload_hash {
        Some(hash) => sealed.is_body_hash(hash),
        None => sealed.body.is_empty(),
    };
    proved(claims.iss == "MessageBird" && same_body && sealed.urls()?.into_iter().any(same_url))?;
    let ended = claims.exp.saturating_add(LEEWAY) < sealed.now;
    let begun = claims.nbf.is_none_or(|from| from <= sealed.now.saturating_add(WINDOW));
    if ended || !begun { Err(Refusal::Stale) } else { Ok(()) }
}

fn bird(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let signature = sealed.base64(SIGNATURE)?;
    let timestamp = sealed.text("messagebird-request-timestamp")?;
    let time = seconds(timestamp)?;
    let hash = Sha256::digest(sealed.body);
    proved(sealed.urls()?.into_iter().any(|url| {
        let parts = [timestamp.as_bytes(), b"\n", url.as_bytes(), b"\n", hash.as_slice()];
        sealed.is_mac::<Hmac<Sha256>>(&signature, &parts)
    }))?;
    sealed.is_fresh(time)
}
