//! From an authenticated body to a durable row: normalise, key, commit.
//! Nothing here calls a vendor, and nothing is dropped: what cannot be
//! understood is stored and closed as skipped later.

mod batch;
mod consent;
pub mod decided;
mod drain;
mod keys;
pub mod normalise;
mod outbox;
mod pieces;
mod tables;

pub use batch::{Ack, Ingest, IngestError};
pub use keys::stored_order_key;
pub use normalise::{Intake, Prepared, Reading, Rules};
pub use outbox::Outbox;
