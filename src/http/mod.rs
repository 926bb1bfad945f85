//! Where everything comes in: the listener, its routes, who may knock, and how
//! errors look. Handlers parse, ask another room, and answer; nothing here
//! knows SQL or calls a vendor.

mod admin_routes;
pub mod auth;
pub mod body;
mod closing;
mod door;
mod home;
mod jobs;
pub mod messages;
mod observe;
mod ops_routes;
mod opt_out_routes;
pub mod problem;
mod query;
mod routes;
pub mod signature;
pub mod sync_routes;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
pub mod texting;
mod webhooks;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, dev, web};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::Settings;
use crate::ingest::{Ingest, Rules};
use crate::ops::checks::Checks;
use crate::queue::Engine;
use crate::store::Db;

pub use closing::Closing;
pub use door::Door;
pub use messages::{SendError, SendRequest, Sender};
pub use routes::{ROUTES, RouteEntry, configure};
pub use sync_routes::{Desk, DeskError, Listed, Pair, Who};

use closing::Visitors;
use home::Home;

/// Listener threads. A request costs microseconds of their time; the rest is
/// waiting.
const WORKERS: usize = 2;
/// Time for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What the handlers work with. One per process.
pub struct State {
    /// All settings.
    pub settings: Arc<Settings>,
    /// The tables.
    pub db: Db,
    /// The way into them for deliveries.
    pub ingest: Ingest,
    /// The task pool, to be woken or run once.
    pub engine: Arc<Engine>,
    /// How bodies are read.
    pub rules: Rules,
    /// Sends texts.
    pub sender: Arc<dyn Sender>,
    /// Synchronises on request.
    pub desk: Arc<dyn Desk>,
    /// The meters, where a recorder is installed.
    pub metrics: Option<PrometheusHandle>,
    /// What is wrong, for a person who asks.
    pub checks: Checks,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// A server behind a door, and the way to close it; it runs while the returned
/// future is polled. Must be called on the daemon's runtime: sends and runs stay
/// there when the listener ends.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn server(state: State, door: Door) -> io::Result<(dev::Server, Closing)> {
    let grace = state.settings.server.shutdown_grace;
    let data = web::Data::new(state);
    let home = Home::here();
    let visitors = Visitors::default();
    let (listener, kind) = door.into_parts();
    listener.set_nonblocking(true)?;
    let watched = listener.try_clone()?;
    let (present, counted) = (visitors.clone(), visitors.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(home.clone())
            .app_data(present.clone())
            .wrap(from_fn(observe::request))
            .wrap(from_fn(closing::request))
            .configure(configure)
    })
    .on_connect(move |_, connection| {
        connection.insert(counted.arrive());
    })
    .workers(WORKERS)
    .client_request_timeout(HEAD_TIME)
    .client_disconnect_timeout(Duration::from_secs(5))
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(grace.as_secs().max(1))
    .disable_signals()
    .listen(listener)?
    .run();
    let closing = Closing::new(server.handle(), kind, watched, visitors);
    Ok((server, closing))
}
