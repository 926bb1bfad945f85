//! GHL's doors: app events and workflow webhooks, and the provider's delivery
//! URL, through which an agent's text reaches us to be sent. Only a
//! [`Verified`] body is read.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::{Ended, keep, read};
use crate::config::Ghl;
use crate::domain::Source;
use crate::http::signature::{Door, Verified, may_pass, verify};
use crate::http::{State, body};
use crate::wire::ghl::{Delivery, Kind, PROVIDER_OUTBOUND};
use crate::wire::json::text;

/// GHL comes back when refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// `POST /api/webhooks/ghl`.
pub(in crate::http) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let delivery = verified(&request, payload, Door::Plain, &state).await;
    event(&state, delivery).await
}

/// `POST /api/webhooks/ghl/{secret}`.
pub(in crate::http) async fn receive_by_secret(
    request: HttpRequest,
    secret: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let delivery = verified(&request, payload, Door::Secret(&secret), &state).await;
    event(&state, delivery).await
}

/// `POST /api/webhooks/ghl/provider-delivery`: what is stored here is sent, so
/// it must be signed and be of our own sub-account (GHL signs with one key for
/// every app and every sub-account).
pub(in crate::http) async fn receive_provider(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let delivery = verified(&request, payload, Door::Signed, &state).await;
    let event = delivery.and_then(|delivery| {
        let event = provider_event(&delivery, &state.settings.ghl)?;
        read(&state, Source::Ghl, event.as_bytes())
    });
    match event {
        Ok(events) => keep(&state, Source::Ghl, events, PATIENCE).await,
        Err(ended) => ended.answer(Source::Ghl),
    }
}

async fn verified(
    request: &HttpRequest,
    payload: web::Payload,
    door: Door<'_>,
    state: &State,
) -> Result<Verified, Ended> {
    let settings = &state.settings.ghl;
    if !may_pass(request.headers(), door, settings) {
        return Err(Ended::Unproved("no proof"));
    }
    let bytes = body::read(request, payload, state.settings.server.body_limit).await?;
    verify(request.headers(), bytes, door, settings).map_err(|_| Ended::Unproved("wrong proof"))
}

async fn event(state: &State, delivery: Result<Verified, Ended>) -> HttpResponse {
    let events = delivery.and_then(|delivery| read(state, Source::Ghl, delivery.body()));
    match events {
        // This name is ours; a body that brings it along wants a text sent
        // without having gone through the provider's door.
        Ok(events) if events.iter().any(|event| is_provider(&event.row.event_type)) => {
            tracing::warn!("ignored a delivery that called itself a provider delivery");
            Ended::Ignored.answer(Source::Ghl)
        }
        Ok(events) => keep(state, Source::Ghl, events, PATIENCE).await,
        Err(ended) => ended.answer(Source::Ghl),
    }
}

fn is_provider(name: &str) -> bool {
    Delivery::read(name, &Value::Null).kind == Kind::ProviderOutbound
}

/// A body at the provider's door, named so that the rest of the walk knows it.
fn provider_event(delivery: &Verified, settings: &Ghl) -> Result<String, Ended> {
    let body = serde_json::from_slice(delivery.body()).map_err(|_| Ended::NotJson)?;
    let Value::Object(mut map) = body else {
        return Err(Ended::Ping);
    };
    // `type` is the channel here; the event's name takes its place.
    let channel = map.insert("type".to_owned(), Value::from(PROVIDER_OUTBOUND));
    map.insert("channel".to_owned(), channel.unwrap_or_default());
    map.remove("event");
    let event = Value::Object(map);
    let location = text(&event, &["locationId"]);
    if location.is_some_and(|id| id != settings.location_id) {
        tracing::warn!("ignored a provider delivery of another sub-account");
        return Err(Ended::Ignored);
    }
    Ok(event.to_string())
}
