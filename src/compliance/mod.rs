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
mod places;
pub mod quiet_hours;
pub mod reviews;

pub use classify::{Kind, Verdict, classify, decide};
pub use guard::Cleared;
pub use keywords::words_version;
pub use places::{is_textable, is_toll_free};
