//! `POST /api/messages`: the only way to send a text. Whether it may be sent is
//! decided behind [`Sender`], in the transaction that records it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::home::Home;
use super::problem::Problem;
use super::{State, auth, body};
use crate::compliance::guard::Refusal;
use crate::domain::{Phone, PhoneHint};

/// A text somebody wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRequest {
    /// To whom.
    pub to: Phone,
    /// The words, as given, not blank.
    pub body: String,
    /// Our number: E.164 where it is a phone, else a short code of digits.
    pub from: Option<String>,
    /// The vendor's conversation, when it is an answer.
    pub conversation_id: Option<String>,
    /// The caller's own reference.
    pub correlation_id: Option<String>,
}

/// Why a text was not sent, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The guard is against it.
    #[error("{0}")]
    Held(Refusal),
    /// No texting vendor is set up.
    #[error("no texting vendor is configured")]
    NotConfigured,
    /// The vendor refused it for good.
    #[error("the texting vendor refused the message ({code})")]
    Refused {
        /// A classified code, free of personal data.
        code: String,
    },
    /// It was not sent and may be tried again.
    #[error("the message cannot be sent now")]
    Unavailable {
        /// The earliest moment, when one is known.
        retry_after: Option<Duration>,
    },
    /// The vendor may have taken it: trying again may send it twice.
    #[error("it is not known whether the texting vendor took the message")]
    Unknown,
}

/// Sends texts, through the guard.
pub trait Sender: Send + Sync {
    /// Sends one text and answers the vendor's message id. Runs to its end even
    /// if the caller hangs up.
    fn send<'a>(&'a self, request: SendRequest) -> BoxFuture<'a, Result<String, SendError>>;
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        let detail = error.to_string();
        match error {
            SendError::Held(refusal) => {
                let wait = refusal
                    .until()
                    .map(|until| (until - Utc::now()).to_std().unwrap_or_default());
                Self::conflict(refusal.code(), detail).retry_after(wait)
            }
            SendError::NotConfigured => Self::new(StatusCode::SERVICE_UNAVAILABLE, "texting_not_configured", detail),
            SendError::Refused { .. } => Self::new(StatusCode::BAD_GATEWAY, "refused_by_vendor", detail),
            SendError::Unavailable { retry_after } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "sending_unavailable", detail).retry_after(retry_after)
            }
            SendError::Unknown => Self::new(StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", detail),
        }
    }
}

/// The body as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    to: String,
    body: String,
    from: Option<String>,
    conversation_id: Option<String>,
    correlation_id: Option<String>,
}

/// Sends a text.
///
/// # Errors
/// 400 for an unusable body, 401, 409 with the guard's code, 502, 503, 504.
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
    home: Home,
) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let bytes = body::read(&request, payload, state.settings.server.body_limit).await?;
    let wanted = parse(&bytes, &state.rules.hint)?;
    let sender = Arc::clone(&state.sender);
    let id = home.run(async move { sender.send(wanted).await }).await??;
    Ok(HttpResponse::Accepted().json(json!({"success": true, "messageId": id})))
}

fn parse(bytes: &[u8], hint: &PhoneHint) -> Result<SendRequest, Problem> {
    // The parser's own words could quote the body.
    let wanted: Wanted = serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(match error.classify() {
            serde_json::error::Category::Data => {
                "body must be a JSON object with the texts to and body, and optionally from, conversationId, correlationId"
            }
            _ => "Invalid JSON",
        })
    })?;
    let to = Phone::parse(&wanted.to, hint).ok_or_else(|| Problem::bad_request("to is not a phone number"))?;
    if wanted.body.trim().is_empty() {
        return Err(Problem::bad_request("body is empty"));
    }
    Ok(SendRequest {
        to,
        body: wanted.body,
        from: filled(wanted.from).map(|raw| sender_number(&raw, hint)).transpose()?,
        conversation_id: filled(wanted.conversation_id),
        correlation_id: filled(wanted.correlation_id),
    })
}

