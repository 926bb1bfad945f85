//! The way out: stop taking connections, hear out who is already inside, leave.
//!
//! The framework drops what it has accepted and not yet heard the moment it is
//! told to stop, and closing a socket resets what waits in its backlog. So where
//! somebody takes connections after us, the door is first closed to new ones
//! while everything goes on, and the framework is stopped when nobody is left
//! who has not been heard.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::time::Instant;

use super::door::Kind;

/// Handshakes under way need a round trip, accepted connections a thread.
const LAST_CALL: Duration = Duration::from_millis(300);
/// Longest wait for a connection that says nothing.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a running server is stopped.
pub struct Closing {
    server: ServerHandle,
    kind: Kind,
    /// The server's socket, to look at and to shut to newcomers.
    listener: TcpListener,
    visitors: Visitors,
}

impl std::fmt::Debug for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Closing {
    pub(super) fn new(server: ServerHandle, kind: Kind, listener: TcpListener, visitors: Visitors) -> Self {
        Self {
            server,
            kind,
            listener,
            visitors,
        }
    }

    /// Answers every request that has begun, within the grace, and closes. No
    /// connection is lost if somebody else takes the next ones.
    pub async fn close(self) {
        self.visitors.0.last_call.store(true, Ordering::Relaxed);
        match self.kind {
            // The next connection is refused whatever we do.
            Kind::Alone => {}
            Kind::Shared => {
                if let Err(error) = turn_newcomers_away(&self.listener) {
                    tracing::warn!(%error, "connections that arrive now may be reset");
                }
                self.hear_out(|| is_anyone_waiting(&self.listener)).await;
            }
            // What waits in the backlog is for the next daemon.
            Kind::Lent => {
                self.server.pause().await;
                self.hear_out(|| false).await;
            }
        }
        // The copy would keep the socket open, with nobody behind it.
        drop(self.listener);
        self.server.stop(true).await;
    }

    async fn hear_out(&self, is_anyone_waiting: impl Fn() -> bool) {
        let began = Instant::now();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let waited = began.elapsed();
            let heard = waited >= LAST_CALL && !is_anyone_waiting() && self.visitors.silent() == 0;
            if heard || waited >= PATIENCE {
                return;
            }
        }
    }
}

/// Has the kernel drop what asks for a new connection here, unanswered. The
/// caller's kernel asks again within a second, when this socket is closed and
/// the other daemon's is the only one left. Handshakes under way are finished.
#[cfg(target_os = "linux")]
fn turn_newcomers_away(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // The 14th byte of a TCP header: a SYN (0x02) without ACK (0x10) is dropped.
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(0x30, 0, 0, 13),       // A = byte 13
        SockFilter::new(0x54, 0, 0, 0x12),     // A &= SYN | ACK
        SockFilter::new(0x15, 0, 1, 0x02),     // if A == SYN
        SockFilter::new(0x06, 0, 0, 0),        //   drop
        SockFilter::new(0x06, 0, 0, u32::MAX), // else keep all of it
    ])
}

/// Elsewhere the last connections before the socket closes may be reset.
#[cfg(not(target_os = "linux"))]
fn turn_newcomers_away(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether connections wait to be accepted.
fn is_anyone_waiting(listener: &TcpListener) -> bool {
    let now = Timespec::default();
    rustix::event::poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// The open connections of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Visitors(Arc<Presence>);

#[derive(Debug, Default)]
struct Presence {
    /// Connections without a request so far; each counts itself, and the last call waits for them.
    silent: AtomicUsize,
    /// Set when the door closes: from then on each answer ends its connection.
    last_call: AtomicBool,
}

impl Visitors {
    /// Counts a new connection, until it speaks or ends.
    pub(super) fn arrive(&self) -> Visitor {
        self.0.silent.fetch_add(1, Ordering::AcqRel);
        Visitor {
            presence: Arc::clone(&self.0),
            heard: AtomicBool::new(false),
        }
    }

    fn silent(&self) -> usize {
        self.0.silent.load(Ordering::Acquire)
    }
}

/// One connection; lives as long as it.
#[derive(Debug)]
pub(super) struct Visitor {
    presence: Arc<Presence>,
    heard: AtomicBool,
}

impl Visitor {
    fn speak(&self) {
        if !self.heard.swap(true, Ordering::AcqRel) {
            self.presence.silent.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.speak();
    }
}

/// The middleware that hears visitors, and tells the last ones not to come back
/// on the same connection.
///
/// # Errors
/// Those of the wrapped service.
pub(super) async fn request(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(visitor) = request.conn_data::<Visitor>() {
        visitor.speak();
    }
    let mut answer = next.call(request).await?;
    let last_call = answer
        .request()
        .app_data::<Visitors>()
        .is_some_and(|visitors| visitors.0.last_call.load(Ordering::Relaxed));
    if last_call {
        answer
            .response_mut()
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_silent_until_it_speaks_or_ends() {
        let visitors = Visitors::default();
        let (first, second) = (visitors.arrive(), visitors.arrive());
        assert_eq!(visitors.silent(), 2);
        first.speak();
        first.speak();
        assert_eq!(visitors.silent(), 1);
        drop((first, second));
        assert_eq!(visitors.silent(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_door_closed_to_newcomers_still_hands_over_who_had_come() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let early = std::net::TcpStream::connect(address).unwrap();
        turn_newcomers_away(&listener).unwrap();
        let late = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(is_anyone_waiting(&listener));
        let (_, who) = listener.accept().unwrap();
        assert_eq!(who, early.local_addr().unwrap());
        assert!(!is_anyone_waiting(&listener));
    }
}
