//! May we text? Classification of inbound words, the registry by cause, and
//! the guard that issues [`Cleared`].

pub mod classify;
mod classify_clauses;
mod classify_furniture;
mod classify_whole;
pub mod fold;
mod fold_tables;
pub mod guard;
pub mod keywords;
mod keywords_pattern;
#[cfg(test)]
mod classify_tests;

pub use classify::{Kind, Verdict, VendorSignal, classify, decide};
pub use guard::Cleared;
pub use keywords::words_version;
