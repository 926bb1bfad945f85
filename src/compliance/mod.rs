//! May we text? Classification of inbound words, the registry by cause, and
//! the guard that issues [`Cleared`].

pub mod guard;

pub use guard::Cleared;
