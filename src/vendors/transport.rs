//! One HTTP call to a vendor: breaker, budget, encoding, time limit, size
//! limit, classification, counters. Knows no vendor's paths or bodies.
//!
//! Nothing here logs or keeps a URL, a body or a token. Redirects are not
//! followed: a token must not travel to wherever an answer points.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::breaker::{Breaker, Permit};
use super::budget::{Budget, Priority};
use super::classify;
use super::error::{SetupError, Trouble, VendorError};
use super::route::{self, Route};
use super::signals::Signals;
use crate::domain::Source;

/// No documented answer comes near this.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The way to one vendor. Clones share budget, breaker and connections.
#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    vendor: Source,
    base: String,
    timeout: Duration,
    budget: Budget,
    breaker: Breaker,
}

/// One call to be made.
pub(crate) struct Call<'c> {
    /// Name in metrics and logs.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) route: &'c Route,
    pub(crate) query: &'c [(&'static str, &'c str)],
    pub(crate) headers: &'c [(HeaderName, HeaderValue)],
    pub(crate) body: Option<&'c [u8]>,
    pub(crate) priority: Priority,
}

/// A 2xx answer. An empty body is `null`.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) json: Value,
}

/// Writes a request body.
pub(crate) fn encode(body: &impl Serialize) -> Result<Vec<u8>, VendorError> {
    serde_json::to_vec(body).map_err(|_| VendorError::Refused {
        reason: "a body that is no JSON",
    })
}

/// The turn to make one call: the budget was spent at that moment, and the
/// breaker let it through.
#[derive(Debug)]
pub struct Turn(Instant, Permit);

impl Transport {
    pub(crate) fn new(
        http: reqwest::Client,
        vendor: Source,
        base: &Url,
        timeout: Duration,
        budget: Budget,
    ) -> Result<Self, SetupError> {
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(SetupError::Base { vendor });
        }
        let mut root = base.clone();
        root.set_query(None);
        root.set_fragment(None);
        Ok(Self {
            http,
            vendor,
            base: root.as_str().trim_end_matches('/').to_owned(),
            timeout,
            budget,
            breaker: Breaker::default(),
        })
    }

    pub(crate) fn budget(&self) -> Budget {
        self.budget.clone()
    }

    /// Whether calls are made at present, or the vendor counts as down.
    pub(crate) fn is_up(&self) -> bool {
        !self.breaker.is_open()
    }

    /// For how long no call will be made, if the vendor counts as down.
    pub(crate) fn down_for(&self) -> Option<Duration> {
        let wait = || self.breaker.closed_for(Instant::now()).unwrap_or_default();
        (!self.is_up()).then(wait)
    }

    /// Makes the call, once its turn comes, and reads the whole answer.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, VendorError> {
        let turn = self.turn(call.operation, call.priority).await?;
        self.perform(turn, call).await
    }

    /// Waits for the budget and the breaker. What must hold at the moment of
    /// the call is checked between this and [`Transport::perform`].
    pub(crate) async fn turn(&self, operation: &'static str, priority: Priority) -> Result<Turn, VendorError> {
        let down = |retry_after| {
            self.count(operation, "down");
            VendorError::Down { retry_after }
        };
        if let Some(retry_after) = self.breaker.closed_for(Instant::now()) {
            return Err(down(retry_after));
        }
        let left = self.budget.acquire(priority).await.inspect_err(|_| {
            self.count(operation, "budget");
        })?;
        Ok(Turn(left, self.breaker.admit(Instant::now()).map_err(down)?))
    }

    /// Makes the call whose turn it is.
    pub(crate) async fn perform(&self, Turn(left, permit): Turn, call: Call<'_>) -> Result<Answer, VendorError> {
        let started = Instant::now();
        super::tally::count();
        let (status, result) = self.exchange(&call).await;
        self.budget.answered(left, Instant::now());
        let down_for = self.settle(permit, &result);
        let label = match (status, &result) {
            (Some(status), _) => status.to_string(),
            (None, Err(VendorError::Transient { code, .. })) => format!("{code:?}").to_lowercase(),
            (None, _) => "none".to_owned(),
        };
        self.count(call.operation, &label);
        let elapsed = started.elapsed();
        metrics::histogram!("vendor_call_duration_seconds",
            "vendor" => self.vendor.as_str(), "operation" => call.operation)
        .record(elapsed.as_secs_f64());
        tracing::debug!(
            vendor = self.vendor.as_str(),
            operation = call.operation,
            status = %label,
            duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "vendor call"
        );
        match (down_for, result) {
            (Some(retry_after), Err(VendorError::Transient { code, maybe_applied })) => Err(VendorError::StillDown {
                code,
                maybe_applied,
                retry_after,
            }),
            (_, result) => result,
        }
    }

    /// The request and its answer, with the status if one arrived.
    async fn exchange(&self, call: &Call<'_>) -> (Option<u16>, Result<Answer, VendorError>) {
        let response = match self.request(call).send().await {
            Ok(response) => response,
            Err(error) => return (None, Err(no_answer(&error))),
        };
        let status = response.status().as_u16();
        let signals = Signals::read(response.headers(), Utc::now());
        let wait = self.budget.observe(&signals, status == 429, Instant::now());
        let declared = response.headers().get(CONTENT_TYPE).map(is_json);
        let body = match read(response).await {
            Ok(body) => body,
            Err(error) => return (Some(status), Err(error)),
        };
        let result = if (200..300).contains(&status) {
            understand(status, declared, &body)
        } else {
            let json = serde_json::from_slice(&body).ok();
            Err(classify::refusal(self.vendor, status, json.as_ref(), wait))
        };
        (Some(status), result)
    }

    fn request(&self, call: &Call<'_>) -> reqwest::RequestBuilder {
        let mut address = format!("{}{}", self.base, call.route.as_str());
        if !call.query.is_empty() {
            address.push('?');
            address.push_str(&route::query(call.query));
        }
        let mut request = self
            .http
            .request(call.method.clone(), address)
            .timeout(self.timeout)
            .header(ACCEPT, JSON);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        match call.body {
            Some(body) => request.header(CONTENT_TYPE, JSON).body(body.to_vec()),
            None => request,
        }
    }

    /// Tells the breaker. Only a vendor in trouble counts; a refusal is an answer.
    /// Answers for how long calls are held back, if the vendor was known to be down.
    fn settle(&self, permit: Permit, result: &Result<Answer, VendorError>) -> Option<Duration> {
        let vendor = self.vendor.as_str();
        let known_down = !self.is_up();
        if matches!(result, Err(VendorError::Transient { .. })) {
            if permit.troubled(Instant::now()) {
                tracing::warn!(vendor, "vendor is down, calls are held back");
            }
        } else if permit.answered() {
            tracing::info!(vendor, "vendor is back");
        }
        metrics::gauge!("vendor_up", "vendor" => vendor).set(if self.is_up() { 1.0 } else { 0.0 });
        known_down.then(|| self.breaker.closed_for(Instant::now()).unwrap_or_default())
    }

    fn count(&self, operation: &'static str, status: &str) {
        metrics::counter!("vendor_calls_total",
            "vendor" => self.vendor.as_str(), "operation" => operation, "status" => status.to_owned())
        .increment(1);
    }
}

