//! The engine: lanes of events, one lane per person, run in order, at least
//! once, fenced. Knows no vendor and no meaning of an event.
//!
//! A lane's life:
//! ```text
//!            ingest                claim                  complete
//!  (no row) ────────▶ ready ────────────────▶ leased ─────────────────▶ (no row)   nothing left
//!                       ▲                       │  │
//!                       │  more events, retry   │  │ lease runs out: ready again, next claim
//!                       └───────────────────────┘  └──────▶ has a new epoch and fences this one
//! ```

mod backoff;
mod claim;
mod complete;
mod dispatch;
mod flight;
mod lane;
mod lease;
mod sweep;
mod trial;

pub use backoff::{RetryPolicy, delay};
pub use dispatch::{Engine, Limits};
pub use lane::{Handler, Report, RunContext};
pub use sweep::KeyOf;
