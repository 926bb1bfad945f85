//! `POST /api/webhooks/aloware`. Aloware never redelivers, so what is authentic
//! and readable is refused for nothing short of a full disk.

use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{keep, read, unauthorized};
use crate::domain::Source;
use crate::http::{State, auth, body};

/// Takes a delivery in.
pub(in crate::http) async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    if !auth::is_aloware(&request, &state.settings.aloware) {
        let mut refusal = unauthorized(Source::Aloware);
        let challenge = HeaderValue::from_static("Basic realm=\"df-middleware\"");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return refusal;
    }
    let bytes = match body::read(&request, payload, state.settings.server.body_limit).await {
        Ok(bytes) => bytes,
        Err(error) => return error.plain(),
    };
    match read(&state, Source::Aloware, &bytes) {
        Ok(events) => keep(&state, Source::Aloware, events).await,
        Err(answer) => answer,
    }
}