/// A call that ended without an answer. The error's own text holds the URL, so
/// it goes no further than here.
fn no_answer(error: &reqwest::Error) -> VendorError {
    let (code, maybe_applied) = if error.is_builder() {
        return VendorError::Refused {
            reason: "a request that could not be built",
        };
    } else if error.is_connect() {
        (Trouble::Unreachable, false)
    } else if error.is_timeout() {
        (Trouble::Timeout, true)
    } else {
        (Trouble::Dropped, true)
    };
    VendorError::Transient { code, maybe_applied }
}

/// Reads the body up to the limit.
async fn read(mut response: Response) -> Result<Vec<u8>, VendorError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                return Err(VendorError::Rejected {
                    status,
                    code: Some("answer too large".to_owned()),
                });
            }
            Err(error) => {
                let code = if error.is_timeout() {
                    Trouble::Timeout
                } else {
                    Trouble::Truncated
                };
                return Err(VendorError::Transient {
                    code,
                    maybe_applied: true,
                });
            }
        }
    }
}

fn is_json(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
    })
}

/// A 2xx whose type is not JSON is the web app's catch-all page, not a success
/// (vendors/aloware.md 1). An answer without type or body is an empty success.
fn understand(status: u16, declared: Option<bool>, body: &[u8]) -> Result<Answer, VendorError> {
    if declared == Some(false) {
        return Err(VendorError::NotJson { status });
    }
    if body.trim_ascii().is_empty() {
        return Ok(Answer { json: Value::Null });
    }
    match serde_json::from_slice(body) {
        Ok(json) => Ok(Answer { json }),
        Err(error) if error.is_eof() => Err(VendorError::Transient {
            code: Trouble::Truncated,
            maybe_applied: true,
        }),
        Err(_) => Err(VendorError::NotJson { status }),
    }
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
