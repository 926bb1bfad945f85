//! Twilio: HMAC-SHA1 over the URL and the form's names and values in order. A
//! body that is no form stands in the URL by its hash.

use std::collections::{BTreeMap, BTreeSet};

use hmac::Hmac;
use sha1::Sha1;
use url::form_urlencoded::parse;

use super::Refusal;
use super::sealed::{Sealed, proved};

/// The signature's header.
pub(super) const SIGNATURE: &str = "x-twilio-signature";

pub(super) fn check(sealed: &Sealed<'_>) -> Result<(), Refusal> {
    let signature = sealed.base64(SIGNATURE)?;
    let hash = parse(sealed.query().as_bytes()).find(|(name, _)| name == "bodySHA256");
    let fields = match hash {
        Some((_, hash)) if sealed.is_body_hash(&hash) => String::new(),
        Some(_) => return Err(Refusal::Wrong),
        None => fields(sealed.body),
    };
    let mut urls = sealed.urls()?.into_iter();
    proved(urls.any(|url| sealed.is_mac::<Hmac<Sha1>>(&signature, &[url.as_bytes(), fields.as_bytes()])))
}

/// All names in order, each with its values: a blank value is one, a repeated
/// value counts once.
fn fields(body: &[u8]) -> String {
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, value) in parse(body) {
        fields.entry(name).or_default().insert(value);
    }
    let mut text = String::new();
    for (name, values) in &fields {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}
