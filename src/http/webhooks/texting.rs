//! `POST /api/webhooks/texting`. The generic vendor has no GET or HEAD.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Ended, keep, read};
use crate::domain::Source;
use crate::http::{State, auth, body};

/// Takes a delivery in. A STOP is in the registry before the answer goes out:
/// ingest commits both together.
pub(in crate::http) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    match take_in(&request, payload, &state).await {
        Ok(answer) => answer,
        Err(ended) => ended.answer(Source::Texting),
    }
}

async fn take_in(request: &HttpRequest, payload: web::Payload, state: &State) -> Result<HttpResponse, Ended> {
    if !auth::is_texting(request, &state.settings.texting.webhook_secrets) {
        return Err(Ended::Unproved);
    }
    let bytes = body::read(request, payload, state.settings.server.body_limit).await?;
    let events = read(state, Source::Texting, &bytes)?;
    Ok(keep(state, Source::Texting, events).await)
}
