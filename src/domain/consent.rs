//! Consent to be texted, recorded per cause: each source lifts only its own block.

use chrono::{DateTime, Utc};

use super::Phone;
use super::kinds::closed_set;

closed_set! {
    /// Why a number is blocked. A number may be texted only when no cause is active.
    Cause {
        /// The consumer wrote STOP (or its like); only START from the same number lifts it.
        ConsumerStop = "consumer_stop",
        /// The texting vendor or carrier refuses the number as opted out.
        VendorBlock = "vendor_block",
        /// Do-not-disturb set in GHL.
        CrmDnd = "crm_dnd",
        /// Do-not-call set in Aloware.
        VoiceDnc = "voice_dnc",
        /// Set by the operator.
        Manual = "manual",
        /// A legal demand.
        Legal = "legal",
        /// A message that may be a revocation and waits for a person.
        PendingReview = "pending_review",
    }
}

closed_set! {
    /// What a consent event does to its cause.
    Move {
        /// Texts are blocked from the event's time on.
        Block = "block",
        /// The cause no longer blocks.
        Lift = "lift",
    }
}

/// One consent event, to be applied to the registry in order of its own time.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsentChange {
    /// Whose consent.
    pub phone: Phone,
    /// Which block is set or lifted.
    pub cause: Cause,
    /// Set or lift.
    pub action: Move,
    /// Who reported it: `texting`, `aloware`, `ghl`, `manual`.
    pub source: &'static str,
    /// Short reason stored with the registry row, such as `STOP`.
    pub reason: String,
    /// The consumer's own words or the vendor's evidence, kept as evidence.
    pub evidence: Option<String>,
    /// When it happened by the provider's clock, else when we received it.
    pub occurred_at: DateTime<Utc>,
    /// The source's contact id and the echo's fingerprint: when the ledger holds this
    /// echo, the change is our own write coming back and is not applied.
    pub unless_echo: Option<(String, String)>,
    /// The people who decided, where people did.
    pub decided_by: Option<String>,
}
