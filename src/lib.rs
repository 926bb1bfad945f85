//! DF Middleware: one daemon between Aloware, GoHighLevel and a texting vendor.
//!
//! The walk of one event: `http` → `ingest` → `queue` → `router` → `loops` →
//! `conflicts` → `sync` → `vendors` → `store`. ARCHITECTURE.md draws it.

pub mod admin;
pub mod app;
pub mod cli;
pub mod compliance;
pub mod config;
pub mod conflicts;
pub mod domain;
pub mod embedded;
pub mod http;
pub mod ingest;
pub mod loops;
pub mod ops;
pub mod queue;
pub mod router;
pub mod sandbox;
pub mod schedule;
pub mod store;
pub mod sync;
pub mod vendors;
pub mod wire;

// Reading deliveries is many small allocations on every thread: with the system's
// allocator they cost the daemon a quarter of its processor time (`benches/pipeline`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
