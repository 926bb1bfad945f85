//! Request bodies: read as a stream, counted, and given up on when they are
//! too large or too slow.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

/// Longest time a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is thrown away of a body that is too large before the connection is
/// closed: a sender that still writes would otherwise not read the answer.
const DISCARD: usize = 8 << 20;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A body that was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is, or says it is, above the limit.
    #[error("Payload too large")]
    TooLarge,
    /// It did not arrive in time.
    #[error("Request timeout")]
    TooSlow,
    /// The connection broke or its framing is wrong.
    #[error("Bad request")]
    Broken,
}

impl BodyError {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`BodyError`]; never more than `limit` bytes were held.
pub async fn read(request: &HttpRequest, payload: web::Payload, limit: usize) -> Result<Bytes, BodyError> {
    read_within(request, payload, limit, PATIENCE).await
}

async fn read_within(
    request: &HttpRequest,
    mut payload: web::Payload,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let limit_u64 = u64::try_from(limit).unwrap_or(u64::MAX);
    if announced.is_some_and(|length| length > limit_u64) {
        discard(&mut payload).await;
        return Err(BodyError::TooLarge);
    }
    let ends = Instant::now() + patience;
    let mut body = BytesMut::with_capacity(announced.and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
    loop {
        let chunk = match timeout_at(ends, payload.next()).await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(chunk))) => chunk,
        };
        if chunk.len() > limit.saturating_sub(body.len()) {
            drop(body);
            discard(&mut payload).await;
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
}

/// Takes and drops what still comes, within bounds.
async fn discard(payload: &mut web::Payload) {
    let ends = Instant::now() + DISCARD_TIME;
    let mut dropped = 0usize;
    while dropped < DISCARD {
        match timeout_at(ends, payload.next()).await {
            Ok(Some(Ok(chunk))) => dropped = dropped.saturating_add(chunk.len()),
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use actix_web::dev::Payload;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;

    fn streamed(chunks: Vec<&'static [u8]>) -> web::Payload {
        let stream = stream::iter(chunks).map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk)));
        payload(stream.map(|chunk| chunk.map_err(|never| match never {})))
    }

    fn payload(
        stream: impl futures_util::Stream<Item = Result<Bytes, actix_web::error::PayloadError>> + 'static,
    ) -> web::Payload {
        let mut raw = Payload::Stream {
            payload: Box::pin(stream) as std::pin::Pin<Box<dyn futures_util::Stream<Item = _>>>,
        };
        let request = TestRequest::default().to_http_request();
        futures_util::FutureExt::now_or_never(<web::Payload as actix_web::FromRequest>::from_request(
            &request, &mut raw,
        ))
        .unwrap()
        .unwrap()
    }

    #[actix_web::test]
    async fn a_body_is_counted_while_it_streams() {
        let request = TestRequest::default().to_http_request();
        let whole = read(&request, streamed(vec![b"1234", b"5678"]), 8).await;
        assert_eq!(whole.as_deref(), Ok(&b"12345678"[..]));
        let over = read(&request, streamed(vec![b"1234", b"5678", b"9"]), 8).await;
        assert_eq!(over, Err(BodyError::TooLarge));
    }

    #[actix_web::test]
    async fn an_announced_length_above_the_limit_is_refused_unread() {
        let request = TestRequest::default()
            .insert_header((CONTENT_LENGTH, "9"))
            .to_http_request();
        let body = streamed(vec![]);
        assert_eq!(read(&request, body, 8).await, Err(BodyError::TooLarge));
    }

    #[actix_web::test]
    async fn a_sender_that_stalls_is_given_up_on() {
        let request = TestRequest::default().to_http_request();
        let stalled = payload(stream::pending());
        let outcome = read_within(&request, stalled, 8, Duration::from_millis(20)).await;
        assert_eq!(outcome, Err(BodyError::TooSlow));
        assert_eq!(BodyError::TooSlow.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
