//! A backlog that needs no vendor: how fast it goes once the workers may run.

use std::time::{Duration, Instant};

use df_middleware::sandbox::Sandbox;

use crate::Scale;
use crate::bodies::{self, Template};
use crate::cpu::{Meter, Spent};
use crate::house::{Ground, House, instant_sandbox};
use crate::load::{Load, Until};
use crate::table::{Table, at_least, fact};

/// Drains several backlogs and shows the median one: a single drain takes three
/// seconds, and a machine's speed changes more than that from one to the next.
pub(crate) async fn measure(house: &House, scale: Scale, table: &mut Table) {
    let sandbox = instant_sandbox().await;
    let people = scale.plain / 6;
    let mut runs = Vec::new();
    for _ in 0..scale.rounds {
        let ground = house.ground().await;
        runs.push(backlog(&ground, &sandbox, bodies::contact_event(), scale.plain, people).await);
    }
    runs.sort_by_key(|run| run.elapsed);
    let count = scale.plain as f64;
    let rate = |run: &Drained| count / run.elapsed.as_secs_f64();
    let median = &runs[runs.len() / 2];
    table.group(&format!(
        "drain: {} events of {people} people, no vendor call, median of {}",
        scale.plain,
        runs.len()
    ));
    let target = at_least(3_000.0, Some(10_000.0));
    table.row("events done", rate(median), "/s", target);
    table.row("slowest", rate(&runs[runs.len() - 1]), "/s", fact());
    table.row("fastest", rate(&runs[0]), "/s", fact());
    table.row("WAL of ingest", median.ingest_wal / count, "B/event", fact());
    table.row(
        "WAL of claim, completion and log",
        median.drain_wal / count,
        "B/event",
        fact(),
    );
    median.costs(table, count);
}

/// What became of a backlog.
pub(crate) struct Drained {
    pub(crate) elapsed: Duration,
    pub(crate) ingest_wal: f64,
    pub(crate) drain_wal: f64,
    transactions: f64,
    spent: Spent,
}

impl Drained {
    pub(crate) fn costs(&self, table: &mut Table, count: f64) {
        table.row("transactions of the drain", self.transactions / count, "/event", fact());
        table.row("CPU of PostgreSQL", self.spent.postgres, "µs/event", fact());
        table.row("CPU of daemon and simulators", self.spent.own, "µs/event", fact());
    }
}

/// Stores `count` deliveries while nobody works, then starts the daemon anew
/// and waits until they are done.
pub(crate) async fn backlog(
    ground: &Ground,
    sandbox: &Sandbox,
    template: Template,
    count: u64,
    people: u64,
) -> Drained {
    ground.park().await;
    let daemon = ground.daemon(sandbox).await;
    let before = ground.wal().await;
    let load = Load {
        address: daemon.address,
        connections: 64,
        templates: vec![template],
        first: 0,
        people,
        until: Until::Count(count),
    };
    load.run().await;
    let ingest_wal = ground.wal().await - before;
    daemon.stop().await;
    ground.unpark().await;
    ground.checkpoint().await;
    let meter = Meter::of(ground).await;
    let (before, transactions) = (ground.wal().await, commits(ground).await);
    let (began, busy) = (Instant::now(), meter.read());
    let daemon = ground.daemon(sandbox).await;
    let looks = ground.drained().await;
    let (elapsed, spent) = (began.elapsed(), meter.read().since(busy, count));
    let drain_wal = ground.wal().await - before;
    daemon.stop().await;
    ground.assert_done(count).await;
    Drained {
        elapsed,
        ingest_wal,
        drain_wal,
        transactions: commits(ground).await - transactions - looks as f64,
        spent,
    }
}

/// Transactions in this database so far.
async fn commits(ground: &Ground) -> f64 {
    // Backends report at most once a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    ground
        .number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        .await
}
