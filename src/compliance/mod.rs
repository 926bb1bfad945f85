//! May we text? Classification of inbound words, the registry by cause, and
//! the guard that issues [`Cleared`].

pub mod classify;
mod classify_clauses;
mod classify_furniture;
mod classify_guard;
#[cfg(test)]
mod classify_tests;
mod classify_whole;
mod classify_words;
pub mod fold;
mod fold_tables;
pub mod guard;
mod keywords;
mod keywords_pattern;
pub mod reviews;

pub use classify::{Kind, Verdict, classify, decide};
pub use guard::Cleared;
pub use keywords::words_version;
