//! Texts that are no quantities: addresses, switches, secrets, keys, maps.
//!
//! Errors say what is allowed and never repeat the value; `read` does that
//! where it is safe.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chrono_tz::Tz;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};
use secrecy::SecretString;
use tokio_cron_scheduler::Job;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::sections::CustomField;
use crate::domain::{Address, PhoneHint, segments};

/// Any text, as it is.
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// A path, as it is.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

/// The items of a list, as they are.
pub(super) fn items(items: Vec<String>) -> Result<Vec<String>, String> {
    Ok(items)
}

/// Our own numbers as E.164, or short codes. One that was misread would make us
/// a customer of our own, so it is refused instead.
pub(super) fn own_numbers(items: Vec<String>) -> Result<Vec<String>, String> {
    items
        .into_iter()
        .map(|item| match Address::parse(&item, &PhoneHint::International) {
            Some(Address::Phone(phone)) if item.starts_with('+') => Ok(phone.as_str().to_owned()),
            Some(Address::ShortCode(code)) => Ok(code),
            _ => Err("each number is written with + and country code, or is a short code".to_owned()),
        })
        .collect()
}

/// `true` or `false`, nothing else.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    one_of(&[("true", true), ("false", false)])(text)
}

/// What confirms a STOP: one part, and nothing to follow.
pub(super) fn stop_reply(text: &str) -> Result<String, String> {
    if segments(text) > 1 {
        return Err("is longer than one part (160 characters, 70 with others than GSM-7's)".to_owned());
    }
    if text.split_whitespace().any(is_link) {
        return Err("must not contain a link".to_owned());
    }
    Ok(text.to_owned())
}

/// `https://…`, `www.…`, `shop.example`, `bit.ly/x`; not `a.m.`
fn is_link(word: &str) -> bool {
    let host = word
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(|c: char| !c.is_alphanumeric());
    let ends_in_a_domain = host.rsplit_once('.').is_some_and(|(name, top)| {
        name.ends_with(char::is_alphanumeric) && top.chars().count() > 1 && top.chars().all(char::is_alphabetic)
    });
    word.contains("://") || ends_in_a_domain
}

/// One of the named values.
pub(super) fn one_of<T: Copy>(allowed: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let hit = allowed.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        hit.ok_or_else(|| {
            let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
            format!("unknown value: must be {}", names.join(" or "))
        })
    }
}

/// `address:port`.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be an IP address and a port, as in 127.0.0.1:8080 or [::]:8080".to_owned())
}

/// A tracing filter such as `info` or `info,df_middleware=debug`.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map_err(|_| "is no log filter: write info, or info,df_middleware=debug")?;
    Ok(text.to_owned())
}

/// An API root: http(s), no credentials, no query, trailing slashes removed
/// (`Url` itself keeps the one of an empty path).
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let mut url = http_url(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not carry ? or #".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// A URL of ours that somebody calls, its query included.
pub(super) fn called_url(text: &str) -> Result<Url, String> {
    let url = http_url(text)?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must carry neither user, password nor #".to_owned());
    }
    Ok(url)
}

/// An http(s) URL that is itself a secret.
pub(super) fn secret_url(text: &str) -> Result<SecretString, String> {
    http_url(text)?;
    secret(text)
}

/// A PostgreSQL connection string.
pub(super) fn database_url(text: &str) -> Result<SecretString, String> {
    tokio_postgres::Config::from_str(text)
        .map_err(|_| "is no connection string: write postgres://user:password@host:5432/database (percent-encode special characters; parameters only PostgreSQL knows)")?;
    Ok(SecretString::from(text))
}

/// A secret of one line.
pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    if text.contains(char::is_control) {
        return Err("must be one line without control characters".to_owned());
    }
    Ok(SecretString::from(text))
}

/// The user of HTTP Basic, which cannot contain `:`.
pub(super) fn basic_user(text: &str) -> Result<SecretString, String> {
    if text.contains(':') {
        return Err("a Basic user name cannot contain `:`".to_owned());
    }
    secret(text)
}

/// Ed25519 public keys: PEM, or Base64 of the raw key or of its SPKI DER.
pub(super) fn public_keys(items: Vec<String>) -> Result<Vec<[u8; 32]>, String> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| public_key(item).ok_or(index))
        .collect::<Result<_, _>>()
        .map_err(|index| {
            format!(
                "key {} is no Ed25519 public key: write PEM, or Base64 of the raw or DER key",
                index + 1
            )
        })
}

/// `name=value` items.
pub(super) fn map(items: Vec<String>) -> Result<BTreeMap<String, String>, String> {
    let mut map = BTreeMap::new();
    for item in items {
        let (name, value) = item
            .split_once('=')
            .ok_or("must be name=value pairs, separated by commas")?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() {
            return Err("a pair lacks its name or its value".to_owned());
        }
        if map.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{name} stands twice"));
        }
    }
    Ok(map)
}

/// `name=field id` items, of the names that are known.
pub(super) fn custom_fields(items: Vec<String>) -> Result<BTreeMap<CustomField, String>, String> {
    let field = |(name, id): (String, String)| match name.as_str() {
        "alowareContactId" => Ok((CustomField::AlowareContactId, id)),
        "leadSource" => Ok((CustomField::LeadSource, id)),
        "intakeSource" => Ok((CustomField::IntakeSource, id)),
        other => Err(format!("{other} is none of alowareContactId, leadSource, intakeSource")),
    };
    map(items)?.into_iter().map(field).collect()
}

/// As [`map`], names in lower case.
pub(super) fn lowercase_map(items: Vec<String>) -> Result<BTreeMap<String, String>, String> {
    map(items.into_iter().map(lowercase_name).collect())
}

/// A two-letter region that phone numbers can belong to, in upper case.
pub(super) fn region(text: &str) -> Result<String, String> {
    let code = text.to_ascii_uppercase();
    let region = Region::from_str(&code).ok().filter(|_| code.len() == 2);
    let known = region
        .and_then(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(region))
        .is_some();
    if known {
        Ok(code)
    } else {
        Err("must be a two-letter region, as in US".to_owned())
    }
}

/// A time zone by its IANA name.
pub(super) fn time_zone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| "must be an IANA time zone, as in America/New_York".to_owned())
}

/// Six cron fields, or `off` for none.
pub(super) fn cron(text: &str) -> Result<Option<String>, String> {
    if text == "off" {
        return Ok(None);
    }
    if text.split_whitespace().count() != 6 {
        return Err("must be six fields (second minute hour day month weekday), or off".to_owned());
    }
    Job::new(text, |_, _| {}).map_err(|_| "is no cron schedule: 0 0 3 * * * is every day at 03:00 UTC")?;
    Ok(Some(text.to_owned()))
}

fn http_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "must be a URL that starts with http:// or https://".to_owned())
}

fn lowercase_name(item: String) -> String {
    match item.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.to_lowercase()),
        None => item,
    }
}

/// One of them; `None` when it is none.
pub(super) fn public_key(text: &str) -> Option<[u8; 32]> {
    let body = text
        .replace("-----BEGIN PUBLIC KEY-----", "")
        .replace("-----END PUBLIC KEY-----", "");
    // PEM squeezed into one line of an env file keeps its breaks as `\n`.
    let body: String = body.replace("\\n", "").split_whitespace().collect();
    let bytes = STANDARD.decode(&body).or_else(|_| STANDARD_NO_PAD.decode(&body)).ok()?;
    let key = match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(raw) => VerifyingKey::from_bytes(&raw).ok()?,
        Err(_) => VerifyingKey::from_public_key_der(&bytes).ok()?,
    };
    Some(key.to_bytes())
}
