//! The wall clock set forwards and backwards by hours while the daemon runs,
//! beside a daemon whose clock is right: no lease, no order and no effect goes by
//! it.
//!
//! Needs Debian's `libfaketime`. Where it is missing the scenario says so and
//! does nothing; `tests/tidy.rs` shows everywhere that the engine reads no clock
//! that can be set.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, NaiveTime, Utc};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{Crowd, Doors, QUICK, chance, settle, size};
use crate::support::binary::Daemon;
use crate::support::{client, cluster};

/// Longest rest of a sender between two of its deliveries.
const REST: Duration = Duration::from_millis(200);
/// Where Debian puts it, per architecture.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_again_and_again_costs_nothing() {
    let scenario = "clock steps";
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
        println!("{scenario}: not run, there is no libfaketime here");
        return;
    };
    let mut chance = chance(scenario);
    let steps = size(10, 150);
    let database = cluster::database().await;
    let config = database.config();
    let mut crowd = Crowd::gather(size(12, 24), &mut chance).await;
    let sandbox = std::sync::Arc::clone(&crowd.sandbox);
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let clock = homes[0].path().join("clock");
    set(&clock, 0);
    let changes = [
        &QUICK[..],
        &[
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ],
    ]
    .concat();
    let wrong = Daemon::start(&sandbox, homes[0].path(), &config, &changes).await;
    let right = Daemon::start(&sandbox, homes[1].path(), &config, &QUICK).await;
    let doors = Doors::new(vec![wrong.base.clone(), right.base.clone()]);

    let enough = CancellationToken::new();
    let setter = async {
        for _ in 0..steps {
            tokio::time::sleep(Duration::from_millis(chance.random_range(100..900))).await;
            let minutes = chance.random_range(-300..300);
            set(&clock, minutes);
            let off = (told_by(&wrong).await - noon()).num_minutes() - minutes;
            assert!(
                off.abs() <= 1,
                "the daemon's clock is {off} minutes from where it was set"
            );
        }
        enough.cancel();
    };
    tokio::join!(setter, crowd.send(&doors, usize::MAX, REST, &enough));

    settle(&config, &[homes[0].path(), homes[1].path()]).await;
    crowd.audit(&config, steps).await.report(scenario);
    assert!(wrong.terminate().success());
    assert!(right.terminate().success());
}

/// Around noon: what came a moment ago is a repeat within its UTC day.
fn noon() -> DateTime<Utc> {
    let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap();
    Utc::now().date_naive().and_time(noon).and_utc()
}

/// Sets the clock to so many minutes from noon.
fn set(clock: &PathBuf, minutes: i64) {
    let seconds = (noon() - Utc::now()).num_seconds() + minutes * 60;
    // Renamed into place: the library must never read half of it.
    let next = clock.with_extension("next");
    fs::write(&next, format!("{seconds:+}\n")).unwrap();
    fs::rename(next, clock).unwrap();
}

/// What the daemon takes for the time.
async fn told_by(daemon: &Daemon) -> DateTime<Utc> {
    let answer = client()
        .get(format!("{}/api/health", daemon.base))
        .send()
        .await
        .unwrap();
    let health: serde_json::Value = answer.json().await.unwrap();
    health["timestamp"].as_str().unwrap().parse().unwrap()
}