fn sender_number(raw: &str, hint: &PhoneHint) -> Result<String, Problem> {
    if let Some(phone) = Phone::parse(raw, hint) {
        return Ok(phone.as_str().to_owned());
    }
    let short_code = (3..=8).contains(&raw.len()) && raw.bytes().all(|byte| byte.is_ascii_digit());
    if short_code {
        return Ok(raw.to_owned());
    }
    Err(Problem::bad_request("from is not a phone number or short code"))
}

fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;

    use super::*;

    fn read(body: &str) -> Result<SendRequest, String> {
        parse(body.as_bytes(), &PhoneHint::region("US")).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_full_request_is_read_and_its_numbers_are_normalised() {
        let wanted = read(
            r#"{"to":"(619) 555-0111","body":" hi ","from":"858-555-0123","conversationId":"c1","correlationId":""}"#,
        )
        .unwrap();
        assert_eq!(wanted.to.as_str(), "+16195550111");
        assert_eq!(wanted.from.as_deref(), Some("+18585550123"));
        assert_eq!(wanted.body, " hi ");
        assert_eq!(
            (wanted.conversation_id.as_deref(), wanted.correlation_id),
            (Some("c1"), None)
        );
        assert_eq!(
            read(r#"{"to":"+16195550111","body":"x","from":"12345"}"#)
                .unwrap()
                .from
                .as_deref(),
            Some("12345")
        );
    }

    #[test]
    fn unusable_requests_are_refused_without_quoting_them() {
        for (body, said) in [
            ("", "Invalid JSON"),
            ("{", "Invalid JSON"),
            ("[]", "body must be"),
            (r#"{"to":"+16195550111"}"#, "body must be"),
            (r#"{"to":16195550111,"body":"x"}"#, "body must be"),
            (r#"{"to":"+16195550111","body":"x","mediaUrl":"u"}"#, "body must be"),
            (r#"{"to":"+16195550111","body":"  "}"#, "body is empty"),
            (r#"{"to":"nobody","body":"x"}"#, "to is not"),
            (r#"{"to":"12345","body":"x"}"#, "to is not"),
            (r#"{"to":"+16195550111","body":"x","from":"ACME"}"#, "from is not"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(said), "{body}: {error}");
            assert!(!error.contains("6195550111"), "{error}");
        }
    }

    #[test]
    fn every_refusal_has_its_own_status() {
        let wait = Some(Duration::from_secs(7));
        for (error, status, code) in [
            (
                SendError::Held(Refusal::OptedOut { causes: Vec::new() }),
                409,
                "opted_out",
            ),
            (SendError::Held(Refusal::ReviewHold), 409, "review_hold"),
            (SendError::Held(Refusal::NotTextable), 409, "not_textable"),
            (SendError::Held(Refusal::OwnNumber), 409, "own_number"),
            (SendError::Held(Refusal::TooLong), 409, "too_long"),
            (SendError::NotConfigured, 503, "texting_not_configured"),
            (
                SendError::Refused {
                    code: "30007".to_owned(),
                },
                502,
                "refused_by_vendor",
            ),
            (SendError::Unavailable { retry_after: wait }, 503, "sending_unavailable"),
            (SendError::Unknown, 504, "outcome_unknown"),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.status_code().as_u16(), problem.code()), (status, code));
        }
        let answer = Problem::from(SendError::Unavailable { retry_after: wait }).error_response();
        assert_eq!(answer.headers().get("retry-after").unwrap(), "7");
        let until = Utc::now() + chrono::TimeDelta::hours(2);
        for (refusal, code) in [
            (Refusal::QuietHours { until }, "quiet_hours"),
            (Refusal::FrequencyCap { until }, "frequency_cap"),
        ] {
            let problem = Problem::from(SendError::Held(refusal));
            assert_eq!((problem.status_code().as_u16(), problem.code()), (409, code));
            let wait = problem.error_response().headers().get("retry-after").unwrap().clone();
            let seconds: u64 = wait.to_str().unwrap().parse().unwrap();
            assert!((7190..=7200).contains(&seconds), "{seconds}");
        }
    }
}
