//! PostgreSQL away or out of reach under load: everything is answered 2xx, from
//! the spool if need be, and processed in order when it is back.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::proxy::{Line, Proxy};
use super::server::{Server, Stop};
use super::{Crowd, Doors, QUICK, chance, settle, size};
use crate::support::binary::Daemon;

/// Longest rest of a sender between two of its deliveries.
const REST: Duration = Duration::from_millis(200);
/// While the spool drains a text waits, and each look costs an attempt.
const PATIENT: (&str, &str) = ("JOBS_RETRY_LIMIT", "1000");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_by_the_thousand_while_postgres_is_stopped_are_all_taken_and_processed() {
    let scenario = "PostgreSQL stopped";
    let mut chance = chance(scenario);
    let (people, each) = (size(100, 500), size(10, 20));
    let mut server = Server::start().await;
    let mut crowd = Crowd::gather(people, &mut chance).await;
    let home = tempfile::tempdir().unwrap();
    let changes = [&QUICK[..], &[PATIENT]].concat();
    let daemon = Daemon::start(&crowd.sandbox, home.path(), &server.config(), &changes).await;
    let doors = Doors::new(vec![daemon.base.clone()]);

    server.stop(Stop::Fast).await;
    let stopped = Instant::now();
    let never = CancellationToken::new();
    crowd.send(&doors, each, Duration::from_millis(20), &never).await;
    println!("{scenario}: all answered after {:?}", stopped.elapsed());
    // The long run is a whole minute of it.
    tokio::time::sleep_until(stopped + Duration::from_secs(size(0, 60) as u64)).await;
    all_answered(&crowd);
    server.start_again().await;

    settle(&server.config(), &[home.path()]).await;
    println!("{scenario}: all processed after {:?}", stopped.elapsed());
    crowd.audit(&server.config(), 1).await.report(scenario);
    assert!(daemon.terminate().success());
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stopped_and_crashed_again_and_again_costs_nothing() {
    let scenario = "PostgreSQL stopped and crashed";
    let mut chance = chance(scenario);
    let rounds = size(3, 40);
    let mut server = Server::start().await;
    let mut crowd = Crowd::gather(size(12, 24), &mut chance).await;
    let home = tempfile::tempdir().unwrap();
    let changes = [&QUICK[..], &[PATIENT]].concat();
    let daemon = Daemon::start(&crowd.sandbox, home.path(), &server.config(), &changes).await;
    let doors = Doors::new(vec![daemon.base.clone()]);
    let enough = CancellationToken::new();
    let breaker = async {
        for round in 0..rounds {
            tokio::time::sleep(Duration::from_millis(chance.random_range(200..1500))).await;
            let how = if round % 2 == 0 { Stop::Immediate } else { Stop::Fast };
            server.stop(how).await;
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..2500))).await;
            server.start_again().await;
        }
        enough.cancel();
    };
    tokio::join!(breaker, crowd.send(&doors, usize::MAX, REST, &enough));
    all_answered(&crowd);
    settle(&server.config(), &[home.path()]).await;
    crowd.audit(&server.config(), rounds).await.report(scenario);
    assert!(daemon.terminate().success());
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_to_postgres_that_is_cut_torn_or_falls_silent_is_got_over() {
    let scenario = "line to PostgreSQL";
    let mut chance = chance(scenario);
    let rounds = size(1, 8);
    let server = Server::start().await;
    let proxy = Proxy::start(server.socket()).await;
    let mut crowd = Crowd::gather(size(12, 24), &mut chance).await;
    let home = tempfile::tempdir().unwrap();
    let changes = [&QUICK[..], &[PATIENT]].concat();
    let through = proxy.config(&server.config());
    let daemon = Daemon::start(&crowd.sandbox, home.path(), &through, &changes).await;
    let doors = Doors::new(vec![daemon.base.clone()]);
    let enough = CancellationToken::new();
    let breaker = async {
        for _ in 0..rounds {
            for fault in [Line::Tear, Line::Silent, Line::Refuse] {
                tokio::time::sleep(Duration::from_millis(chance.random_range(200..1500))).await;
                proxy.becomes(fault);
                tokio::time::sleep(Duration::from_millis(chance.random_range(500..6000))).await;
                // What fell silent stays so: only the daemon can give it up.
                proxy.becomes(Line::Pass);
            }
        }
        enough.cancel();
    };
    tokio::join!(breaker, crowd.send(&doors, usize::MAX, REST, &enough));
    all_answered(&crowd);
    settle(&server.config(), &[home.path()]).await;
    crowd.audit(&server.config(), rounds * 3).await.report(scenario);
    assert!(daemon.terminate().success());
    drop(proxy);
    server.end().await;
}

/// With a spool to turn to, the daemon refuses nobody and hangs up on nobody.
fn all_answered(crowd: &Crowd) {
    for person in &crowd.people {
        assert_eq!(
            (person.entry.refused, person.entry.unanswered),
            (0, 0),
            "all answered 2xx"
        );
    }
}
