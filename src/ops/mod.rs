//! Meters and fuses: is the daemon well, how much waits, what does it log.
//! Never touches a vendor, and knows no web framework.

pub mod health;
pub mod metrics;
pub mod telemetry;
