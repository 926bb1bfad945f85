//! The spool at its end: a disk that takes no more while PostgreSQL is away, and
//! a process killed in the middle of writing. What was acknowledged is processed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::ledger::spooled;
use super::server::{Server, Stop};
use super::{Crowd, Door, Doors, QUICK, chance, settle, size};
use crate::support::binary::Daemon;
use crate::support::{PATIENCE, client};

/// Longest rest of a sender between two of its deliveries.
const REST: Duration = Duration::from_millis(40);
/// Bytes of a delivery that surely finds no room.
const PROBE: u64 = 2000;
/// While the spool drains a text waits, and each look costs an attempt.
const PATIENT: (&str, &str) = ("JOBS_RETRY_LIMIT", "1000");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_ghl_is_told_429_texting_503_and_what_was_taken_is_processed() {
    let scenario = "full disk";
    let mut chance = chance(scenario);
    let mut server = Server::start().await;
    let mut crowd = Crowd::gather(size(12, 48), &mut chance).await;
    let sandbox = std::sync::Arc::clone(&crowd.sandbox);
    let home = tempfile::tempdir().unwrap();
    let changes = [&QUICK[..], &[PATIENT]].concat();
    // 64 KiB short, 1 MiB long.
    let blocks = size(128, 2048);
    let daemon = Daemon::launch_on_full_disk(blocks, &sandbox, home.path(), &server.config(), &changes);
    daemon.ready(&client()).await;
    let doors = Doors::new(vec![daemon.base.clone()]);

    server.stop(Stop::Fast).await;
    let enough = CancellationToken::new();
    let filler = async {
        let deadline = tokio::time::Instant::now() + PATIENCE * 4;
        while spooled(home.path()) + PROBE < blocks as u64 * 512 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the disk did not fill: {}",
                spooled(home.path())
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let padding = "x".repeat(usize::try_from(PROBE).unwrap());
        let probe = json!({"type": "ContactUpdate", "id": "probe", "padding": padding});
        assert_eq!(doors.try_once(&sandbox, Door::Ghl, &probe).await, Some(429));
        assert_eq!(doors.try_once(&sandbox, Door::Texting, &probe).await, Some(503));
        server.start_again().await;
        enough.cancel();
    };
    tokio::join!(filler, crowd.send(&doors, usize::MAX, REST, &enough));
    for refusal in doors.refusals() {
        let told = matches!(
            refusal,
            (Door::Ghl | Door::Provider, 429, true) | (Door::Texting, 503, _)
        );
        assert!(
            told,
            "{refusal:?}: Aloware, who never comes back, is kept waiting instead"
        );
    }
    settle(&server.config(), &[home.path()]).await;
    crowd
        .audit(&server.config(), doors.refusals().len())
        .await
        .report(scenario);
    assert!(daemon.terminate().success());
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_killed_while_it_writes_to_the_spool_loses_nothing_it_acknowledged() {
    let scenario = "torn spool";
    let mut chance = chance(scenario);
    let rounds = size(2, 25);
    let mut server = Server::start().await;
    let mut crowd = Crowd::gather(size(12, 24), &mut chance).await;
    let sandbox = std::sync::Arc::clone(&crowd.sandbox);
    let home = tempfile::tempdir().unwrap();
    let changes = [&QUICK[..], &[PATIENT]].concat();
    let mut daemon = Daemon::start(&sandbox, home.path(), &server.config(), &changes).await;
    let doors = Doors::new(vec![daemon.base.clone()]);
    let enough = CancellationToken::new();
    let breaker = async {
        for _ in 0..rounds {
            server.stop(Stop::Immediate).await;
            let waiting = spooled(home.path());
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while spooled(home.path()) <= waiting {
                assert!(tokio::time::Instant::now() < deadline, "nothing is spooled");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..1500))).await;
            daemon.kill();
            tear(home.path(), chance.random());
            server.start_again().await;
            daemon = Daemon::start(&sandbox, home.path(), &server.config(), &changes).await;
            doors.lead_to(vec![daemon.base.clone()]);
        }
        enough.cancel();
    };
    tokio::join!(breaker, crowd.send(&doors, usize::MAX, REST * 5, &enough));
    settle(&server.config(), &[home.path()]).await;
    crowd.audit(&server.config(), rounds).await.report(scenario);
    assert!(daemon.terminate().success());
    server.end().await;
}

/// Leaves the beginning of one more record, as a power failure in a write does.
fn tear(home: &Path, part: f64) {
    let path = home.join("spool/spool");
    let whole = fs::read(&path).unwrap();
    let length = u32::from_le_bytes(*whole.first_chunk().unwrap()) as usize + 12;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small length"
    )]
    let cut = (part * length as f64) as usize;
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&whole[..cut.min(length - 1)]).unwrap();
}
