//! Standard Webhooks: HMAC-SHA256 (`v1`) or Ed25519 (`v1a`) over
//! `id.timestamp.body`, for whichever vendor, relay or gateway speaks it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::sealed::{LONGEST_LIST, Sealed, is_mac, is_signed, proved, seconds};
use super::{Carrier, Refusal, TextingProof};

const SIGNATURE: &str = "webhook-signature";

/// Whether the delivery is to be judged by this scheme. It signs bodies, so a
/// `GET` never is.
pub(super) fn is_meant(sealed: &Sealed<'_>) -> bool {
    let is_key = |proof: &TextingProof| matches!(proof, TextingProof::StandardSecret(_) | TextingProof::StandardKey(_));
    sealed.carrier == Carrier::Body
        && sealed.proofs.iter().any(is_key)
        && sealed.header(SIGNATURE) != Err(Refusal::Missing)
}

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let list = sealed.text(SIGNATURE)?;
    let id = sealed.text("webhook-id")?;
    let timestamp = sealed.text("webhook-timestamp")?;
    let time = seconds(timestamp)?;
    let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", sealed.body].concat();
    // Old and new signatures stand side by side; versions to come are passed over.
    let mut signatures = list
        .split_ascii_whitespace()
        .take(LONGEST_LIST)
        .filter_map(|item| item.split_once(','))
        .filter_map(|(version, code)| Some((version, STANDARD.decode(code).ok()?)))
        .peekable();
    signatures.peek().ok_or(Refusal::Malformed)?;
    proved(signatures.any(|(version, code)| {
        sealed.proofs.iter().any(|proof| match (version, proof) {
            ("v1", TextingProof::StandardSecret(key)) => {
                is_mac::<Hmac<Sha256>>(key.expose_secret(), &code, &[&message])
            }
            ("v1a", TextingProof::StandardKey(key)) => is_signed(key, &message, &code),
            _ => false,
        })
    }))?;
    sealed.is_fresh(time)
}
