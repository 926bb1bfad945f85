//! JSON Web Tokens signed with HMAC-SHA256, and nothing else: the algorithm a
//! token names is no choice of its sender's. Times are the caller's to judge.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Hmac;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::Refusal;
use super::sealed::{Sealed, proved};

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// The claims of a token that one of the shared secrets signed.
pub(super) fn claims<T: DeserializeOwned>(sealed: &Sealed<'_>, token: &str) -> Result<T, Refusal> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    if read::<Header>(header)?.alg != "HS256" {
        return Err(Refusal::Malformed);
    }
    let signature = decode(signature)?;
    proved(sealed.is_mac::<Hmac<Sha256>>(&signature, &[signed.as_bytes()]))?;
    read(claims)
}

fn read<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&decode(part)?).map_err(|_| Refusal::Malformed)
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)
}
