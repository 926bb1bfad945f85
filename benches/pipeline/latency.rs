//! From the first byte of a call webhook to its note at GoHighLevel, at a
//! steady rate that leaves the machine mostly idle.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Scale;
use crate::bodies::{self, Template};
use crate::house::{House, recording_sandbox};
use crate::load::{Line, percentile};
use crate::table::{Table, at_most, fact};

const PER_SECOND: u64 = 50;
const PEOPLE: u64 = 1_000;
/// Enough for every call of the longest run, warm-up included.
const REMEMBERED: usize = 8_192;
/// Not measured: connections and statements are made.
const WARM_UP: u64 = 50;

pub(crate) async fn measure(house: &House, scale: Scale, table: &mut Table) {
    let ground = house.ground().await;
    let sandbox = recording_sandbox(REMEMBERED).await;
    ground.people(&sandbox, PEOPLE).await;
    let daemon = ground.daemon(&sandbox).await;
    let count = WARM_UP + scale.steady.as_secs() * PER_SECOND;
    let address = daemon.address;
    let sent = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(steadily(address, bodies::call_event(), count))
    })
    .await
    .unwrap();
    ground.drained().await;
    daemon.stop().await;

    let mut arrived: HashMap<u64, DateTime<Utc>> = HashMap::new();
    for call in sandbox.ghl.calls_to("POST", "/contacts/*/notes") {
        arrived.insert(marked(call.body["body"].as_str().unwrap()), call.at);
    }
    let mut latencies: Vec<Duration> = sent
        .iter()
        .enumerate()
        .skip(WARM_UP as usize)
        .map(|(n, at)| (arrived[&bodies::number(n as u64)] - at).to_std().unwrap_or_default())
        .collect();
    latencies.sort_unstable();
    table.group(&format!(
        "latency: webhook sent to note arriving at GHL, {PER_SECOND} calls/s for {} s",
        scale.steady.as_secs()
    ));
    table.row("p50", percentile(&latencies, 0.5), "ms", at_most(Some(10.0), 5.0));
    table.row("p99", percentile(&latencies, 0.99), "ms", at_most(None, 25.0));
    table.row("longest", percentile(&latencies, 1.0), "ms", fact());
}

/// Sends at fixed moments and answers them.
async fn steadily(address: std::net::SocketAddr, template: Template, count: u64) -> Vec<DateTime<Utc>> {
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(Some(Line::open(address).await));
    }
    let (back, mut returned) = tokio::sync::mpsc::unbounded_channel();
    let every = Duration::from_secs(1) / PER_SECOND as u32;
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::new();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for n in 0..count {
                ticks.tick().await;
                while let Ok(line) = returned.try_recv() {
                    lines.push(Some(line));
                }
                let mut line = match lines.pop().flatten() {
                    Some(line) => line,
                    None => returned.recv().await.unwrap(),
                };
                let (back, template) = (back.clone(), template.clone());
                sent.push(Utc::now());
                tokio::task::spawn_local(async move {
                    line.post(&template, n, n % PEOPLE).await;
                    back.send(line).ok();
                });
            }
        })
        .await;
    local.await;
    sent
}

/// The call id in a note's last line, `[df:call:…]`.
fn marked(note: &str) -> u64 {
    let (_, id) = note.rsplit_once("[df:call:").unwrap();
    id.trim_end_matches(']').parse().unwrap()
}
