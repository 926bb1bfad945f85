//! What a vendor call can end in, named by what the caller will do about it.
//!
//! Texts are classified codes: never a body, a token, a number or an address.

use std::fmt;
use std::time::Duration;

use crate::domain::{Failure, RetryClass, Source};

/// Why a call that may be repeated did not end in an answer we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A status that says the vendor is unwell (5xx, 408).
    Status(u16),
    /// No complete answer within `http.timeout`.
    Timeout,
    /// No connection: refused, no such host, no TLS.
    Unreachable,
    /// The connection ended before an answer began.
    Dropped,
    /// The answer ended before it was complete.
    Truncated,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Dropped => f.write_str("dropped the connection"),
            Self::Truncated => f.write_str("truncated answer"),
        }
    }
}

/// How a vendor call failed. Decided once, from status and typed body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VendorError {
    /// Ordinary back-off may cure it.
    #[error("{code}")]
    Transient {
        /// What happened.
        code: Trouble,
        /// Whether the request may have reached the vendor. A write that may
        /// have been applied is looked up before it is repeated.
        maybe_applied: bool,
    },
    /// The vendor, or our own budget, asks us to wait. Nothing was applied.
    #[error("rate limited")]
    RateLimited {
        /// How long, when known.
        retry_after: Option<Duration>,
    },
    /// The breaker is open: the call was not made.
    #[error("down")]
    Down {
        /// When the next probe is due.
        retry_after: Duration,
    },
    /// The call was made to a vendor that was known to be down, and it still is:
    /// that is no fault of the call's.
    #[error("down {code}")]
    StillDown {
        /// What happened.
        code: Trouble,
        /// As in [`VendorError::Transient`].
        maybe_applied: bool,
        /// When the next probe is due.
        retry_after: Duration,
    },
    /// The thing does not exist at the vendor (any more).
    #[error("not found")]
    NotFound,
    /// A contact with this phone or e-mail already exists.
    #[error("duplicate contact")]
    Duplicate {
        /// The existing contact (GHL's `meta.contactId`), when named.
        id: Option<String>,
        /// `phone` or `email`, when named.
        matching_field: Option<String>,
    },
    /// 422: the body was not acceptable. On GHL's contact creation the contact
    /// may exist nevertheless (vendors/ghl.md 2.6): search before another create.
    #[error("rejected 422{}", properties(.fields))]
    Unprocessable {
        /// The properties complained about, where the answer names them.
        fields: Vec<String>,
    },
    /// 401: the token is not accepted.
    #[error("401 unauthorized")]
    Unauthorized,
    /// 401: GHL knows the token, but it lacks a scope, or is an agency's
    /// (vendors/ghl.md 1, 2.6). Scopes can be added without a new token.
    #[error("401 token lacks a scope")]
    OutOfScope,
    /// 403: the token does not reach this account.
    #[error("403 forbidden")]
    Forbidden,
    /// The texting vendor or carrier refuses the number as opted out.
    #[error("opted out {code}")]
    OptedOut {
        /// The vendor's code, for example `40300` or `21610`.
        code: String,
    },
    /// A 2xx that is no JSON: a wrong base address or path, not a success.
    #[error("{status} answer is not JSON")]
    NotJson {
        /// The status.
        status: u16,
    },
    /// A 2xx that lacks what proves the effect.
    #[error("answer lacks {missing}")]
    Incomplete {
        /// The missing property.
        missing: &'static str,
    },
    /// Any other answer that no retry changes.
    #[error("rejected {status}{}", detail(.code))]
    Rejected {
        /// The status.
        status: u16,
        /// A documented code or a known shape, never the vendor's prose.
        code: Option<String>,
    },
    /// We did not make the call: it could not have been right.
    #[error("not called: {reason}")]
    Refused {
        /// Why.
        reason: &'static str,
    },
}

fn properties(fields: &[String]) -> String {
    match fields {
        [] => String::new(),
        [one] => format!(": property {one}"),
        many => format!(": properties {}", many.join(", ")),
    }
}

fn detail(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(": {code}")).unwrap_or_default()
}

