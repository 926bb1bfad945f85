//! Vendors that sign nothing: a secret in a header, HTTP Basic, or a secret as
//! the last segment of the path.

use secrecy::SecretString;
use subtle::Choice;

use super::sealed::{Sealed, proved};
use super::{Refusal, TextingProof};
use crate::http::auth::{TEXTING_HEADER, is_basic_pair, same, split_at_blank};

/// `X-Texting-Secret`.
pub(super) fn header(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    is_shared(sealed, sealed.header(TEXTING_HEADER)?)
}

/// `/api/webhooks/texting/{secret}`.
pub(super) fn path(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    is_shared(sealed, sealed.path_secret.ok_or(Refusal::Missing)?.as_bytes())
}

/// `Authorization: Basic`.
pub(super) fn basic(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let (scheme, pair) = split_at_blank(sealed.header("authorization")?).ok_or(Refusal::Malformed)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Err(Refusal::Malformed);
    }
    any(sealed.proofs.iter().map(|proof| match proof {
        TextingProof::Basic { user, password } => is_basic_pair(pair, user, password),
        _ => Choice::from(0),
    }))
}

fn is_shared(sealed: &Sealed<'_>, given: &[u8]) -> Result<(), Refusal> {
    any(sealed.shared().map(|secret: &SecretString| same(given, secret)))
}

/// Without stopping at the first that fits.
fn any(fits: impl Iterator<Item = Choice>) -> Result<(), Refusal> {
    proved(fits.fold(Choice::from(0), |any, one| any | one).into())
}
