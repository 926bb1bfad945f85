//! The seed's gateway: the shared secret in `X-Texting-Secret`, or the hexadecimal
//! HMAC-SHA256 of the body under it. Neither signs a time; the second at least
//! shows nobody the secret, and lets a captured request be nothing but repeated.

use hmac::Hmac;
use sha2::Sha256;

use super::sealed::{Sealed, proved};
use super::{Refusal, either, secrets};

/// The headers of the code, in the order of their standing.
pub(super) const SIGNATURES: [&str; 2] = ["x-texting-signature", "x-signature"];

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    either(secrets::header(sealed), || signature(sealed))
}

fn signature(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let [ours, anybodys] = SIGNATURES.map(|name| sealed.header(name));
    let given = match ours {
        Err(Refusal::Missing) => anybodys?,
        ours => ours?,
    };
    let code = hex::decode(given).map_err(|_| Refusal::Malformed)?;
    proved(sealed.is_mac::<Hmac<Sha256>>(&code, &[sealed.body]))
}
