//! A stored delivery as a worker receives it, and what a run of it can answer.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::kinds::closed_set;
use super::outcome::{Failure, Outcome};

closed_set! {
    /// Which of the two event tables a row lives in; the texts are those of
    /// `quarantine_events.event_source`.
    EventTable {
        /// `webhook_events`: Aloware and GHL.
        Webhook = "webhook",
        /// `texting_webhook_events`.
        Texting = "texting",
    }
}

/// One stored delivery. `payload` is the vendor's JSON as received.
#[derive(Clone, Debug)]
pub struct Event {
    /// Primary key, time-ordered for rows the daemon wrote.
    pub id: Uuid,
    /// Arrival order over both tables.
    pub seq: i64,
    /// Which table the row lives in.
    pub table: EventTable,
    /// `ghl`, `aloware`, `texting`, or whatever an operator typed.
    pub source: String,
    /// The vendor's own event name.
    pub event_type: String,
    /// Text form of [`super::Entity`].
    pub entity_type: String,
    /// Id of the thing the event is about.
    pub entity_id: String,
    /// The delivery's JSON body.
    pub payload: Value,
    /// When the delivery was accepted.
    pub received_at: DateTime<Utc>,
    /// Runs that failed so far.
    pub attempts: i16,
}

/// What one run of an event ended in.
pub type Verdict = Result<Outcome, Failure>;
