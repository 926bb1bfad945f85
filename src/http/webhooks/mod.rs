//! The vendors' doors: authenticate, read, store durably, answer. What a
//! delivery means is decided later; nothing here calls a vendor.

pub(super) mod aloware;
pub(super) mod ghl;
pub(super) mod texting;

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use chrono::Utc;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::State;
use super::body::BodyError;
use crate::domain::Source;
use crate::ingest::{Ack, Ingest, IngestError, Intake, Prepared, Reading};

/// When GHL is to redeliver; it does so on 429 and on nothing else.
const GHL_RETRY_AFTER: u32 = 30;

/// A delivery that ends before anything is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A vendor's test.
    Ping,
    /// Nothing we want.
    Ignored,
    /// No JSON.
    NotJson,
    /// Its sender was not proved; why, is for the log.
    Unproved(&'static str),
    /// It was signed by its sender, and not now.
    Stale,
    /// Its body was not read to the end.
    Body(BodyError),
}

impl From<BodyError> for Ended {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl Ended {
    fn answer(self, source: Source) -> HttpResponse {
        match self {
            Self::Ping => done(&json!({"success": true, "message": "Test ping received"})),
            Self::Ignored => done(&json!({"success": true, "ignored": true})),
            Self::NotJson => plain(StatusCode::BAD_REQUEST, "Invalid JSON"),
            Self::Body(error) => plain(error.status(), &error.to_string()),
            Self::Stale => {
                metrics::counter!("http_refused_total", "reason" => "webhook").increment(1);
                tracing::warn!(%source, "webhook refused: signed more than five minutes off; is the clock right?");
                plain(StatusCode::SERVICE_UNAVAILABLE, "Try again later")
            }
            Self::Unproved(why) => {
                metrics::counter!("http_refused_total", "reason" => "webhook").increment(1);
                tracing::warn!(%source, why, "webhook refused: not authentic");
                plain(StatusCode::UNAUTHORIZED, "Unauthorized")
            }
        }
    }
}

/// Reads a body by its vendor's rules: events to store.
fn read(state: &State, source: Source, body: &[u8]) -> Result<Vec<Prepared>, Ended> {
    let reading = Reading {
        source,
        body,
        received_at: Utc::now(),
    };
    match reading.intake(&state.rules) {
        Ok(Intake::Events(events)) => Ok(events),
        Ok(Intake::Ping) => Err(Ended::Ping),
        Ok(Intake::NotAllowed) => Err(Ended::Ignored),
        Err(_) => Err(Ended::NotJson),
    }
}

/// Stores the events and answers; waits a while rather than refuse.
async fn keep(state: &State, source: Source, events: Vec<Prepared>, patience: Duration) -> HttpResponse {
    let outcome = store_patiently(&state.ingest, events, source, patience).await;
    if let Err(error) = outcome {
        tracing::error!(%source, %error, "delivery refused");
        metrics::counter!("webhooks_not_stored_total", "source" => source.as_str()).increment(1);
    }
    answer(source, outcome)
}

async fn store_patiently(
    ingest: &Ingest,
    events: Vec<Prepared>,
    source: Source,
    patience: Duration,
) -> Result<Ack, IngestError> {
    let ends = Instant::now() + patience;
    let mut pause = Duration::from_millis(20);
    loop {
        // What of an earlier try was stored is a repeat now and harmless.
        let error = match ingest.store(events.clone()).await {
            Ok(ack) => return Ok(ack),
            Err(error) => error,
        };
        let hopeless = error == IngestError::Unavailable && source != Source::Aloware;
        if hopeless || Instant::now() + pause >= ends {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn answer(source: Source, outcome: Result<Ack, IngestError>) -> HttpResponse {
    match (outcome, source) {
        (Ok(Ack::Stored), _) => done(&json!({"success": true, "message": "Webhook received"})),
        (Ok(Ack::Duplicate), _) => done(&json!({"success": true, "message": "Duplicate event ignored"})),
        (Err(_), Source::Ghl) => {
            let mut refusal = plain(StatusCode::TOO_MANY_REQUESTS, "Try again later");
            refusal.headers_mut().insert(RETRY_AFTER, GHL_RETRY_AFTER.into());
            refusal
        }
        (Err(_), Source::Aloware | Source::Texting) => plain(StatusCode::SERVICE_UNAVAILABLE, "Try again later"),
    }
}

fn done(body: &Value) -> HttpResponse {
    HttpResponse::Ok().json(body)
}

fn plain(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .body(text.to_owned())
}

#[cfg(test)]
mod tests;
