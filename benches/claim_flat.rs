//! Whether a claim costs the same whatever lies in the tables: 64 lanes, beside
//! an empty history, over ten million finished rows, a deep person, lanes in
//! back-off, and while an old transaction keeps dead rows alive. Each case has
//! an empty database beside it in the same minute.
//!
//! ```text
//! cargo bench --bench claim_flat                 under 5 minutes
//! cargo bench --bench claim_flat -- --quick      a smoke run
//! ```
//! Prints one table and writes `target/bench/claim_flat.json`. Asserts no time.
#![recursion_limit = "256"] // one wide `json!`
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on ends; clippy.toml exempts test functions only"
)]

#[expect(dead_code, reason = "the house is the pipeline's; here no delivery is made")]
#[path = "pipeline/bodies.rs"]
mod bodies;
#[path = "claim_flat/field.rs"]
mod field;
#[expect(dead_code, reason = "the house is the pipeline's; here no daemon is started")]
#[path = "pipeline/house.rs"]
mod house;
#[path = "shared/machine.rs"]
mod machine;
#[path = "pipeline/server.rs"]
mod server;
#[expect(dead_code, reason = "each bench sets goals of its own kind")]
#[path = "shared/table.rs"]
mod table;
#[expect(dead_code, reason = "each bench times in its own way")]
#[path = "shared/times.rs"]
mod times;

use chrono::{DateTime, Utc};
use field::{Field, LANES};
use house::House;
use table::{Table, at_most, fact};

/// How long and how much.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Measured claims of each case.
    rounds: u64,
    /// Finished rows.
    history: u64,
    /// Open events of the deep person.
    deep: u64,
    /// Lanes in back-off.
    waiting: u64,
    /// Lanes that come and go under the old transaction before it is measured.
    churn: u64,
}

const FULL: Scale = Scale {
    rounds: 200,
    history: 10_000_000,
    deep: 100_000,
    waiting: 100_000,
    churn: 20_480,
};

const QUICK: Scale = Scale {
    rounds: 20,
    history: 100_000,
    deep: 5_000,
    waiting: 5_000,
    churn: 2_048,
};

fn main() {
    let scale = if times::is_quick() { QUICK } else { FULL };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(scale));
}

async fn run(scale: Scale) {
    let house = House::open().await;
    let mut table = Table::new(server::describe(&house).await);
    history(&house, scale, &mut table).await;
    deep_key(&house, scale, &mut table).await;
    back_off(&house, scale, &mut table).await;
    pinned(&house, scale, &mut table).await;
    table.print();
    println!("written to {}", table.save("claim_flat").display());
    house.close().await;
}

async fn history(house: &House, scale: Scale, table: &mut Table) {
    eprintln!("{} finished rows …", scale.history);
    let field = Field::new(house).await;
    field.finished(scale.history).await;
    let (empty, field) = beside_empty(house, field, scale).await;
    report(table, &format!("{} finished rows", scale.history), &empty, &field);
}

async fn deep_key(house: &House, scale: Scale, table: &mut Table) {
    eprintln!("one person with {} open events …", scale.deep);
    let mut field = Field::new(house).await;
    field.deep(scale.deep).await;
    let (empty, field) = beside_empty(house, field, scale).await;
    let title = format!("one person with {} open events in every claim", scale.deep);
    report(table, &title, &empty, &field);
}

async fn back_off(house: &House, scale: Scale, table: &mut Table) {
    eprintln!("{} lanes in back-off …", scale.waiting);
    let field = Field::new(house).await;
    field.lanes(scale.waiting, "now() + interval '1 hour'").await;
    let (empty, field) = beside_empty(house, field, scale).await;
    report(table, &format!("{} lanes in back-off", scale.waiting), &empty, &field);
}

async fn pinned(house: &House, scale: Scale, table: &mut Table) {
    eprintln!("an old transaction while {} lanes come and go …", scale.churn);
    let mut field = Field::new(house).await;
    let old = field.old_transaction().await;
    field.lanes(scale.churn, "now()").await;
    field.run(scale.churn / LANES, false).await;
    let (empty, mut field) = beside_empty(house, field, scale).await;
    let title = format!("an old transaction, {} lanes come and gone", scale.churn);
    report(table, &title, &empty, &field);
    // Twice a minute a claim looks past its watermark, through all that is dead.
    field.lanes(LANES, "now()").await;
    let round = field.round(DateTime::<Utc>::UNIX_EPOCH).await;
    table.row(
        "a claim without its watermark",
        round.claim.as_secs_f64() * 1e3,
        "ms",
        fact(),
    );
    drop(old);
}

/// Claims of `field` and of an empty one in turns, so that both see the same minute.
async fn beside_empty(house: &House, mut field: Field, scale: Scale) -> (Field, Field) {
    const TURN: u64 = 10;
    let mut empty = Field::new(house).await;
    for field in [&mut empty, &mut field] {
        field.lanes((scale.rounds + TURN) * LANES, "now()").await;
        field.settle().await;
        // Plans are made in the first few.
        field.run(TURN, false).await;
    }
    for _ in 0..scale.rounds / TURN {
        empty.run(TURN, true).await;
        field.run(TURN, true).await;
    }
    (empty, field)
}

fn report(table: &mut Table, title: &str, empty: &Field, field: &Field) {
    table.group(&format!("{title}: {LANES} lanes a claim"));
    let statements = [
        ("claim", &empty.claims, &field.claims),
        ("completion", &empty.completions, &field.completions),
    ];
    for (name, without, with) in statements {
        table.row(&format!("{name} p50, empty"), without.p50() / 1e3, "ms", fact());
        table.row(&format!("{name} p50"), with.p50() / 1e3, "ms", fact());
        table.row(&format!("{name} p99, empty"), without.p99() / 1e3, "ms", fact());
        table.row(&format!("{name} p99"), with.p99() / 1e3, "ms", fact());
        let goals = if name == "claim" {
            at_most(Some(1.2), 1.2)
        } else {
            fact()
        };
        table.row(
            &format!("{name} p50, times the empty one"),
            with.p50() / without.p50(),
            "x",
            goals,
        );
    }
}
