//! `/api/webhooks/texting`, with a path secret or without: the texting vendor's
//! deliveries, by POST or GET as the vendor has it. Only what was proved is read.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chrono::Utc;

use super::{Ended, keep, read};
use crate::domain::{Source, TextingVendor};
use crate::http::problem::wrong_method;
use crate::http::texting::{Carrier, Knock, Refusal, may_pass, to_json, unreadable, verify};
use crate::http::{State, body};
use crate::ingest::Prepared;

/// `POST /api/webhooks/texting`. A STOP is in the registry before the answer
/// goes out: ingest commits both together.
pub(in crate::http) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    take_in(&request, None, Some(payload), &state).await
}

/// `POST /api/webhooks/texting/{secret}`.
pub(in crate::http) async fn receive_by_secret(
    request: HttpRequest,
    secret: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    take_in(&request, Some(&secret), Some(payload), &state).await
}

/// `GET` and `HEAD` of both. Without parameters a vendor only looks whether
/// somebody is here.
pub(in crate::http) async fn called(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    if request.method() == Method::HEAD {
        return HttpResponse::Ok().finish();
    }
    if !delivers_by_get(state.settings.texting.vendor) {
        return wrong_method(&request, "HEAD, POST");
    }
    if request.query_string().is_empty() {
        return HttpResponse::Ok().finish();
    }
    take_in(&request, None, None, &state).await
}

const fn delivers_by_get(vendor: TextingVendor) -> bool {
    match vendor {
        TextingVendor::Twilio | TextingVendor::Plivo | TextingVendor::Vonage | TextingVendor::MessageBird => true,
        TextingVendor::Generic
        | TextingVendor::Telnyx
        | TextingVendor::Bandwidth
        | TextingVendor::Sinch
        | TextingVendor::Infobip
        | TextingVendor::SimpleTexting
        | TextingVendor::Textmagic
        | TextingVendor::ClickSend => false,
    }
}

async fn take_in(
    request: &HttpRequest,
    path_secret: Option<&str>,
    payload: Option<web::Payload>,
    state: &State,
) -> HttpResponse {
    let vendor = state.settings.texting.vendor;
    let answer = match events(request, path_secret, payload, state).await {
        Ok(events) => keep(state, Source::Texting, events, patience(vendor)).await,
        Err(ended) => ended.answer(Source::Texting),
    };
    if answer.status().is_success() && obeys_answers(vendor) {
        return HttpResponse::Ok().content_type("text/xml").body("<Response/>");
    }
    answer
}

/// Takes the answer to a delivery for orders: a plain body would be texted to
/// the person, an empty one orders nothing.
const fn obeys_answers(vendor: TextingVendor) -> bool {
    matches!(vendor, TextingVendor::Twilio | TextingVendor::Plivo)
}

/// Telnyx waits two seconds and gives up after three deliveries; Twilio waits
/// fifteen and by default never comes again; the others come back for hours.
const fn patience(vendor: TextingVendor) -> Duration {
    match vendor {
        TextingVendor::Telnyx => Duration::from_millis(1500),
        TextingVendor::Twilio => Duration::from_secs(10),
        TextingVendor::Generic
        | TextingVendor::Bandwidth
        | TextingVendor::Plivo
        | TextingVendor::Sinch
        | TextingVendor::Vonage
        | TextingVendor::MessageBird
        | TextingVendor::Infobip
        | TextingVendor::SimpleTexting
        | TextingVendor::Textmagic
        | TextingVendor::ClickSend => Duration::from_secs(5),
    }
}

async fn events(
    request: &HttpRequest,
    path_secret: Option<&str>,
    payload: Option<web::Payload>,
    state: &State,
) -> Result<Vec<Prepared>, Ended> {
    let texting = &state.settings.texting;
    let knock = Knock {
        headers: request.headers(),
        query: request.query_string(),
        path_secret,
        carrier: if payload.is_some() {
            Carrier::Body
        } else {
            Carrier::Query
        },
    };
    let unproved = |refusal| refused(texting.vendor, refusal);
    may_pass(knock, texting, Utc::now()).map_err(unproved)?;
    let body = match payload {
        Some(payload) => body::read(request, payload, state.settings.server.body_limit).await?,
        None => Bytes::new(),
    };
    let delivery = verify(knock, body, texting, Utc::now()).map_err(unproved)?;
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let json = to_json(&delivery, content_type.unwrap_or_default()).await;
    match read(state, Source::Texting, &json) {
        // The generic vendor is told. The others would drop what they hear a 4xx
        // of, and to deliver it again would not help.
        Err(Ended::NotJson) if texting.vendor != TextingVendor::Generic => {
            if delivery.is_empty() {
                return Err(Ended::Ping);
            }
            tracing::error!(vendor = %texting.vendor, "a delivery cannot be read; it is stored as it came");
            read(state, Source::Texting, &unreadable(&delivery))
        }
        outcome => outcome,
    }
}

/// What is authentic and signed at another time, or our clock is wrong: some vendors
/// would drop what they hear a 4xx of, and a STOP with it.
fn refused(vendor: TextingVendor, refusal: Refusal) -> Ended {
    let reason = refusal.as_str();
    metrics::counter!("texting_refused_total", "vendor" => vendor.as_str(), "reason" => reason).increment(1);
    if refusal == Refusal::Stale {
        return Ended::Stale;
    }
    Ended::Unproved(reason)
}
