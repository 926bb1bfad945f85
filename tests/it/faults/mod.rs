//! Faults, injected from the outside into the shipped binary, and the promises
//! checked from the outside: nothing accepted is lost, nothing happens twice,
//! every person's order holds, nothing stays stuck.
//!
//! Short by default, so that it is part of `cargo test`. `DF_FAULTS=long` runs
//! every scenario at full size: `just faults`. Chance is seeded; the seed is
//! printed, and `DF_FAULTS_SEED` sets it.

mod clocks;
mod crowd;
mod door;
mod freezes;
mod full_disk;
mod kills;
mod ledger;
mod outages;
mod poison;
mod proxy;
mod server;
mod storms;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use crowd::Crowd;
pub use door::{Door, Doors};
pub use ledger::settle;

/// The full-size number with `DF_FAULTS=long`, else the short one.
pub fn size(short: usize, long: usize) -> usize {
    if std::env::var_os("DF_FAULTS").is_some_and(|scale| scale == "long") {
        long
    } else {
        short
    }
}

/// Chance for one scenario, told by its seed.
pub fn chance(scenario: &str) -> StdRng {
    let seed = std::env::var_os("DF_FAULTS_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or_else(|| rand::rng().random_range(0..1_000_000_u64));
    println!("{scenario}: DF_FAULTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// What every scenario changes: no budget slows the crowd down, a lease that a
/// killed daemon leaves behind is over soon, and only errors are told.
pub const QUICK: [(&str, &str); 4] = [
    ("GHL_RATE_LIMIT", "100000/1s"),
    ("ALOWARE_RATE_LIMIT", "100000/1s"),
    ("JOBS_LEASE", "1s"),
    ("DF_LOG", "error"),
];
