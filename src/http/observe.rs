//! One line and one measurement per request: route, status, duration. Never a
//! path (it can hold a secret), a query (it can hold a phone) or an address.

use std::time::Duration;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use tokio::time::Instant;

/// Longer than any route takes on a good day.
const SLOW: Duration = Duration::from_secs(5);

/// The middleware.
///
/// # Errors
/// Those of the wrapped service.
pub(super) async fn request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let answer = next.call(request).await?;
    let route = answer.request().match_pattern().unwrap_or_else(|| "none".to_owned());
    let (status, took) = (answer.status().as_u16(), started.elapsed());
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if took > SLOW {
        tracing::info!(route, status, duration_ms, "slow request");
    } else {
        tracing::debug!(route, status, duration_ms, "request");
    }
    metrics::counter!("http_requests_total", "route" => route.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!("http_request_duration_seconds", "route" => route).record(took.as_secs_f64());
    Ok(answer)
}
