//! What every simulator offers besides its vendor: address, calls, faults.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use tokio::sync::oneshot;

use super::faults::{Fault, FaultHandle, Faults, Times};
use super::record::{Call, Journal};
use super::server::{Desk, Simulator, serve};
use super::webhook::Courier;
use super::wire::Vendor;

/// A simulator's server. Dropping it stops the server.
pub struct Station {
    address: SocketAddr,
    desk: Arc<Desk>,
    server: ServerHandle,
}

impl Station {
    /// Binds a port and serves on a thread of its own.
    pub(super) async fn open(
        vendor: Vendor,
        simulator: Arc<dyn Simulator>,
        journal: Arc<Journal>,
        courier: Option<Courier>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk {
            vendor,
            simulator,
            journal,
            faults: Faults::default(),
            latency: Mutex::new(None),
        });
        let (ready, started) = oneshot::channel();
        let data = Data::from(Arc::clone(&desk));
        std::thread::Builder::new()
            .name(format!("sandbox-{vendor:?}"))
            .spawn(move || {
                actix_web::rt::System::new().block_on(serve(listener, data, courier, ready));
            })?;
        let server = started.await.map_err(io::Error::other)??;
        Ok(Self { address, desk, server })
    }

    /// Base URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Recorded calls to this vendor.
    pub fn calls(&self) -> Vec<Call> {
        self.desk.journal.select(|call| call.vendor == self.desk.vendor)
    }

    /// Recorded calls with this method (`*` for any) and path prefix or
    /// `*`-pattern.
    pub fn calls_to(&self, method: &str, pattern: &str) -> Vec<Call> {
        self.desk.journal.select(|call| {
            call.vendor == self.desk.vendor
                && (method == "*" || call.method == method)
                && super::faults::matches(pattern, &call.path)
        })
    }

    /// Recorded calls that no simulated endpoint matched.
    pub fn unmatched(&self) -> Vec<Call> {
        self.desk
            .journal
            .select(|call| call.vendor == self.desk.vendor && !call.matched)
    }

    /// How many requests arrived, recorded or not.
    pub fn calls_total(&self) -> u64 {
        self.desk.journal.total(self.desk.vendor)
    }

    /// The first call to this vendor that satisfies `wanted`.
    pub async fn wait_for_call(&self, wanted: impl Fn(&Call) -> bool, timeout: Duration) -> Option<Call> {
        let vendor = self.desk.vendor;
        self.desk
            .journal
            .wait_for(|call| call.vendor == vendor && wanted(call), timeout)
            .await
    }

    /// Switches a fault on for requests with this method (`*` for any) whose
    /// path starts with `pattern`, or matches it if it contains `*`.
    pub fn fault(&self, method: &str, pattern: &str, times: Times, fault: Fault) -> FaultHandle {
        self.desk.faults.add(method, pattern, times, fault)
    }

    /// Switches all faults off and releases held requests.
    pub fn clear_faults(&self) {
        self.desk.faults.clear();
    }

    /// Every answer leaves this much later.
    pub fn set_latency(&self, latency: Option<Duration>) {
        *self.desk.latency.lock().unwrap_or_else(PoisonError::into_inner) = latency;
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.desk.faults.clear();
        drop(self.server.stop(false));
    }
}
