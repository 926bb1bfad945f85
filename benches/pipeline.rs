//! The whole pipeline, measured: ingest beside `pgbench`, drain, latency,
//! memory, WAL. Runs the real daemon in process on a cluster of its own with
//! durable settings, against instant simulators.
//!
//! ```text
//! cargo bench --bench pipeline                      everything, under 3 minutes
//! cargo bench --bench pipeline -- --quick           a smoke run
//! cargo bench --bench pipeline -- --only drain,calls
//! ```
//! Prints one table and writes `target/bench/pipeline.json`. Asserts no time.
#![recursion_limit = "256"] // one wide `json!`
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on ends; clippy.toml exempts test functions only"
)]

#[path = "pipeline/bodies.rs"]
mod bodies;
#[path = "pipeline/calls.rs"]
mod calls;
#[path = "pipeline/cpu.rs"]
mod cpu;
#[path = "pipeline/drain.rs"]
mod drain;
#[path = "pipeline/house.rs"]
mod house;
#[path = "pipeline/ingest.rs"]
mod ingest;
#[path = "pipeline/latency.rs"]
mod latency;
#[path = "pipeline/load.rs"]
mod load;
#[path = "shared/machine.rs"]
mod machine;
#[path = "pipeline/memory.rs"]
mod memory;
#[path = "pipeline/pgbench.rs"]
mod pgbench;
#[path = "pipeline/server.rs"]
mod server;
#[path = "shared/table.rs"]
mod table;

use std::time::Duration;

use house::House;
use table::Table;

/// How long and how much; `--quick` shrinks everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// How often ingest and pgbench take turns.
    pub(crate) rounds: usize,
    /// Length of one turn.
    pub(crate) turn: Duration,
    /// Events without a vendor call to drain, over a sixth as many people.
    pub(crate) plain: u64,
    /// Call events to drain, over a third as many contacts.
    pub(crate) calls: u64,
    /// Length of the latency run.
    pub(crate) steady: Duration,
    /// Events of the memory burst.
    pub(crate) burst: u64,
}

const FULL: Scale = Scale {
    rounds: 3,
    turn: Duration::from_secs(6),
    plain: 60_000,
    calls: 3_000,
    steady: Duration::from_secs(20),
    burst: 10_000,
};

const QUICK: Scale = Scale {
    rounds: 1,
    turn: Duration::from_secs(1),
    plain: 3_000,
    calls: 300,
    steady: Duration::from_secs(2),
    burst: 1_000,
};

const SCENARIOS: [&str; 6] = ["ingest", "drain", "calls", "slow-calls", "latency", "memory"];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only = arguments
        .iter()
        .position(|argument| argument == "--only")
        .and_then(|at| arguments.get(at + 1));
    let wanted: Vec<&str> = match only {
        Some(names) => names.split(',').collect(),
        None => SCENARIOS.to_vec(),
    };
    if let Some(unknown) = wanted.iter().find(|name| !SCENARIOS.contains(name)) {
        eprintln!("no scenario {unknown}; there are {}", SCENARIOS.join(", "));
        std::process::exit(64);
    }
    let scale = if quick { QUICK } else { FULL };
    // As the daemon's own runtime: one worker per core.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(scale, &wanted));
}

async fn run(scale: Scale, wanted: &[&str]) {
    let house = House::open().await;
    let mut table = Table::new(server::describe(&house).await);
    for name in wanted {
        eprintln!("{name} …");
        match *name {
            "ingest" => ingest::measure(&house, scale, &mut table).await,
            "drain" => drain::measure(&house, scale, &mut table).await,
            "calls" => calls::measure(&house, scale, &mut table).await,
            "slow-calls" => calls::measure_slow(&house, scale, &mut table).await,
            "latency" => latency::measure(&house, scale, &mut table).await,
            _ => memory::measure(&house, scale, &mut table).await,
        }
    }
    table.print();
    let path = table.save("pipeline");
    println!("written to {}", path.display());
    house.close().await;
}
