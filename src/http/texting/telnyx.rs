//! Telnyx: Ed25519 over `timestamp|body`.

use super::sealed::{Sealed, is_signed, proved, seconds};
use super::{Refusal, TextingProof};

/// The signature's header.
pub(super) const SIGNATURE: &str = "telnyx-signature-ed25519";

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let signature = sealed.base64(SIGNATURE)?;
    let timestamp = sealed.text("telnyx-timestamp")?;
    let time = seconds(timestamp)?;
    let message = [timestamp.as_bytes(), b"|", sealed.body].concat();
    proved(sealed.proofs.iter().any(|proof| match proof {
        TextingProof::PublicKey(key) => is_signed(key, &message, &signature),
        _ => false,
    }))?;
    sealed.is_fresh(time)
}
