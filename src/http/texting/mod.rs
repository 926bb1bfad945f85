//! Proof that a delivery came from the texting vendor: the vendor's own scheme,
//! over the raw bytes, before anything of them is used. Time is passed in, and
//! the URL the vendor called comes from the settings, never from the request.

mod generic;
mod jwt;
mod messagebird;
mod plivo;
mod sealed;
mod secrets;
mod sinch;
mod standard;
mod telnyx;
mod transport;
mod twilio;
mod vonage;

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::config::{Texting, TextingProof};
use crate::domain::TextingVendor;
use sealed::Sealed;

pub use transport::{to_json, unreadable};

/// What of a request is known before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Knock<'r> {
    /// All headers.
    pub headers: &'r HeaderMap,
    /// The query as it came, without `?`.
    pub query: &'r str,
    /// The last segment of `/api/webhooks/texting/{secret}`.
    pub path_secret: Option<&'r str>,
    /// Where the delivery is.
    pub carrier: Carrier,
}

/// Where in its request a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `GET`: in the query.
    Query,
    /// `POST`: in the body.
    Body,
}

/// A delivery whose sender was proved. Nothing else is ingested as the texting
/// vendor's.
///
/// ```compile_fail
/// let forged = df_middleware::http::texting::Verified { content: bytes::Bytes::new() };
/// ```
#[derive(Debug)]
pub struct Verified {
    /// The raw body, or the raw query of a `GET`.
    content: Bytes,
    carrier: Carrier,
}

impl Verified {
    /// Whether it says nothing at all, as a vendor's test of the address does.
    pub fn is_empty(&self) -> bool {
        self.content.trim_ascii().is_empty()
    }
}

/// Why a delivery proves nothing. For the meters and the log: the answer never
/// says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No secret, or no public URL, is configured.
    Unset,
    /// The proof is not there.
    Missing,
    /// The proof cannot be read, or stands twice.
    Malformed,
    /// The proof is authentic and of another time: a replay, or a clock that is wrong.
    Stale,
    /// The proof does not fit.
    Wrong,
}

impl Refusal {
    /// Its name in the meters and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Wrong => "wrong",
        }
    }
}

/// Whether it is worth reading the body at all: the headers hold a proof, as
/// far as that can be told without the body.
///
/// # Errors
/// [`Refusal`].
pub fn may_pass(knock: Knock<'_>, texting: &Texting, now: DateTime<Utc>) -> Result<(), Refusal> {
    let sealed = Sealed::new(knock, b"", texting, now);
    let given = |names: &[&str]| names.iter().any(|name| knock.headers.contains_key(*name));
    let signatures: &[&str] = match texting.vendor {
        _ if standard::is_meant(&sealed) => return Ok(()),
        TextingVendor::Generic if given(&generic::SIGNATURES) => return Ok(()),
        TextingVendor::Generic
        | TextingVendor::Bandwidth
        | TextingVendor::Infobip
        | TextingVendor::SimpleTexting
        | TextingVendor::Textmagic
        | TextingVendor::ClickSend => return check(&sealed, texting.vendor),
        // Its SMS API signs among the parameters.
        TextingVendor::Vonage => return Ok(()),
        TextingVendor::Telnyx => &[telnyx::SIGNATURE],
        TextingVendor::Twilio => &[twilio::SIGNATURE],
        TextingVendor::Plivo => &plivo::SIGNATURES,
        TextingVendor::Sinch => &[sinch::SIGNATURE, "authorization"],
        TextingVendor::MessageBird => &[messagebird::JWT, messagebird::SIGNATURE],
    };
    if given(signatures) {
        Ok(())
    } else {
        Err(Refusal::Missing)
    }
}

/// Checks a delivery against everything that proves the vendor in force.
///
/// # Errors
/// [`Refusal`].
pub fn verify(knock: Knock<'_>, body: Bytes, texting: &Texting, now: DateTime<Utc>) -> Result<Verified, Refusal> {
    check(&Sealed::new(knock, &body, texting, now), texting.vendor)?;
    let content = match knock.carrier {
        Carrier::Body => body,
        Carrier::Query => Bytes::copy_from_slice(knock.query.as_bytes()),
    };
    Ok(Verified {
        content,
        carrier: knock.carrier,
    })
}

fn check(sealed: &Sealed<'_>, vendor: TextingVendor) -> Result<(), Refusal> {
    if sealed.proofs.is_empty() {
        return Err(Refusal::Unset);
    }
    if standard::is_meant(sealed) {
        return standard::check(sealed);
    }
    match vendor {
        TextingVendor::Generic => generic::check(sealed),
        TextingVendor::Telnyx => telnyx::check(sealed),
        TextingVendor::Twilio => twilio::check(sealed),
        TextingVendor::Plivo => plivo::check(sealed),
        TextingVendor::Vonage => vonage::check(sealed),
        TextingVendor::MessageBird => messagebird::check(sealed),
        TextingVendor::Sinch => either(sinch::check(sealed), || secrets::basic(sealed)),
        TextingVendor::Bandwidth | TextingVendor::Infobip => either(secrets::path(sealed), || secrets::basic(sealed)),
        TextingVendor::SimpleTexting | TextingVendor::Textmagic | TextingVendor::ClickSend => secrets::path(sealed),
    }
}

/// One proof of two is enough; of two refusals the one that says more.
fn either(first: Result<(), Refusal>, second: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    match first {
        Ok(()) => Ok(()),
        Err(Refusal::Missing) => second(),
        Err(refusal) => second().map_err(|_| refusal),
    }
}

#[cfg(test)]
mod particulars;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transport_tests;
#[cfg(test)]
mod vectors;
