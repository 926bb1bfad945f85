//! Meters and fuses: is the daemon well, how much waits, what does it log, and
//! what is wrong. Only `checks` touches a vendor, for a person who asks; nothing
//! here knows a web framework.

pub mod checks;
pub mod health;
pub mod metrics;
pub mod telemetry;
