//! Settings: one table of keys, read once from file and environment into types.

pub mod sections;

pub use sections::*;
