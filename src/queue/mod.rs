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
mod by_hand;
mod claim;
mod coalesce;
mod complete;
mod dispatch;
mod flight;
mod lane;
mod lease;
mod session;
mod settle;
mod stops;
mod storing;
mod sweep;
mod trial;

pub use backoff::{RetryPolicy, delay};
pub use by_hand::Round;
pub use claim::CLAIM;
pub use complete::COMPLETE;
pub use dispatch::{Engine, Limits};
pub use lane::{EVENT_DEADLINE, Handler, Report, RunContext};
pub use lease::RENEW;
pub use session::Session;
pub use sweep::KeyOf;
