//! Deliveries per second through real HTTP, taking turns with `pgbench`.

use crate::Scale;
use crate::bodies::{self, Template};
use crate::cpu::{Meter, Spent};
use crate::house::{Daemon, House, instant_sandbox};
use crate::load::{Load, Sent, Until};
use crate::pgbench::{CLIENTS, Pgbench};
use crate::table::{Table, at_least, at_most, fact};

/// As many as there are different phones.
const PEOPLE: u64 = 1_000_000;
const DONE: &str = "SELECT count(*) FROM webhook_events WHERE status = 'done'";

pub(crate) async fn measure(house: &House, scale: Scale, table: &mut Table) {
    let ground = house.ground().await;
    let sandbox = instant_sandbox().await;
    let template = bodies::contact_event();
    let daemon = ground.daemon(&sandbox).await;
    let pgbench = Pgbench::prepare(&ground, &template).await;
    let meter = Meter::of(&ground).await;
    let (mut ours, mut theirs, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0;
    // Connections, statements and caches warm up on both sides.
    first += turn(&daemon, &template, first, scale.turn / 3).await.count;
    ground.drained().await;
    for _ in 0..scale.rounds {
        ground.checkpoint().await;
        let before = meter.read();
        let sent = turn(&daemon, &template, first, scale.turn).await;
        let before_done = first as f64;
        first += sent.count;
        let done = ground.number(DONE).await - before_done;
        ground.drained().await;
        ours.push(Turn::new(sent, meter, before, done));
        if let Some(pgbench) = &pgbench {
            ground.checkpoint().await;
            let before = meter.read();
            let sent = pgbench.run(&ground, scale.turn).await;
            theirs.push(Turn::new(sent, meter, before, 0.0));
        }
    }
    ground.park().await;
    for _ in 0..scale.rounds.min(2) {
        ground.checkpoint().await;
        let before = meter.read();
        let sent = turn(&daemon, &template, first, scale.turn).await;
        first += sent.count;
        alone.push(Turn::new(sent, meter, before, 0.0));
    }
    ground.unpark().await;
    ground.drained().await;
    daemon.stop().await;
    ground.assert_done(first).await;

    report(table, &template, &ours, &theirs, &alone);
}

/// One side's turn.
struct Turn {
    sent: Sent,
    /// For each delivery, until it was processed.
    spent: Spent,
    /// The load generator's part of it.
    load: f64,
    /// How many were processed when the turn ended.
    done: f64,
}

impl Turn {
    fn new(sent: Sent, meter: Meter, before: Spent, done: f64) -> Self {
        let spent = meter.read().since(before, sent.count);
        let load = sent.cost * 1e6 / sent.count.max(1) as f64;
        Self {
            sent,
            spent,
            load,
            done,
        }
    }
}

fn report(table: &mut Table, template: &Template, ours: &[Turn], theirs: &[Turn], alone: &[Turn]) {
    let per_second = |turn: &Turn| turn.sent.per_second();
    let (p50, p99) = (
        |turn: &Turn| turn.sent.percentile(0.5),
        |turn: &Turn| turn.sent.percentile(0.99),
    );
    let (postgres, load) = (|turn: &Turn| turn.spent.postgres, |turn: &Turn| turn.load);
    let daemon = |turn: &Turn| turn.spent.own - turn.load;
    let title = format!(
        "ingest: {CLIENTS} keep-alive connections, {} B bodies, workers running",
        template.body_length
    );
    table.group(&title);
    table.row("deliveries stored", median(ours, per_second), "/s", fact());
    table.row("answered within, p50", median(ours, p50), "ms", fact());
    table.row("answered within, p99", median(ours, p99), "ms", at_most(None, 50.0));
    let done = median(ours, |turn| turn.done / turn.sent.count.max(1) as f64);
    table.row("processed before the turn ended", done * 100.0, "%", fact());
    table.row(
        "CPU of PostgreSQL, until processed",
        median(ours, postgres),
        "µs",
        fact(),
    );
    table.row("CPU of the daemon, until processed", median(ours, daemon), "µs", fact());
    table.row("CPU of the load generator", median(ours, load), "µs", fact());
    table.group("ingest: the same, workers held back");
    table.row("deliveries stored", median(alone, per_second), "/s", fact());
    table.row("answered within, p99", median(alone, p99), "ms", fact());
    table.row("CPU of PostgreSQL", median(alone, postgres), "µs", fact());
    table.row("CPU of the daemon", median(alone, daemon), "µs", fact());
    if theirs.is_empty() {
        table.note("pgbench was found neither on PATH nor beside the server programs: no comparison.");
    } else {
        let baseline = median(theirs, per_second);
        table.group(&format!(
            "ingest: pgbench, {CLIENTS} clients, prepared, the same payload one row at a time"
        ));
        table.row("rows stored", baseline, "/s", fact());
        table.row("p50", median(theirs, p50), "ms", fact());
        table.row("p99", median(theirs, p99), "ms", fact());
        table.row("CPU of PostgreSQL", median(theirs, postgres), "µs", fact());
        table.row(
            "CPU of pgbench",
            median(theirs, |turn| turn.spent.children),
            "µs",
            fact(),
        );
        table.row(
            "we to pgbench",
            median(ours, per_second) / baseline,
            "×",
            at_least(1.5, Some(3.0)),
        );
        table.row(
            "we to pgbench, workers held back",
            median(alone, per_second) / baseline,
            "×",
            fact(),
        );
    }
    table.note(
        "ingest: turns of load and pgbench alternate in one run on one cluster, medians are shown. The target is judged \
         with the workers running, as in production: they claim, run and complete while deliveries come in, on the same \
         cores as PostgreSQL and the load generator.",
    );
}

async fn turn(daemon: &Daemon, template: &Template, first: u64, length: std::time::Duration) -> Sent {
    let load = Load {
        address: daemon.address,
        connections: CLIENTS,
        templates: vec![template.clone()],
        first,
        people: PEOPLE,
        until: Until::Elapsed(length),
    };
    load.run().await
}

fn median(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}
