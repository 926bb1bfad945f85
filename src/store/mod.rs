//! The tables: one file per table, SQL text beside its function; and the spool,
//! their refuge. Nothing here knows a vendor, and nothing here decides.

pub mod agents;
pub mod announcer;
pub mod audit;
pub mod contact_mappings;
pub mod dev;
pub mod echoes;
pub mod effects;
mod error;
pub mod event_views;
pub mod events;
pub mod ingest;
pub mod inspection;
pub mod message_mappings;
pub mod notice;
pub mod opt_out_deliveries;
pub mod opt_out_views;
pub mod opt_outs;
pub mod outbound_messages;
pub mod pieces;
mod pool;
pub mod quarantine;
pub mod retention;
pub mod reviews;
pub mod scheduled_runs;
pub mod send_guard;
pub mod sessions;
pub mod siblings;
pub mod spool;
pub mod spool_look;
mod spool_record;
#[cfg(test)]
mod spool_tests;
pub mod sync_log;
pub mod vendor_usage;

pub use error::StoreError;
pub use pool::{Db, migrate, newest_schema, within};
