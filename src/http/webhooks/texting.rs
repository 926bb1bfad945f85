//! `POST /api/webhooks/texting`. The generic vendor has no GET or HEAD.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{keep, read, unauthorized};
use crate::domain::Source;
use crate::http::{State, auth, body};

/// Takes a delivery in. A STOP is in the registry before the answer goes out:
/// ingest commits both together.
pub(in crate::http) async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    if !auth::is_texting(&request, &state.settings.texting.webhook_secrets) {
        return unauthorized(Source::Texting);
    }
    let bytes = match body::read(&request, payload, state.settings.server.body_limit).await {
        Ok(bytes) => bytes,
        Err(error) => return error.plain(),
    };
    match read(&state, Source::Texting, &bytes) {
        Ok(events) => keep(&state, Source::Texting, events).await,
        Err(answer) => answer,
    }
}
