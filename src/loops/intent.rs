//! Proof that a vendor write was recorded before it is made.
//!
//! Every write method of the vendor clients asks for an [`Intent`]. Only the
//! effect ledger makes one, after it has stored the step and the echo that the
//! write will cause, so a write that nobody could recognise later cannot be
//! made at all.
//!
//! ```compile_fail
//! let forged = df_middleware::loops::Intent::recorded("note".into());
//! ```

/// A recorded intention to write. Cheap, and only the ledger hands it out.
#[derive(Debug)]
pub struct Intent {
    step: String,
}

impl Intent {
    /// Made by the effect ledger once the step is stored.
    pub(crate) fn recorded(step: String) -> Self {
        Self { step }
    }

    /// The step's key, for logs: for example `aloware:call:9001:note`.
    pub fn step(&self) -> &str {
        &self.step
    }
}
