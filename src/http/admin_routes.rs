//! `/api/admin`: the operators' desk behind its secret.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use uuid::Uuid;

use super::home::Home;
use super::problem::Problem;
use super::query::Params;
use super::{State, auth, body};
use crate::admin::events::{self, Reason};
use crate::admin::filter::Filter;
use crate::admin::texting::{self, Question};

/// `GET /api/admin/events`.
///
/// # Errors
/// 400, 401, 503.
pub(super) async fn list_events(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let params = Params::of(&request)?;
    let filter = Filter::read(|name| params.get(name))?;
    Ok(HttpResponse::Ok().json(events::list(&state.db, &filter).await?))
}

/// `GET /api/admin/texting/events`.
///
/// # Errors
/// As [`list_events`].
pub(super) async fn list_texting(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let params = Params::of(&request)?;
    let question = Question::read(|name| params.get(name))?;
    Ok(HttpResponse::Ok().json(texting::list(&state.db, &question, &state.rules.hint).await?))
}

/// `GET /api/admin/connections`: asks every vendor, for a person asked. On the
/// daemon's runtime, where the connections to the vendors live.
///
/// # Errors
/// 401.
pub(super) async fn connections(
    request: HttpRequest,
    state: web::Data<State>,
    home: Home,
) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let checks = state.checks.clone();
    let report = home.run(async move { checks.look().await }).await?;
    Ok(HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .json(report))
}

/// `POST /api/admin/events/{id}/replay`.
///
/// # Errors
/// 400, 401, 404, 409, 503.
pub(super) async fn replay(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = admit(&request, &id, &state)?;
    events::replay(&state.db, id).await?;
    state.engine.wake().notify_one();
    Ok(changed("Event replayed", id))
}

/// `POST /api/admin/events/{id}/quarantine`.
///
/// # Errors
/// As [`replay`].
pub(super) async fn quarantine(
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = admit(&request, &id, &state)?;
    let bytes = body::read(&request, payload, state.settings.server.body_limit).await?;
    events::set_aside(&state.db, id, &Reason::read(&bytes)).await?;
    state.engine.wake().notify_one();
    Ok(changed("Event quarantined", id))
}

/// `POST /api/admin/events/{id}/release`.
///
/// # Errors
/// As [`replay`].
pub(super) async fn release(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = admit(&request, &id, &state)?;
    events::release(&state.db, id).await?;
    Ok(changed("Event released", id))
}

/// `POST /api/admin/events/{id}/mark-done`.
///
/// # Errors
/// As [`replay`].
pub(super) async fn mark_done(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = admit(&request, &id, &state)?;
    events::mark_done(&state.db, id).await?;
    state.engine.wake().notify_one();
    Ok(changed("Event marked as done", id))
}

fn admit(request: &HttpRequest, id: &str, state: &State) -> Result<Uuid, Problem> {
    auth::require_admin(request, &state.settings)?;
    Ok(events::id(id)?)
}

fn changed(message: &str, id: Uuid) -> HttpResponse {
    HttpResponse::Ok().json(json!({"success": true, "message": message, "eventId": id}))
}
