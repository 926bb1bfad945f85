//! The operators' desk: looking at stored events and steering them, looking at
//! consent and deciding about it. Knows no
//! web framework; `http` asks for the secret and turns answers into JSON.

pub mod decisions;
pub mod events;
pub mod evidence;
pub mod filter;
pub mod opt_outs;
pub mod redact;
pub mod texting;

use crate::store::StoreError;

/// Why an operator's request was not carried out. Texts are shown to them.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// No such event.
    #[error("event not found")]
    Missing,
    /// Nothing of the kind is there to be decided or lifted.
    #[error("{0}")]
    Nothing(&'static str),
    /// The event's state forbids it.
    #[error("{detail}")]
    Conflict {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: &'static str,
    },
    /// The tables could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How operators are named in the audit log: they share one secret.
pub const ACTOR: &str = "admin";
