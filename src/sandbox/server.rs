//! The server around a simulator: a thread of its own, recording, faults and
//! latency. Vendor behaviour lives in the simulators, not here.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use chrono::Utc;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::{oneshot, watch};

use super::faults::{Fault, Faults};
use super::record::Journal;
use super::webhook::Courier;
use super::wire::{Answer, Request, Vendor};

/// Largest request body a simulator reads.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// A vendor's behaviour: a function of the request and its own state.
pub(super) trait Simulator: Send + Sync + 'static {
    /// Whether an endpoint for this request exists.
    fn knows(&self, request: &Request) -> bool;
    /// Does what the request asks and answers.
    fn answer(&self, request: &Request) -> Answer;
    /// Headers every answer carries, fault answers too.
    fn dress(&self, answer: Answer) -> Answer {
        answer
    }
}

/// Shared between the station and its server thread.
pub(super) struct Desk {
    pub(super) vendor: Vendor,
    pub(super) simulator: Arc<dyn Simulator>,
    pub(super) journal: Arc<Journal>,
    pub(super) faults: Faults,
    pub(super) latency: Mutex<Option<Duration>>,
}

/// Runs the server until it is stopped.
pub(super) async fn serve(
    listener: TcpListener,
    desk: Data<Desk>,
    courier: Option<Courier>,
    ready: oneshot::Sender<io::Result<ServerHandle>>,
) {
    if let Some(courier) = courier {
        actix_web::rt::spawn(courier.run());
    }
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .app_data(desk.clone())
            .default_service(web::to(handle))
    })
    .on_connect(|connection, data| {
        let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>();
        if let Some(copy) = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) {
            data.insert(Line(TcpStream::from(copy)));
        }
    })
    .workers(1)
    .keep_alive(Duration::from_secs(75))
    .client_request_timeout(Duration::ZERO)
    .shutdown_timeout(0)
    .disable_signals()
    .listen(listener)
    .map(HttpServer::run);
    match server {
        Ok(server) => {
            // A start nobody waits for any more needs no server.
            if ready.send(Ok(server.handle())).is_ok() {
                drop(server.await);
            }
        }
        Err(error) => drop(ready.send(Err(error))),
    }
}

/// The connection of a request, to drop it without an answer.
struct Line(TcpStream);

/// How a request ends.
enum Ending {
    Reply(Answer),
    Truncated(Answer),
    Dropped,
}

/// One request: counted, faulted, applied, recorded, answered.
async fn handle(request: HttpRequest, raw: Bytes, desk: Data<Desk>) -> HttpResponse {
    let at = Utc::now();
    let seen = Request::read(&request, &raw);
    let seq = desk.journal.arrive(desk.vendor);
    let place = (seq, desk.vendor, at);
    let matched = desk.simulator.knows(&seen);
    let ending = match desk.faults.take(&seen.method, &seen.path) {
        None => {
            let answer = desk.simulator.answer(&seen);
            desk.journal.open(place, &seen, matched, Some(&answer));
            Ending::Reply(answer)
        }
        Some((Fault::ApplyThen(fault), latch)) => {
            let answer = desk.simulator.answer(&seen);
            desk.journal.open(place, &seen, matched, None);
            suffer(&desk, &seen, innermost(*fault), latch, Some(answer)).await
        }
        Some((fault, latch)) => {
            desk.journal.open(place, &seen, matched, None);
            suffer(&desk, &seen, fault, latch, None).await
        }
    };
    let latency = *desk.latency.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(latency) = latency {
        tokio::time::sleep(latency).await;
    }
    match ending {
        Ending::Reply(answer) => {
            let answer = desk.simulator.dress(answer);
            desk.journal.close(seq, Some(answer.status));
            let body = answer.body.clone();
            response(&answer).body(body)
        }
        Ending::Truncated(answer) => {
            desk.journal.close(seq, Some(answer.status));
            truncated(&answer)
        }
        Ending::Dropped => {
            desk.journal.close(seq, None);
            if let Some(Line(stream)) = request.conn_data::<Line>() {
                // Already closed by the client: the same to us.
                drop(stream.shutdown(Shutdown::Both));
            }
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Carries a fault out. `applied` is the true answer if the effect is done.
async fn suffer(
    desk: &Data<Desk>,
    request: &Request,
    fault: Fault,
    mut latch: watch::Receiver<bool>,
    applied: Option<Answer>,
) -> Ending {
    let finish = || applied.clone().unwrap_or_else(|| desk.simulator.answer(request));
    match fault {
        Fault::Status { status, body, headers } => {
            let mut answer = Answer::text(status, &body);
            answer.headers = headers;
            Ending::Reply(answer)
        }
        Fault::RateLimited { retry_after } => {
            let answer = Answer::text(429, r#"{"statusCode":429,"message":"Too Many Requests"}"#);
            Ending::Reply(match retry_after {
                Some(wait) => answer.with_header("Retry-After", &wait.as_secs().to_string()),
                None => answer,
            })
        }
        Fault::Hang => {
            // The sender lives in the rule; if the rule is gone the wait is over.
            drop(latch.wait_for(|released| *released).await);
            Ending::Dropped
        }
        Fault::Gate => {
            drop(latch.wait_for(|released| *released).await);
            Ending::Reply(finish())
        }
        Fault::Delay(wait) => {
            // A vendor ends what it began, whoever still listens.
            let (desk, request) = (desk.clone(), request.clone());
            let late = actix_web::rt::spawn(async move {
                tokio::time::sleep(wait).await;
                applied.unwrap_or_else(|| desk.simulator.answer(&request))
            });
            late.await.map_or(Ending::Dropped, Ending::Reply)
        }
        Fault::Reset => Ending::Dropped,
        Fault::HtmlOk => Ending::Reply(Answer::html(200)),
        Fault::Truncated | Fault::ApplyThen(_) => {
            Ending::Truncated(applied.unwrap_or_else(|| Answer::text(200, r#"{"contact":{"id":"truncated"}}"#)))
        }
    }
}

/// `ApplyThen(ApplyThen(x))` means no more than `ApplyThen(x)`.
fn innermost(fault: Fault) -> Fault {
    match fault {
        Fault::ApplyThen(inner) => innermost(*inner),
        other => other,
    }
}

fn response(answer: &Answer) -> actix_web::HttpResponseBuilder {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(kind) = answer.content_type {
        response.content_type(kind);
    }
    for (name, value) in &answer.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response
}

/// Half of the body under the `Content-Length` of the whole, then a close.
fn truncated(answer: &Answer) -> HttpResponse {
    let whole = u64::try_from(answer.body.len()).unwrap_or(u64::MAX).max(2);
    let half = answer.body.slice(..answer.body.len() / 2);
    let cut = async {
        // Lets the first half reach the client before the error closes the line.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err::<Bytes, io::Error>(io::ErrorKind::ConnectionAborted.into())
    };
    let body = stream::iter([Ok(half)]).chain(stream::once(cut));
    response(answer).body(SizedStream::new(whole, Box::pin(body)))
}
