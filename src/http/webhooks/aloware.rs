//! `POST /api/webhooks/aloware`. Aloware never redelivers, so what is authentic
//! and readable is refused for nothing short of a full disk.

use std::time::Duration;

use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Ended, keep, read};
use crate::domain::Source;
use crate::http::{State, auth, body};

/// Aloware delivers once and never again.
const PATIENCE: Duration = Duration::from_secs(25);

/// Takes a delivery in.
pub(in crate::http) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let ended = match take_in(&request, payload, &state).await {
        Ok(answer) => return answer,
        Err(ended) => ended,
    };
    let mut answer = ended.answer(Source::Aloware);
    if matches!(ended, Ended::Unproved(_)) {
        let challenge = HeaderValue::from_static("Basic realm=\"df-middleware\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

async fn take_in(request: &HttpRequest, payload: web::Payload, state: &State) -> Result<HttpResponse, Ended> {
    if !auth::is_aloware(request, &state.settings.aloware) {
        return Err(Ended::Unproved("secret"));
    }
    let bytes = body::read(request, payload, state.settings.server.body_limit).await?;
    let events = read(state, Source::Aloware, &bytes)?;
    Ok(keep(state, Source::Aloware, events, PATIENCE).await)
}