impl VendorError {
    /// The run's failure: what a retry costs, and a text for `error_message`
    /// such as `ghl 503`, `aloware timeout`, `ghl rejected 422: property notes`.
    ///
    /// A 401 is retried with ordinary back-off: an operator who rotates a token
    /// late loses no events, and a token that stays wrong ends as an error. So is
    /// a web page: a vendor's maintenance shows one, and a wrong address too.
    pub fn to_failure(&self, vendor: Source) -> Failure {
        let reason = format!("{vendor} {self}");
        let (class, after) = match self {
            Self::Transient { .. } | Self::Unauthorized | Self::OutOfScope | Self::NotJson { .. } => {
                (RetryClass::Transient, None)
            }
            Self::RateLimited { retry_after } => (RetryClass::RateLimited, *retry_after),
            Self::Down { retry_after } | Self::StillDown { retry_after, .. } => {
                (RetryClass::VendorDown, Some(*retry_after))
            }
            Self::NotFound
            | Self::Duplicate { .. }
            | Self::Unprocessable { .. }
            | Self::Forbidden
            | Self::OptedOut { .. }
            | Self::Incomplete { .. }
            | Self::Rejected { .. }
            | Self::Refused { .. } => return Failure::Permanent { reason },
        };
        Failure::Retry { class, after, reason }
    }

    /// Whether the write behind this error may be in place at the vendor.
    pub fn maybe_applied(&self) -> bool {
        match self {
            Self::Transient { maybe_applied, .. } | Self::StillDown { maybe_applied, .. } => *maybe_applied,
            // A 2xx without its proof.
            Self::NotJson { .. } | Self::Incomplete { .. } => true,
            Self::RateLimited { .. }
            | Self::Down { .. }
            | Self::NotFound
            | Self::Duplicate { .. }
            | Self::Unprocessable { .. }
            | Self::Unauthorized
            | Self::OutOfScope
            | Self::Forbidden
            | Self::OptedOut { .. }
            | Self::Rejected { .. }
            | Self::Refused { .. } => false,
        }
    }
}

/// Why the clients could not be made from the settings.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A token holds characters that no header can carry.
    #[error("the {vendor} token holds characters that cannot be sent in a header")]
    Token {
        /// Whose token.
        vendor: Source,
    },
    /// A base address that cannot have a path.
    #[error("the {vendor} base_url is not an http or https address")]
    Base {
        /// Whose address.
        vendor: Source,
    },
    /// TLS or the system's certificates.
    #[error("the HTTP client could not be made")]
    Http(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_costs_what_its_retry_deserves() {
        let hour = Duration::from_secs(3600);
        let cases = [
            (
                VendorError::Transient {
                    code: Trouble::Status(503),
                    maybe_applied: true,
                },
                Failure::transient("ghl 503"),
            ),
            (
                VendorError::RateLimited {
                    retry_after: Some(hour),
                },
                Failure::Retry {
                    class: RetryClass::RateLimited,
                    after: Some(hour),
                    reason: "ghl rate limited".into(),
                },
            ),
            (
                VendorError::Down { retry_after: hour },
                Failure::Retry {
                    class: RetryClass::VendorDown,
                    after: Some(hour),
                    reason: "ghl down".into(),
                },
            ),
            (
                VendorError::Unprocessable {
                    fields: vec!["notes".into()],
                },
                Failure::permanent("ghl rejected 422: property notes"),
            ),
            (
                VendorError::OutOfScope,
                Failure::transient("ghl 401 token lacks a scope"),
            ),
            (
                VendorError::NotJson { status: 200 },
                Failure::transient("ghl 200 answer is not JSON"),
            ),
            (
                VendorError::Rejected {
                    status: 400,
                    code: None,
                },
                Failure::permanent("ghl rejected 400"),
            ),
        ];
        for (error, wanted) in cases {
            assert_eq!(error.to_failure(Source::Ghl), wanted);
        }
    }

    #[test]
    fn a_duplicate_names_no_contact_in_its_text() {
        let error = VendorError::Duplicate {
            id: Some("secret-id".into()),
            matching_field: None,
        };
        assert_eq!(error.to_failure(Source::Ghl).reason(), "ghl duplicate contact");
    }
}
