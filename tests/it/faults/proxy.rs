//! A TCP line to PostgreSQL that can go wrong in the ways lines do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_postgres::Config;

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// What comes is passed on.
    Pass,
    /// Connections end at once, open ones and new ones.
    Refuse,
    /// Connections stay open and nothing comes through any more. One that was
    /// caught in it stays silent for ever, as after a router lost its table.
    Silent,
    /// An answer of the server breaks off in the middle, and the connection with it.
    Tear,
}

/// The line, until it is dropped.
pub struct Proxy {
    port: u16,
    line: Arc<watch::Sender<Line>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// A line that passes, to the server's socket.
    pub async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(watch::Sender::new(Line::Pass));
        let task = tokio::spawn(accept(listener, socket, Arc::clone(&line)));
        Self { port, line, task }
    }

    /// From now on.
    pub fn becomes(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// How to connect through it to the database that `direct` names.
    pub fn config(&self, direct: &Config) -> Config {
        let (user, name) = (direct.get_user().unwrap(), direct.get_dbname().unwrap());
        format!("postgres://{user}@127.0.0.1:{}/{name}", self.port)
            .parse()
            .unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, line: Arc<watch::Sender<Line>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (socket, line) = (socket.clone(), line.subscribe());
        connections.spawn(async move { connect(client, &socket, line).await });
    }
}

async fn connect(client: TcpStream, socket: &Path, line: watch::Receiver<Line>) {
    // The end of either direction is the end of both; a silent one has no end.
    let Ok(server) = UnixStream::connect(socket).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, line.clone(), false) => {}
        () = pass(from_server, to_client, line, true) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    answers: bool,
) {
    let mut buffer = [0; 8192];
    loop {
        let state = *line.borrow_and_update();
        match state {
            Line::Refuse => return,
            Line::Silent => return std::future::pending().await,
            Line::Pass | Line::Tear => {}
        }
        tokio::select! {
            changed = line.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer) => {
                let count = read.unwrap_or(0);
                let torn = state == Line::Tear && answers;
                let passed = if torn { count / 2 } else { count };
                if count == 0 || to.write_all(&buffer[..passed]).await.is_err() || torn {
                    return;
                }
            }
        }
    }
}
