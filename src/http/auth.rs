//! Who may knock: Basic and Bearer for Aloware, a secret in a header for people
//! and schedulers. Secrets are compared as SHA-256 digests in constant time, so neither
//! content nor length shows in the time taken.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::problem::Problem;
use crate::config::{Aloware, Settings};

/// The header of `/api/jobs`.
pub const JOBS_HEADER: &str = "X-DF-JOBS-SECRET";
/// The header of `/api/admin`, `/api/sync` and `/api/messages`.
pub const ADMIN_HEADER: &str = "X-DF-ADMIN-SECRET";
/// The header of the generic texting vendor.
pub const TEXTING_HEADER: &str = "X-Texting-Secret";

/// Compares without telling where the two differ. An empty secret fits nothing.
pub fn same(given: &[u8], secret: &SecretString) -> Choice {
    let secret = secret.expose_secret().as_bytes();
    let equal = Sha256::digest(given).ct_eq(&Sha256::digest(secret));
    equal & Choice::from(u8::from(!secret.is_empty()))
}

/// Whether the request carries Aloware's Basic pair or its Bearer token.
pub fn is_aloware(request: &HttpRequest, settings: &Aloware) -> bool {
    let Some(header) = request.headers().get(AUTHORIZATION) else {
        return false;
    };
    let Some((scheme, value)) = split_at_blank(header.as_bytes()) else {
        return false;
    };
    if scheme.eq_ignore_ascii_case(b"basic") {
        return is_basic_pair(value, &settings.webhook_user, &settings.webhook_pass).into();
    }
    let bearer = settings.webhook_bearer.as_ref();
    scheme.eq_ignore_ascii_case(b"bearer") && bearer.is_some_and(|token| same(value, token).into())
}

/// Whether `value`, out of a Basic header, is that user and password.
pub(super) fn is_basic_pair(value: &[u8], user: &SecretString, password: &SecretString) -> Choice {
    let pair = STANDARD.decode(value).unwrap_or_default();
    let mut parts = pair.splitn(2, |byte| *byte == b':');
    let given = (parts.next().unwrap_or_default(), parts.next());
    same(given.0, user) & given.1.map_or(Choice::from(0), |given| same(given, password))
}

/// Lets the scheduler's caller in.
///
/// # Errors
/// 401 without a hint.
pub fn require_jobs(request: &HttpRequest, settings: &Settings) -> Result<(), Problem> {
    require(request, JOBS_HEADER, &settings.jobs.secret)
}

/// Lets the operator in.
///
/// # Errors
/// 401 without a hint.
pub fn require_admin(request: &HttpRequest, settings: &Settings) -> Result<(), Problem> {
    require(request, ADMIN_HEADER, &settings.admin_secret)
}

fn require(request: &HttpRequest, name: &str, secret: &SecretString) -> Result<(), Problem> {
    if same(header(request, name), secret).into() {
        return Ok(());
    }
    metrics::counter!("http_refused_total", "reason" => "secret").increment(1);
    Err(Problem::unauthorized())
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> &'r [u8] {
    request
        .headers()
        .get(name)
        .map(|value| value.as_bytes().trim_ascii())
        .unwrap_or_default()
}

/// Scheme and value of an Authorization header.
pub(super) fn split_at_blank(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let at = text.iter().position(|byte| *byte == b' ')?;
    let (scheme, value) = text.split_at(at);
    Some((scheme, value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::testkit::settings;

    fn request(authorization: &str) -> HttpRequest {
        TestRequest::default()
            .insert_header((AUTHORIZATION, authorization))
            .to_http_request()
    }

    fn basic(pair: &str) -> String {
        STANDARD.encode(pair)
    }

    #[test]
    fn the_password_may_contain_colons_and_the_scheme_any_case() {
        let settings = settings(&[]).aloware;
        for scheme in ["Basic", "basic", "BASIC"] {
            assert!(
                is_aloware(&request(&format!("{scheme} {}", basic("hook:a:b:c"))), &settings),
                "{scheme}"
            );
        }
        for wrong in ["hook:a", "hook:a:b:c:d", "hook", "hook:", ":a:b:c", "", "Hook:a:b:c"] {
            assert!(
                !is_aloware(&request(&format!("Basic {}", basic(wrong))), &settings),
                "{wrong}"
            );
        }
    }

    #[test]
    fn other_schemes_and_broken_headers_are_refused() {
        let settings = settings(&[]).aloware;
        let good = basic("hook:a:b:c");
        for header in [
            "",
            "Basic",
            "Basic ",
            "Basic %%%",
            good.as_str(),
            "Digest x",
            &format!("Bearer {good}"),
            &format!("Negotiate {good}"),
        ] {
            assert!(!is_aloware(&request(header), &settings), "{header}");
        }
        assert!(!is_aloware(&TestRequest::default().to_http_request(), &settings));
    }

    #[test]
    fn a_bearer_token_lets_in_only_where_one_is_set() {
        let with = settings(&[("ALOWARE_WEBHOOK_BEARER", "tok-1")]).aloware;
        assert!(is_aloware(&request("bearer tok-1"), &with));
        assert!(is_aloware(&request("Bearer  tok-1 "), &with));
        assert!(!is_aloware(&request("Bearer tok-2"), &with));
        assert!(!is_aloware(&request("Bearer "), &settings(&[]).aloware));
    }

    #[test]
    fn an_empty_secret_lets_nobody_in() {
        let empty = SecretString::from(String::new());
        assert!(!bool::from(same(b"", &empty)));
    }

    #[test]
    fn job_and_admin_secrets_do_not_open_each_others_doors() {
        let settings = settings(&[]);
        let jobs = TestRequest::default()
            .insert_header((JOBS_HEADER, "jobs-1"))
            .to_http_request();
        assert_eq!(require_jobs(&jobs, &settings), Ok(()));
        assert_eq!(require_admin(&jobs, &settings), Err(Problem::unauthorized()));
        let swapped = TestRequest::default()
            .insert_header((ADMIN_HEADER, "jobs-1"))
            .to_http_request();
        assert_eq!(require_admin(&swapped, &settings), Err(Problem::unauthorized()));
    }
}
