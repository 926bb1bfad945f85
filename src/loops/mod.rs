//! Is it our own echo? What we write is remembered before it is written, and
//! an inbound change that equals it is recognised; nothing else is ever muted.

pub mod echo;
pub mod intent;

pub use intent::Intent;
