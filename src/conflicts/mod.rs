//! Who wins? Pure: values in, merged values and recorded reasons out.

mod rules;

pub use rules::{Decision, Merge, Mode, Winner, differing, merge};
