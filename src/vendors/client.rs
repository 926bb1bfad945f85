//! The HTTP client that the vendors share, and its credentials.
//!
//! Redirects are not followed: a token must not travel to wherever an answer
//! points.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect;
use url::Url;

use super::error::SetupError;
use crate::domain::Source;

/// Time allowed for a connection, within the call's own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The HTTP client that all vendors share. Proxies of the environment are used
/// unless every vendor is on this machine (the sandbox).
pub(crate) fn http_client(bases: &[&Url]) -> Result<reqwest::Client, SetupError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("df-middleware/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none());
    if bases.iter().all(|base| on_this_machine(base)) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(SetupError::Http)
}

/// Whether what is sent there never leaves this machine.
pub fn on_this_machine(base: &Url) -> bool {
    match base.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A header value that `Debug` does not show.
pub(crate) fn bearer(token: &str, vendor: Source) -> Result<HeaderValue, SetupError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| SetupError::Token { vendor })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_no_header_carries_is_refused_without_being_shown() {
        let error = bearer("two\nlines", Source::Ghl).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("lines"));
        let token = bearer("s3cret", Source::Ghl).unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn only_addresses_of_this_machine_bypass_a_proxy() {
        for (base, local) in [
            ("http://127.0.0.1:9", true),
            ("http://[::1]:9", true),
            ("http://localhost:9", true),
            ("https://services.leadconnectorhq.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(on_this_machine(&base.parse().unwrap()), local, "{base}");
        }
    }
}
