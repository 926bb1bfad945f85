//! The socket that systemd lends (`LISTEN_FDS`), and what it hears back
//! (`NOTIFY_SOCKET`). Without systemd neither is there, and nothing happens.

use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use socket2::SockRef;

/// What was handed over is no socket to take connections from: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("socket activation: {0}; the socket unit needs one ListenStream= with a TCP address, and Accept=no")]
pub(super) struct BadSocket(String);

/// The lent socket, if there is one. Changes the environment, so it must be
/// called before the process has a second thread.
pub(super) fn socket() -> Result<Option<TcpListener>, BadSocket> {
    let mut lent = ListenFd::from_env();
    match lent.len() {
        0 => Ok(None),
        1 => {
            let listener = lent
                .take_tcp_listener(0)
                .map_err(|error| BadSocket(error.to_string()))?;
            match &listener {
                Some(socket) if !SockRef::from(socket).is_listener().unwrap_or(false) => {
                    Err(BadSocket("the socket does not listen".to_owned()))
                }
                Some(_) | None => Ok(listener),
            }
        }
        more => Err(BadSocket(format!("{more} sockets were handed over"))),
    }
}

/// Tells the supervisor that requests are answered from now on.
pub(super) fn tell_ready() {
    tell(NotifyState::Ready);
}

/// Tells the supervisor that the daemon is on its way out.
pub(super) fn tell_stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}
