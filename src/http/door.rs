//! Where connections come from: a socket of our own, one that a second daemon
//! may share, or one that systemd keeps and lends us.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::Server;

/// Connections the kernel holds until they are accepted, as far as
/// `net.core.somaxconn` lets it.
const BACKLOG: i32 = 4096;

/// Whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ours alone: when it closes, connections are refused.
    Alone,
    /// Ours, and the daemon that takes over from us has one on the same address.
    Shared,
    /// Somebody else's, who keeps it open and queues connections after us.
    Lent,
}

/// A socket to take connections from.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    kind: Kind,
}

impl Door {
    /// A socket of our own, as the settings say. One that is ours alone takes
    /// connections at once, and they wait until the daemon is up; a shared one
    /// takes none before [`Door::listen`], for the other daemon is there for them.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(server: &Server) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server.bind), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        let kind = if server.reuse_port { Kind::Shared } else { Kind::Alone };
        if kind == Kind::Shared {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&server.bind.into())?;
        if kind == Kind::Alone {
            socket.listen(BACKLOG)?;
        }
        Ok(Self {
            listener: socket.into(),
            kind,
        })
    }

    /// A listening socket that outlives us.
    pub fn lent(listener: TcpListener) -> Self {
        Self {
            listener,
            kind: Kind::Lent,
        }
    }

    /// From now on connections come here, if they did not before.
    ///
    /// # Errors
    /// When a daemon that shares no port has the address.
    pub fn listen(&self) -> io::Result<()> {
        match self.kind {
            Kind::Shared => SockRef::from(&self.listener).listen(BACKLOG),
            Kind::Alone | Kind::Lent => Ok(()),
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) fn into_parts(self) -> (TcpListener, Kind) {
        (self.listener, self.kind)
    }
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self {
            listener,
            kind: Kind::Alone,
        }
    }
}
