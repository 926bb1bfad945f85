//! The words of the business: no I/O, no framework, no vendor's JSON.
//!
//! Every other room may use these types; this room uses nothing of the crate.

pub mod address;
pub mod consent;
pub mod contact;
pub mod event;
pub mod ids;
pub mod kinds;
pub mod outcome;
pub mod phone;
pub mod segments;
pub mod texting;

pub use address::Address;
pub use consent::{Cause, ConsentChange, Move};
pub use contact::{AlowareContact, Dnd, GhlContact, PersonFields};
pub use event::{Event, EventTable, Verdict};
pub use ids::{AlowareContactId, GhlContactId};
pub use kinds::{Entity, EventStatus, Flow, Source, SyncStatus, TextDirection, TextingVendor};
pub use outcome::{Failure, LogEntry, Outcome, RetryClass};
pub use phone::{Phone, PhoneHint, mask};
pub use segments::segments;
pub use texting::{TextStatus, VendorSignal};
