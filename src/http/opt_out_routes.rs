//! `/api/admin/reviews` and `/api/admin/optouts`: consent at the operators' desk.
//! Numbers and words are shown in full, to whoever has the admin secret only.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use serde_json::json;

use super::problem::Problem;
use super::{State, auth, body};
use crate::admin::ACTOR;
use crate::admin::decisions::Said;
use crate::admin::evidence::Export;
use crate::admin::opt_outs::OptOuts;
use crate::domain::Phone;
use crate::store::StoreError;

/// `GET /api/admin/reviews`.
///
/// # Errors
/// 401, 503.
pub(super) async fn reviews(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let reviews = desk(&state).reviews().await?;
    Ok(private().json(json!({"count": reviews.len(), "reviews": reviews})))
}

/// `GET /api/admin/optouts/{phone}`.
///
/// # Errors
/// 400, 401, 503.
pub(super) async fn show(
    request: HttpRequest,
    phone: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let phone = admit(&request, &phone, &state)?;
    Ok(private().json(desk(&state).show(&phone).await?))
}

/// `GET /api/admin/optouts.csv`.
///
/// # Errors
/// 401, 503.
pub(super) async fn export(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let export = Export::begin(state.db.clone(), ACTOR).await?;
    let pieces = try_unfold(export, async |mut export| {
        let piece = export.next().await?;
        Ok::<_, StoreError>(piece.map(|piece| (Bytes::from(piece), export)))
    });
    Ok(private()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("Content-Disposition", "attachment; filename=\"optouts.csv\""))
        .streaming(pieces))
}

/// `POST /api/admin/optouts/{phone}/decide`.
///
/// # Errors
/// 400, 401, 404, 413, 503.
pub(super) async fn decide(
    request: HttpRequest,
    phone: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let (phone, said) = read(&request, &phone, payload, &state).await?;
    desk(&state).decide(&phone, said.choice()?, &said.grounds()?).await?;
    Ok(done(&state, "Decided"))
}

/// `POST /api/admin/optouts/{phone}/block`.
///
/// # Errors
/// 400, 401, 413, 503.
pub(super) async fn block(
    request: HttpRequest,
    phone: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let (phone, said) = read(&request, &phone, payload, &state).await?;
    desk(&state).block(&phone, said.cause()?, &said.grounds()?).await?;
    Ok(done(&state, "Blocked"))
}

/// `POST /api/admin/optouts/{phone}/lift`.
///
/// # Errors
/// As [`decide`].
pub(super) async fn lift(
    request: HttpRequest,
    phone: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let (phone, said) = read(&request, &phone, payload, &state).await?;
    desk(&state).lift(&phone, said.cause()?, &said.grounds()?).await?;
    Ok(done(&state, "Lifted"))
}

async fn read(
    request: &HttpRequest,
    phone: &str,
    payload: web::Payload,
    state: &State,
) -> Result<(Phone, Said), Problem> {
    let phone = admit(request, phone, state)?;
    let bytes = body::read(request, payload, state.settings.server.body_limit).await?;
    Ok((phone, Said::read(&bytes)?))
}

fn admit(request: &HttpRequest, phone: &str, state: &State) -> Result<Phone, Problem> {
    auth::require_admin(request, &state.settings)?;
    Phone::parse(phone, &state.rules.hint).ok_or_else(|| Problem::bad_request("this is no phone number"))
}

fn desk(state: &State) -> OptOuts {
    OptOuts::new(state.db.clone(), ACTOR)
}

fn private() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("Cache-Control", "no-store"));
    answer
}

fn done(state: &State, message: &str) -> HttpResponse {
    state.engine.wake().notify_one();
    HttpResponse::Ok().json(json!({"success": true, "message": message}))
}
