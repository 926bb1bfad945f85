//! Plivo: HMAC-SHA256 with a nonce. V3 covers URL, query and form; V2 covers
//! the URL alone, so it counts only where no V3 is given. The `Ma` headers are
//! made with the main account's token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use sha2::Sha256;
use url::form_urlencoded::parse;

use super::Refusal;
use super::sealed::{LONGEST_LIST, Sealed, proved};

/// The signatures' headers, V3 first.
pub(super) const SIGNATURES: [&str; 4] = [
    "x-plivo-signature-v3",
    "x-plivo-signature-ma-v3",
    "x-plivo-signature-v2",
    "x-plivo-signature-ma-v2",
];

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let [v3, ma_v3, v2, ma_v2] = SIGNATURES;
    let addresses = sealed.addresses()?;
    match signatures(sealed, [v3, ma_v3]) {
        Err(Refusal::Missing) => {
            let signatures = signatures(sealed, [v2, ma_v2])?;
            let nonce = sealed.text("x-plivo-signature-v2-nonce")?;
            signed(sealed, &signatures, &addresses, nonce)
        }
        signatures => {
            let nonce = format!("{}.{}", tail(sealed), sealed.text("x-plivo-signature-v3-nonce")?);
            signed(sealed, &signatures?, &addresses, &nonce)
        }
    }
}

fn signed(sealed: &Sealed<'_>, signatures: &[Vec<u8>], addresses: &[String], rest: &str) -> Result<(), Refusal> {
    proved(addresses.iter().any(|address| {
        let parts = [address.as_bytes(), rest.as_bytes()];
        let fits = |signature: &Vec<u8>| sealed.is_mac::<Hmac<Sha256>>(signature, &parts);
        signatures.iter().any(fits)
    }))
}

/// What of the two headers there is; each may be a list.
fn signatures(sealed: &Sealed<'_>, names: [&str; 2]) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut found = Vec::new();
    for name in names {
        let list = match sealed.text(name) {
            Ok(list) => list,
            Err(Refusal::Missing) => continue,
            Err(refusal) => return Err(refusal),
        };
        for item in list.split(',').take(LONGEST_LIST) {
            found.push(STANDARD.decode(item.trim()).map_err(|_| Refusal::Malformed)?);
        }
    }
    if found.is_empty() {
        Err(Refusal::Missing)
    } else {
        Ok(found)
    }
}

/// What V3 signs between address and nonce: `?`, the query in order, and the
/// form in order, with a dot where both are.
fn tail(sealed: &Sealed<'_>) -> String {
    let query = sorted(sealed.query().as_bytes(), "=", "&");
    let form = sorted(sealed.body, "", "");
    match (query.is_empty(), form.is_empty()) {
        (true, true) => String::new(),
        (false, false) => format!("?{query}.{form}"),
        _ => format!("?{query}{form}"),
    }
}

fn sorted(encoded: &[u8], between: &str, after: &str) -> String {
    let mut pairs: Vec<_> = parse(encoded).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}{between}{value}"))
        .collect();
    pairs.join(after)
}
