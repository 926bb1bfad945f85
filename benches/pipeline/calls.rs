//! A backlog of call events of mapped contacts: one note and one set of tags
//! each, at simulators that share the machine.

use std::time::Duration;

use crate::Scale;
use crate::bodies;
use crate::drain::backlog;
use crate::house::{House, instant_sandbox};
use crate::table::{Table, at_least, fact};

/// How slow the slow vendor is.
const SLOW: Duration = Duration::from_millis(20);
/// The default of `jobs.concurrency`.
const CONCURRENCY: f64 = 32.0;
/// The note and the tags.
const CALLS: f64 = 2.0;

pub(crate) async fn measure(house: &House, scale: Scale, table: &mut Table) {
    let ground = house.ground().await;
    let sandbox = instant_sandbox().await;
    let contacts = scale.calls / 3;
    ground.people(&sandbox, contacts).await;
    let before = sandbox.ghl.calls_total();
    let run = backlog(&ground, &sandbox, bodies::call_event(), scale.calls, contacts).await;
    let count = scale.calls as f64;
    table.group(&format!(
        "drain: {} calls of {contacts} mapped contacts, instant simulators",
        scale.calls
    ));
    table.row(
        "events done",
        count / run.elapsed.as_secs_f64(),
        "/s",
        at_least(300.0, Some(1_000.0)),
    );
    table.row(
        "vendor calls",
        (sandbox.ghl.calls_total() - before) as f64 / count,
        "/event",
        fact(),
    );
    table.row("WAL of the drain", run.drain_wal / count, "B/event", fact());
    run.costs(table, count);
    table.note(
        "drain: timed from the daemon's start to the last event done; simulators and PostgreSQL share its cores.",
    );
}

pub(crate) async fn measure_slow(house: &House, scale: Scale, table: &mut Table) {
    let ground = house.ground().await;
    let sandbox = instant_sandbox().await;
    let contacts = scale.calls / 3;
    ground.people(&sandbox, contacts).await;
    sandbox.set_latency(Some(SLOW));
    let run = backlog(&ground, &sandbox, bodies::call_event(), scale.calls, contacts).await;
    let rate = scale.calls as f64 / run.elapsed.as_secs_f64();
    let possible = CONCURRENCY / (CALLS * SLOW.as_secs_f64());
    table.group(&format!(
        "drain: the same, vendors take {} ms, {CONCURRENCY} events in flight",
        SLOW.as_millis()
    ));
    table.row("events done", rate, "/s", fact());
    table.row(
        "share of what the concurrency allows",
        rate / possible * 100.0,
        "%",
        at_least(f64::NEG_INFINITY, Some(90.0)),
    );
}
