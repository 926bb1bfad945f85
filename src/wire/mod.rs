//! The vendors' JSON, read tolerantly into the words of the business. Pure:
//! no I/O and no opinion about what to do with what was read.

pub mod aloware;
pub mod contact;
pub mod decision;
pub mod ghl;
pub mod json;
pub mod texting;

pub use contact::{aloware_contact, ghl_contact};
