//! Deliveries per second through real HTTP, taking turns with `pgbench`.

use crate::Scale;
use crate::bodies::{self, Template};
use crate::house::{Daemon, House, instant_sandbox};
use crate::load::{Load, Sent, Until};
use crate::pgbench::{CLIENTS, Pgbench};
use crate::table::{Table, at_least, at_most, fact};

/// As many as there are different phones.
const PEOPLE: u64 = 1_000_000;

pub(crate) async fn measure(house: &House, scale: Scale, table: &mut Table) {
    let ground = house.ground().await;
    let sandbox = instant_sandbox().await;
    let template = bodies::contact_event();
    let daemon = ground.daemon(&sandbox).await;
    let pgbench = Pgbench::prepare(&ground, &template).await;
    let (mut ours, mut theirs, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0;
    // Connections, statements and caches warm up on both sides.
    first += turn(&daemon, &template, first, scale.turn / 3).await.count;
    ground.drained().await;
    for _ in 0..scale.rounds {
        ground.checkpoint().await;
        let sent = turn(&daemon, &template, first, scale.turn).await;
        first += sent.count;
        ours.push(sent);
        ground.drained().await;
        if let Some(pgbench) = &pgbench {
            ground.checkpoint().await;
            theirs.push(pgbench.run(&ground, scale.turn).await);
        }
    }
    ground.park().await;
    for _ in 0..scale.rounds.min(2) {
        ground.checkpoint().await;
        let sent = turn(&daemon, &template, first, scale.turn).await;
        first += sent.count;
        alone.push(sent);
    }
    ground.unpark().await;
    ground.drained().await;
    daemon.stop().await;
    ground.assert_done(first).await;

    let (p50, p99) = (|sent: &Sent| sent.percentile(0.5), |sent: &Sent| sent.percentile(0.99));
    let rate = median(&ours, Sent::per_second);
    table.group(&format!(
        "ingest: {CLIENTS} keep-alive connections, {} B bodies, workers running",
        template.body_length
    ));
    table.row("deliveries stored", rate, "/s", fact());
    table.row("answered within, p50", median(&ours, p50), "ms", fact());
    table.row("answered within, p99", median(&ours, p99), "ms", at_most(None, 50.0));
    if theirs.is_empty() {
        table.note("pgbench was found neither on PATH nor beside the server programs: no comparison.");
    } else {
        let baseline = median(&theirs, Sent::per_second);
        table.row("pgbench, single-row inserts", baseline, "/s", fact());
        table.row("pgbench, p50", median(&theirs, p50), "ms", fact());
        table.row("pgbench, p99", median(&theirs, p99), "ms", fact());
        table.row("ratio to pgbench", rate / baseline, "×", at_least(1.5, Some(3.0)));
        table.row(
            "ratio, workers parked",
            median(&alone, Sent::per_second) / baseline,
            "×",
            fact(),
        );
    }
    table.row(
        "deliveries stored, workers parked",
        median(&alone, Sent::per_second),
        "/s",
        fact(),
    );
    table.row(
        "answered within, p99, workers parked",
        median(&alone, p99),
        "ms",
        fact(),
    );
    table.note(
        "ingest: turns of load and pgbench alternate in one run on one cluster, medians are shown. The target is judged \
         with the workers running, as in production: they claim, run and complete while deliveries come in, on the same \
         cores as PostgreSQL and the load generator. `parked` holds the lanes back, which leaves ingest alone.",
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

fn median(turns: &[Sent], of: impl Fn(&Sent) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}
