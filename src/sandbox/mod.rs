//! The three vendors as local HTTP servers, at least as strict as the real
//! ones: for the tests, the benches and `df-middleware dev`.
//!
//! The room talks HTTP only and depends on no other room. A simulator that is
//! kinder than its vendor is a bug: it hides one.

pub mod aloware;
pub mod faults;
pub mod ghl;
pub mod record;
mod server;
mod shape;
mod station;
#[cfg(test)]
mod tests;
pub mod texting;
mod webhook;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use self::aloware::AlowareSim;
pub use self::faults::{Fault, FaultHandle, Times};
pub use self::ghl::GhlSim;
pub use self::record::{Call, Journal, Recording};
pub use self::station::Station;
pub use self::texting::TextingSim;
pub use self::webhook::Delivered;
pub use self::wire::Vendor;

/// How much a sandbox remembers and how slow it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the journal keeps.
    pub recording: Recording,
    /// Whether GoHighLevel enforces its rate limits.
    pub rate_limits: bool,
    /// Every answer of every vendor is this late.
    pub latency: Option<Duration>,
    /// How many messages, texts, and notes of a contact a vendor keeps.
    pub keep_last: usize,
}

impl Options {
    /// Everything recorded, documented limits in force.
    pub fn strict() -> Self {
        Self {
            recording: Recording::Everything,
            rate_limits: true,
            latency: None,
            keep_last: usize::MAX,
        }
    }

    /// For benches: no limits, counters only, bounded memory.
    pub fn instant() -> Self {
        Self {
            recording: Recording::CountersOnly,
            rate_limits: false,
            latency: None,
            keep_last: 64,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::strict()
    }
}

/// The three vendors, running. Dropping it stops them.
pub struct Sandbox {
    /// GoHighLevel.
    pub ghl: GhlSim,
    /// Aloware.
    pub aloware: AlowareSim,
    /// The texting vendor.
    pub texting: TextingSim,
    journal: Arc<Journal>,
}

impl Sandbox {
    /// Starts all three on free local ports.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::strict()).await
    }

    /// Starts all three with these options.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let journal = Arc::new(Journal::new(options.recording));
        let sandbox = Self {
            ghl: GhlSim::start(&options, Arc::clone(&journal)).await?,
            aloware: AlowareSim::start(&options, Arc::clone(&journal)).await?,
            texting: TextingSim::start(&options, Arc::clone(&journal)).await?,
            journal,
        };
        sandbox.set_latency(options.latency);
        Ok(sandbox)
    }

    /// Every answer of every vendor leaves this much later.
    pub fn set_latency(&self, latency: Option<Duration>) {
        self.ghl.set_latency(latency);
        self.aloware.set_latency(latency);
        self.texting.set_latency(latency);
    }

    /// The journal of all three vendors.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Every recorded call, in arrival order across the vendors.
    pub fn calls(&self) -> Vec<Call> {
        self.journal.calls()
    }

    /// Recorded calls no simulated endpoint matched; a good test ends without.
    pub fn unmatched(&self) -> Vec<Call> {
        self.journal.unmatched()
    }

    /// The first call to any vendor that satisfies `wanted`.
    pub async fn wait_for_call(&self, wanted: impl Fn(&Call) -> bool, timeout: Duration) -> Option<Call> {
        self.journal.wait_for(wanted, timeout).await
    }

    /// Switches all faults of all vendors off and releases held requests.
    pub fn clear_faults(&self) {
        self.ghl.clear_faults();
        self.aloware.clear_faults();
        self.texting.clear_faults();
    }
}
