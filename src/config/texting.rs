//! What proves the texting vendor's deliveries: the values of
//! `texting.webhook_secret`, each read as the vendor in force means it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secrecy::{SecretSlice, SecretString};

use super::sections::Texting;
use super::values::{public_key, secret};
use crate::domain::TextingVendor;

/// Heads of Standard Webhooks keys, which are accepted whoever the vendor is.
const STANDARD_SECRET: &str = "whsec_";
const STANDARD_KEY: &str = "whpk_";

/// One thing that proves a delivery of the texting vendor. Several may be in
/// force, so that a rotation loses no STOP.
#[derive(Clone, Debug)]
pub enum TextingProof {
    /// A shared secret: the value of a header, the key of an HMAC or the last
    /// segment of the path, as the vendor has it.
    Shared(SecretString),
    /// HTTP Basic.
    Basic {
        /// Never contains `:`.
        user: SecretString,
        /// May contain `:`.
        password: SecretString,
    },
    /// The vendor's raw Ed25519 public key.
    PublicKey([u8; 32]),
    /// Standard Webhooks: the key of the HMAC (`whsec_`).
    StandardSecret(SecretSlice<u8>),
    /// Standard Webhooks: a raw Ed25519 public key (`whpk_`).
    StandardKey([u8; 32]),
}

impl Texting {
    /// Whether the URL the vendor calls is part of what it signs.
    pub const fn signs_url(vendor: TextingVendor) -> bool {
        match vendor {
            TextingVendor::Twilio | TextingVendor::Plivo | TextingVendor::MessageBird => true,
            TextingVendor::Generic
            | TextingVendor::Telnyx
            | TextingVendor::Bandwidth
            | TextingVendor::Sinch
            | TextingVendor::Vonage
            | TextingVendor::Infobip
            | TextingVendor::SimpleTexting
            | TextingVendor::Textmagic
            | TextingVendor::ClickSend => false,
        }
    }
}

/// Reads one value, or two during rotation.
pub(super) fn proofs(vendor: TextingVendor) -> impl Fn(Vec<String>) -> Result<Vec<TextingProof>, String> {
    move |items| {
        if items.len() > 2 {
            return Err("at most two values, separated by a comma".to_owned());
        }
        items.iter().map(|item| proof(vendor, item)).collect()
    }
}

fn proof(vendor: TextingVendor, item: &str) -> Result<TextingProof, String> {
    if let Some(key) = item.strip_prefix(STANDARD_SECRET) {
        return standard_secret(key);
    }
    if let Some(key) = item.strip_prefix(STANDARD_KEY) {
        let key = public_key(key).ok_or("a whpk_ key is Base64 of a raw Ed25519 public key")?;
        return Ok(TextingProof::StandardKey(key));
    }
    match vendor {
        TextingVendor::Telnyx => public_key(item)
            .map(TextingProof::PublicKey)
            .ok_or_else(|| "telnyx signs with Ed25519: its public key is wanted, in Base64".to_owned()),
        TextingVendor::Bandwidth | TextingVendor::Infobip | TextingVendor::Sinch => match item.split_once(':') {
            Some((user, password)) => basic(user, password),
            None => Ok(TextingProof::Shared(secret(item)?)),
        },
        TextingVendor::Generic
        | TextingVendor::Twilio
        | TextingVendor::Plivo
        | TextingVendor::Vonage
        | TextingVendor::MessageBird
        | TextingVendor::SimpleTexting
        | TextingVendor::Textmagic
        | TextingVendor::ClickSend => Ok(TextingProof::Shared(secret(item)?)),
    }
}

fn basic(user: &str, password: &str) -> Result<TextingProof, String> {
    if user.is_empty() || password.is_empty() {
        return Err("user:password lacks its user or its password".to_owned());
    }
    Ok(TextingProof::Basic {
        user: secret(user)?,
        password: secret(password)?,
    })
}

fn standard_secret(key: &str) -> Result<TextingProof, String> {
    let key = STANDARD.decode(key).or_else(|_| STANDARD_NO_PAD.decode(key));
    match key {
        Ok(key) if (24..=64).contains(&key.len()) => Ok(TextingProof::StandardSecret(key.into())),
        _ => Err("a whsec_ key is Base64 of 24 to 64 bytes".to_owned()),
    }
}
