//! GHL's doors: app events and workflow webhooks, and the provider's delivery
//! URL, through which an agent's text reaches us to be sent. Only a
//! [`Verified`] body is read.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::{ignored, keep, read, unauthorized};
use crate::config::Ghl;
use crate::domain::Source;
use crate::http::State;
use crate::http::body;
use crate::http::signature::{Door, Verified, may_pass, verify};
use crate::wire::ghl::{Delivery, Kind, PROVIDER_OUTBOUND};
use crate::wire::json::text;

/// `POST /api/webhooks/ghl`.
pub(in crate::http) async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    match verified(&request, payload, Door::Plain, &state).await {
        Ok(delivery) => ingest(&state, &delivery).await,
        Err(answer) => answer,
    }
}

/// `POST /api/webhooks/ghl/{secret}`.
pub(in crate::http) async fn receive_by_secret(
    request: HttpRequest,
    secret: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    match verified(&request, payload, Door::Secret(&secret), &state).await {
        Ok(delivery) => ingest(&state, &delivery).await,
        Err(answer) => answer,
    }
}

/// `POST /api/webhooks/ghl/provider-delivery`: what is stored here is sent, so
/// it must be signed and be of our own sub-account (GHL signs with one key for
/// every app and every sub-account).
pub(in crate::http) async fn receive_provider(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let delivery = match verified(&request, payload, Door::Signed, &state).await {
        Ok(delivery) => delivery,
        Err(answer) => return answer,
    };
    let event = match provider_event(&delivery, &state.settings.ghl) {
        Provider::Event(event) => event,
        Provider::Foreign => return ignored(),
        Provider::Unreadable => delivery.body().to_vec(),
    };
    match read(&state, Source::Ghl, &event) {
        Ok(events) => keep(&state, Source::Ghl, events).await,
        Err(answer) => answer,
    }
}

async fn verified(
    request: &HttpRequest,
    payload: web::Payload,
    door: Door<'_>,
    state: &State,
) -> Result<Verified, HttpResponse> {
    let settings = &state.settings.ghl;
    if !may_pass(request.headers(), door, settings) {
        return Err(unauthorized(Source::Ghl));
    }
    let bytes = body::read(request, payload, state.settings.server.body_limit)
        .await
        .map_err(body::BodyError::plain)?;
    verify(request.headers(), bytes, door, settings).map_err(|_| unauthorized(Source::Ghl))
}

async fn ingest(state: &State, delivery: &Verified) -> HttpResponse {
    let events = match read(state, Source::Ghl, delivery.body()) {
        Ok(events) => events,
        Err(answer) => return answer,
    };
    // This name is ours; a body that brings it along wants a text sent without
    // having gone through the provider's door.
    let forged = |name: &str| Delivery::read(name, &Value::Null).kind == Kind::ProviderOutbound;
    if events.iter().any(|event| forged(&event.row.event_type)) {
        tracing::warn!("ignored a delivery that called itself a provider delivery");
        return ignored();
    }
    keep(state, Source::Ghl, events).await
}

/// What a body at the provider's door is.
enum Provider {
    /// A message to send, named so that the rest of the walk knows it.
    Event(Vec<u8>),
    /// Of another sub-account.
    Foreign,
    /// No JSON object; read as it is, it gets the usual answers.
    Unreadable,
}

fn provider_event(delivery: &Verified, settings: &Ghl) -> Provider {
    let Ok(Value::Object(mut map)) = serde_json::from_slice(delivery.body()) else {
        return Provider::Unreadable;
    };
    // `type` is the channel here; the event's name takes its place.
    let channel = map.insert("type".to_owned(), Value::from(PROVIDER_OUTBOUND));
    map.insert("channel".to_owned(), channel.unwrap_or_default());
    map.remove("event");
    let event = Value::Object(map);
    let location = text(&event, &["locationId"]);
    if location.is_some_and(|id| id != settings.location_id) {
        return Provider::Foreign;
    }
    Provider::Event(event.to_string().into_bytes())
}
