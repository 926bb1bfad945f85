//! Sinch: HMAC-SHA256 over `body.nonce.timestamp`.

use hmac::Hmac;
use sha2::Sha256;

use super::Refusal;
use super::sealed::{Sealed, proved, seconds};

/// The signature's header.
pub(super) const SIGNATURE: &str = "x-sinch-webhook-signature";

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let signature = sealed.base64(SIGNATURE)?;
    let nonce = sealed.text("x-sinch-webhook-signature-nonce")?;
    let timestamp = sealed.text("x-sinch-webhook-signature-timestamp")?;
    let time = seconds(timestamp)?;
    let parts = [sealed.body, b".", nonce.as_bytes(), b".", timestamp.as_bytes()];
    proved(sealed.is_mac::<Hmac<Sha256>>(&signature, &parts))?;
    sealed.is_fresh(time)
}
