//! `kill -9` at random moments under load, again and again: of one daemon, and
//! of two on one database in turn.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::{Crowd, Doors, QUICK, chance, settle, size};
use crate::support::binary::Daemon;
use crate::support::{client, cluster};

/// Longest rest of a sender between two of its deliveries.
const REST: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_killed_again_and_again_loses_doubles_and_reorders_nothing() {
    killed_under_load("kills of one daemon", 1, size(10, 300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_killed_in_turn_lose_double_and_reorder_nothing() {
    killed_under_load("kills of two daemons", 2, size(8, 150)).await;
}

async fn killed_under_load(scenario: &str, daemons: usize, kills: usize) {
    let mut chance = chance(scenario);
    let database = cluster::database().await;
    let config = database.config();
    let mut crowd = Crowd::gather(size(12, 24), &mut chance).await;
    let sandbox = Arc::clone(&crowd.sandbox);
    // So that most kills meet vendor calls on the wire.
    sandbox.ghl.set_latency(Some(Duration::from_millis(15)));
    let homes: Vec<_> = (0..daemons).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut running: Vec<Daemon> = Vec::new();
    for home in &homes {
        running.push(Daemon::start(&sandbox, home.path(), &config, &QUICK).await);
    }
    let doors = Doors::new(running.iter().map(|daemon| daemon.base.clone()).collect());

    let enough = CancellationToken::new();
    let killer = async {
        for n in 0..kills {
            let which = n % daemons;
            live_for_a_while(&running[which], &mut chance).await;
            running[which].kill();
            running[which] = Daemon::launch(&sandbox, homes[which].path(), &config, &QUICK);
            doors.lead_to(running.iter().map(|daemon| daemon.base.clone()).collect());
        }
        enough.cancel();
    };
    tokio::join!(killer, crowd.send(&doors, usize::MAX, REST, &enough));

    let homes: Vec<&Path> = homes.iter().map(tempfile::TempDir::path).collect();
    settle(&config, &homes).await;
    crowd.audit(&config, kills).await.report(scenario);
    for daemon in running {
        assert!(daemon.terminate().success());
    }
}

/// Most lives see load; some end while the daemon is still starting.
async fn live_for_a_while(daemon: &Daemon, chance: &mut StdRng) {
    if chance.random_bool(0.85) {
        daemon.ready(&client()).await;
    }
    tokio::time::sleep(Duration::from_millis(chance.random_range(0..800))).await;
}
