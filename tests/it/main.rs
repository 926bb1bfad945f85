//! The integration tests: one binary, one file per promise.

mod embedded;
