//! Do it: the outgoing HTTP clients, and the only place that knows the
//! vendors' paths, headers and request bodies.
//!
//! Reads are free; every write asks for an [`Intent`](crate::loops::Intent),
//! and a text for [`Cleared`](crate::compliance::Cleared).

pub mod aloware;
pub mod breaker;
pub mod budget;
mod classify;
mod client;
mod day;
pub mod error;
pub mod ghl;
mod route;
mod share;
pub mod signals;
pub mod tally;
#[cfg(test)]
mod testkit;
pub mod texting;
mod transport;

pub use aloware::{AlowareClient, AlowareUser, FormRequest};
pub use budget::{Budget, Priority, Standing};
pub use client::on_this_machine;
pub use error::{SetupError, Trouble, VendorError};
pub use ghl::{ContactPatch, GhlClient, MessageRecord, MessageStatus, NewContact, Note, Upserted};
pub use texting::{OutboundText, TextingClient};

use std::time::Duration;

use crate::config::Settings;
use crate::domain::Source;

/// The clients of all vendors. Clones share budgets, breakers and connections.
#[derive(Clone, Debug)]
pub struct Vendors {
    /// GoHighLevel.
    pub ghl: GhlClient,
    /// Aloware.
    pub aloware: AlowareClient,
    /// The texting vendor; `None` when it is not configured for sending.
    pub texting: Option<TextingClient>,
}

impl Vendors {
    /// Makes the clients over one shared connection pool.
    ///
    /// # Errors
    /// [`SetupError`] when a token or base address cannot be used.
    pub fn from_settings(settings: &Settings) -> Result<Self, SetupError> {
        let region = &settings.sync.default_region;
        let bases: Vec<_> = [&settings.ghl.base_url, &settings.aloware.base_url]
            .into_iter()
            .chain(&settings.texting.base_url)
            .collect();
        let http = client::http_client(&bases)?;
        Ok(Self {
            ghl: GhlClient::over(http.clone(), &settings.ghl, &settings.http, region)?,
            aloware: AlowareClient::over(http.clone(), &settings.aloware, &settings.http, region)?,
            texting: TextingClient::over(http, &settings.texting, &settings.http)?,
        })
    }

    /// The budgets, for whoever knows how many processes draw on them.
    pub fn budgets(&self) -> Vec<(Source, Budget)> {
        let texting = self.texting.as_ref().map(|client| (Source::Texting, client.budget()));
        [
            (Source::Aloware, self.aloware.budget()),
            (Source::Ghl, self.ghl.budget()),
        ]
        .into_iter()
        .chain(texting)
        .collect()
    }

    /// For how long no call will be made to a vendor, if it counts as down.
    pub fn down_for(&self, vendor: Source) -> Option<Duration> {
        match vendor {
            Source::Ghl => self.ghl.down_for(),
            Source::Aloware => self.aloware.down_for(),
            Source::Texting => self.texting.as_ref()?.down_for(),
        }
    }
}
