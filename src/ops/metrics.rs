//! The meters: one recorder for the process, rendered on request. What can only
//! be measured by looking (backlog, lanes, memory) is measured at the scrape.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::domain::{EventStatus, EventTable};
use crate::store::{Db, StoreError, event_views, opt_out_deliveries, reviews};

/// A database that needs longer is left out of this scrape.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often samples are folded into buckets when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// From a millisecond to half a minute.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 30.0];
/// Calls of one run: what a flow is meant to need is below five.
const CALLS: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0];
/// Rows of one commit.
const ROWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Installs the recorder, once per process; later calls answer the same one.
/// `None` when another recorder is in place.
pub fn install() -> Option<PrometheusHandle> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.is_none() {
        let handle = builder()
            .and_then(PrometheusBuilder::install_recorder)
            .inspect_err(|error| tracing::error!(%error, "no metrics: recorder not installed"))
            .ok()?;
        describe();
        *installed = Some(handle);
    }
    installed.clone()
}

fn builder() -> Result<PrometheusBuilder, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &ROWS)?
        .set_buckets_for_metric(Matcher::Full("vendor_calls_per_event".to_owned()), &CALLS)
}

/// Folds samples into buckets until `stop`: without it they pile up in memory
/// while nobody scrapes.
pub async fn run_upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => handle.run_upkeep(),
        }
    }
}

/// Measures what is measured by looking, and renders everything.
pub async fn scrape(handle: &PrometheusHandle, db: &Db, spool_bytes: u64) -> String {
    gauge!("spool_bytes").set(precise(spool_bytes));
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(precise(bytes));
    }
    let up = match tokio::time::timeout(PATIENCE, measure(db)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "metrics: database away");
            false
        }
        Err(_) => false,
    };
    gauge!("database_up").set(if up { 1.0 } else { 0.0 });
    handle.run_upkeep();
    handle.render()
}

async fn measure(db: &Db) -> Result<(), StoreError> {
    let client = db.client().await?;
    for table in EventTable::ALL {
        let backlog = event_views::backlog(&client, *table).await?;
        let pending = u64::try_from(backlog.pending).unwrap_or_default();
        gauge!("events_pending", "table" => table.as_str()).set(precise(pending));
        for (status, age) in [
            (EventStatus::Pending, backlog.oldest_waiting),
            (EventStatus::Processing, backlog.oldest_processing),
        ] {
            gauge!("events_oldest_seconds", "table" => table.as_str(), "status" => status.as_str())
                .set(age.unwrap_or_default());
        }
    }
    let lanes = event_views::lanes(&client).await?;
    for (state, count) in [
        ("leased", lanes.leased),
        ("ready", lanes.ready),
        ("waiting", lanes.waiting),
    ] {
        gauge!("lanes", "state" => state).set(precise(u64::try_from(count).unwrap_or_default()));
    }
    let (waiting, oldest) = reviews::pending(&client).await?;
    gauge!("optout_reviews_pending").set(precise(u64::try_from(waiting).unwrap_or_default()));
    gauge!("optout_review_oldest_seconds").set(oldest);
    let open = opt_out_deliveries::unconfirmed(&client).await?;
    gauge!("optout_unconfirmed").set(precise(u64::try_from(open).unwrap_or_default()));
    Ok(())
}

