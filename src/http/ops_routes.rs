//! Health, readiness, meters and the route document. No secret is asked for,
//! so nothing here shows more than counts.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chrono::Utc;

use super::State;
use super::problem::Problem;
use crate::ops::{health, metrics};

/// The route document.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// `GET /api/health`.
pub(super) async fn health(state: web::Data<State>) -> HttpResponse {
    let health = health::look(&state.db, state.ingest.spooled_bytes(), Utc::now()).await;
    let status = if health.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    HttpResponse::build(status)
        .insert_header(("Cache-Control", "no-store"))
        .json(health)
}

/// `GET /livez`: the process answers. Says nothing about PostgreSQL, or an
/// outage there would have the daemon restarted, spool and all.
pub(super) async fn live() -> HttpResponse {
    plain(StatusCode::OK, "ok")
}

/// `GET /readyz`.
pub(super) async fn ready(state: web::Data<State>) -> HttpResponse {
    if health::is_ready(&state.db).await {
        plain(StatusCode::OK, "ok")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "database away")
    }
}

/// `GET /metrics`.
///
/// # Errors
/// 404 when no recorder is installed.
pub(super) async fn meters(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let Some(handle) = &state.metrics else {
        return Err(Problem::not_found("Metrics are not recorded"));
    };
    let text = metrics::scrape(handle, &state.db, state.ingest.spooled_bytes()).await;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}

/// `GET /openapi.json`.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

fn plain(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        .body(text)
}
