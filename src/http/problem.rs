//! Errors as RFC 9457 problem documents, with the seed's `error` key beside
//! them. No SQL, payload or personal data: what went wrong inside is logged
//! under an id and only the id is shown.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde_json::json;
use uuid::Uuid;

use super::body::BodyError;
use crate::admin::AdminError;
use crate::store::StoreError;

/// One error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    /// Names the log line that says more.
    instance: Option<Uuid>,
}

impl Problem {
    /// An error of `status`; `code` is for programs, `detail` for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
            instance: None,
        }
    }

    /// The request itself is at fault.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// The secret is missing or wrong; which, is not said.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
    }

    /// The thing does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The thing's state forbids it.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Our own failure. The cause goes to the log under the id in the answer.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        let id = Uuid::new_v4();
        tracing::error!(error.id = %id, error = %cause, "request failed");
        Self {
            instance: Some(id),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
        }
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The program's name of the error.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(wait) = self.retry_after {
            // A part of a second is a second: who comes back before it is over is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            answer.insert_header((RETRY_AFTER, seconds.max(1)));
        }
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "error": self.detail,
        });
        if let (Some(id), Some(map)) = (self.instance, body.as_object_mut()) {
            map.insert("instance".to_owned(), json!(format!("urn:uuid:{id}")));
        }
        answer.content_type("application/problem+json").body(body.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() {
            tracing::warn!(%error, "request refused: database away");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "The database is not available",
            )
            .retry_after(Some(Duration::from_secs(5)));
        }
        Self::internal(&error)
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Invalid(detail) => Self::bad_request(detail),
            AdminError::Missing => Self::not_found("Event not found"),
            AdminError::Nothing(detail) => Self::not_found(detail),
            AdminError::Conflict { code, detail } => Self::conflict(code, detail),
            AdminError::Store(error) => error.into(),
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge => "payload_too_large",
            BodyError::TooSlow => "request_timeout",
            BodyError::Broken => "bad_request",
        };
        Self::new(error.status(), code, error.to_string())
    }
}

/// The answer for a path that no route has.
pub(super) async fn no_route(request: HttpRequest) -> HttpResponse {
    plain_or_problem(&request, StatusCode::NOT_FOUND, "not_found", "Not found")
}

/// The answer for a method that a path does not have.
pub(super) fn wrong_method(request: &HttpRequest, allowed: &str) -> HttpResponse {
    let mut answer = plain_or_problem(
        request,
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method not allowed",
    );
    if let Ok(value) = allowed.parse() {
        answer.headers_mut().insert(ALLOW, value);
    }
    answer
}

/// Webhook senders get short plain text, everybody else a problem document.
fn plain_or_problem(
    request: &HttpRequest,
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
) -> HttpResponse {
    let path = request.path();
    if path.starts_with("/api/webhooks") || path.starts_with("/api/integrations") {
        return HttpResponse::build(status)
            .content_type("text/plain; charset=utf-8")
            .body(detail);
    }
    Problem::new(status, code, detail).error_response()
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn a_problem_carries_the_seeds_key_and_when_to_come_back() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "away", "Come back")
            .retry_after(Some(Duration::from_millis(200)));
        let answer = problem.error_response();
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "1");
        assert_eq!(
            answer.headers().get("content-type").unwrap(),
            "application/problem+json"
        );
        let body: serde_json::Value = serde_json::from_slice(&to_bytes(answer.into_body()).await.unwrap()).unwrap();
        assert_eq!(body["error"], "Come back");
        assert_eq!(body["code"], "away");
        assert_eq!(body["status"], 503);
    }

    #[actix_web::test]
    async fn an_internal_cause_is_not_shown() {
        let answer = Problem::internal(&"SELECT secret FROM people").error_response();
        let body = to_bytes(answer.into_body()).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains("SELECT") && text.contains("urn:uuid:"), "{text}");
    }
}