/// A whole number as a gauge holds it; exact up to 2^53.
fn precise(number: u64) -> f64 {
    let high = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// Memory in use, where the kernel says.
fn resident_bytes() -> Option<u64> {
    // Not `statm`: that one counts pages, whose size differs by machine.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn describe_texts() {
    describe_counter!(
        "texts_failed_total",
        "Texts the vendor reported as not delivered, by class: opted_out, else the status"
    );
    describe_counter!(
        "texts_quarantined_total",
        "Texts set aside because nothing tells who wrote them to whom"
    );
    describe_counter!(
        "texts_refused_total",
        "Texts the guard refused, or the vendor as opted out, by reason"
    );
}

fn describe_requests() {
    describe_counter!("http_requests_total", "Requests answered, by route and status");
    describe_histogram!(
        "http_request_duration_seconds",
        Unit::Seconds,
        "Time to answer a request, by route"
    );
    describe_counter!(
        "http_refused_total",
        "Requests with a missing or wrong secret or signature"
    );
    describe_counter!(
        "texting_refused_total",
        "Texting deliveries without proof, by vendor and reason: unset, missing, malformed, stale, wrong"
    );
    describe_counter!(
        "texting_unreadable_total",
        "Authentic texting deliveries that are neither JSON nor a form, or that the vendor's dialect does not explain; stored as they came"
    );
    describe_counter!(
        "texting_files_ignored_total",
        "Files in texting deliveries, which are not kept"
    );
    describe_counter!(
        "webhooks_not_stored_total",
        "Authentic deliveries that were refused because nothing could store them"
    );
    describe_counter!(
        "deliveries_set_aside_total",
        "Authentic deliveries PostgreSQL refused in any form, kept in a file"
    );
}

fn describe() {
    describe_requests();
    describe_texts();
    describe_counter!("events_stored_total", "Deliveries stored as new events");
    describe_histogram!("ingest_batch_rows", "Deliveries of one commit");
    describe_counter!(
        "events_dead_total",
        "Events closed as failed: attempts used up or permanent"
    );
    describe_counter!(
        "events_coalesced_total",
        "Events that a later event of the same contact carried along"
    );
    describe_counter!(
        "events_overdue_total",
        "Failed runs of events that must arrive (opt-outs) past the point where others are given up, or refused"
    );
    describe_counter!(
        "events_unhandled_total",
        "Events of a kind without a flow, skipped, by source"
    );
    describe_counter!(
        "lanes_fenced_total",
        "Lanes whose results were dropped because another worker had taken over"
    );
    describe_gauge!("events_pending", "Unfinished events by table, counted up to 100000");
    describe_gauge!(
        "events_oldest_seconds",
        Unit::Seconds,
        "Age of the oldest unfinished event by table and status: pending waits, processing runs"
    );
    describe_gauge!("lanes", "Lanes by state: leased, ready, waiting; counted up to 100000");
    describe_gauge!(
        "spool_bytes",
        Unit::Bytes,
        "Accepted deliveries that are not in PostgreSQL yet"
    );
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory in use");
    describe_gauge!("database_up", "1 when PostgreSQL answered the scrape");
    describe_counter!("vendor_calls_total", "Calls to a vendor by outcome");
    describe_histogram!(
        "vendor_calls_per_event",
        "Calls that one run of an event made, by the event's source"
    );
    describe_histogram!("vendor_call_duration_seconds", Unit::Seconds, "Time a vendor took");
    describe_gauge!("daemons", "Daemons that share the database, as this one sees them");
    describe_counter!(
        "retention_deleted_total",
        "Finished rows removed after retention.done_events, by table"
    );
    describe_gauge!("vendor_up", "0 while a vendor's breaker is open");
    describe_consent();
    // What an alert compares against must exist before it first happens.
    for silent in [
        "webhooks_not_stored_total",
        "events_dead_total",
        "events_overdue_total",
        "lanes_fenced_total",
        "events_stored_total",
        "texts_quarantined_total",
        "texting_unreadable_total",
    ] {
        counter!(silent).absolute(0);
    }
}

fn describe_consent() {
    describe_gauge!(
        "optout_reviews_pending",
        "Numbers with a text that may be a revocation and waits for a person"
    );
    describe_gauge!(
        "optout_review_oldest_seconds",
        Unit::Seconds,
        "For how long the oldest of those texts has waited"
    );
    describe_gauge!(
        "optout_unconfirmed",
        "Opt-outs and opt-ins another system has not shown to know yet"
    );
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sources(dir: &Path, into: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                into.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_metric_in_the_code_is_described() {
        let mut code = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
        // However the formatter breaks the lines.
        code.retain(|c| !c.is_whitespace());
        let mut seen = 0;
        for kind in ["counter", "gauge", "histogram"] {
            for use_site in code.split(&format!("metrics::{kind}!(\"")).skip(1) {
                let name = use_site.split('"').next().unwrap();
                let described = code.contains(&format!("describe_{kind}!(\"{name}\""));
                assert!(described, "{kind} {name} is not described");
                seen += 1;
            }
        }
        assert!(seen >= 8, "{seen}");
    }

    #[tokio::test]
    async fn a_scrape_without_a_database_still_renders() {
        let handle = install().unwrap();
        assert!(install().is_some(), "a second call answers the same recorder");
        let db = Db::new("host=127.0.0.1 port=1 user=nobody".parse().unwrap(), 1).unwrap();
        let text = scrape(&handle, &db, 4096).await;
        assert!(text.contains("spool_bytes 4096"), "{text}");
        assert!(text.contains("database_up 0"));
        assert!(text.contains("# HELP process_resident_memory_bytes"));
    }

    #[test]
    fn numbers_keep_their_value() {
        assert!((precise((1 << 40) + 3) - 1_099_511_627_779.0).abs() < 0.5);
    }
}
