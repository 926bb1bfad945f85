//! DF Middleware: one daemon between Aloware, GoHighLevel and a texting vendor.
//!
//! The walk of one event: `http` → `ingest` → `queue` → `router` → `loops` →
//! `conflicts` → `sync` → `vendors` → `store`. ARCHITECTURE.md draws it.

pub mod compliance;
pub mod config;
pub mod domain;
pub mod loops;
pub mod sandbox;
