//! How a run of an event ends: rows for `sync_log`, or a failure with its class.

use std::time::Duration;

use serde_json::Value;

use super::kinds::{Entity, Flow, SyncStatus};

/// One `sync_log` row to be.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// Which way data went.
    pub flow: Flow,
    /// What kind of thing was synchronised (text form of [`Entity`], or the event's own).
    pub entity_type: String,
    /// The thing's id.
    pub entity_id: String,
    /// The id of the written counterpart; present on every success.
    pub target_id: Option<String>,
    /// How it ended.
    pub status: SyncStatus,
    /// Reason or information, free of personal data.
    pub message: Option<String>,
    /// Field decisions of a merge, as JSON.
    pub decisions: Option<Value>,
}

impl LogEntry {
    /// A row that says why nothing was done.
    pub fn skipped(flow: Flow, entity: Entity, entity_id: &str, reason: impl Into<String>) -> Self {
        Self {
            flow,
            entity_type: entity.as_str().to_owned(),
            entity_id: entity_id.to_owned(),
            target_id: None,
            status: SyncStatus::Skipped,
            message: Some(reason.into()),
            decisions: None,
        }
    }

    /// A row for a write that is in place at `target_id`.
    pub fn success(flow: Flow, entity: Entity, entity_id: &str, target_id: &str) -> Self {
        Self {
            flow,
            entity_type: entity.as_str().to_owned(),
            entity_id: entity_id.to_owned(),
            target_id: Some(target_id.to_owned()),
            status: SyncStatus::Success,
            message: None,
            decisions: None,
        }
    }

    /// Adds informational text.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Adds the counterpart's id to a skip.
    #[must_use]
    pub fn with_target(mut self, target_id: &str) -> Self {
        self.target_id = Some(target_id.to_owned());
        self
    }
}

/// A run that ended as intended: at least one `sync_log` row.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The rows, first one first.
    pub log: Vec<LogEntry>,
}

impl From<LogEntry> for Outcome {
    fn from(entry: LogEntry) -> Self {
        Self { log: vec![entry] }
    }
}

/// Why a failed run may be tried again, which decides what the retry costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Back-off with jitter; burns an attempt.
    Transient,
    /// The vendor asked us to wait; burns no attempt.
    RateLimited,
    /// The vendor is down; its work is parked and burns no attempt.
    VendorDown,
    /// A call of an earlier run that was cut off may still be under way, or the
    /// rest of a text. Nothing was tried: the lane is handed back as it was found.
    UnderWay,
}

/// A run that did not reach its effect. Texts are classified codes, free of
/// personal data and secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Try again later.
    Retry {
        /// What the retry costs.
        class: RetryClass,
        /// The earliest moment, when the vendor named one.
        after: Option<Duration>,
        /// Classified code for `error_message`.
        reason: String,
    },
    /// Trying again cannot help.
    Permanent {
        /// Classified code for `error_message`.
        reason: String,
    },
}

impl Failure {
    /// A failure that ordinary back-off may cure.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::Retry {
            class: RetryClass::Transient,
            after: None,
            reason: reason.into(),
        }
    }

    /// A failure that no retry cures.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent { reason: reason.into() }
    }

    /// The classified code.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Permanent { reason } => reason,
        }
    }
}
