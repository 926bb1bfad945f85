//! Writes are announced before they are made, many by one commit, each judged
//! for itself.

use df_middleware::store::announcer::{Announcement, Announcer};
use df_middleware::store::effects::{Confirmed, Echo, Fence, Prior};
use df_middleware::store::{Db, StoreError};
use futures_util::future::join_all;
use serde_json::json;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::support::{cluster, query};

fn of(step: &str) -> Announcement {
    Announcement {
        step: step.to_owned(),
        fence: None,
        event_id: None,
        echoes: Vec::new(),
        confirmed: Vec::new(),
    }
}

struct Ledger {
    announcer: Announcer,
    sql: Client,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    _database: df_middleware::embedded::throwaway::Database,
}

impl Ledger {
    async fn open() -> Self {
        let database = cluster::database().await;
        let sql = query::connect(&database.config()).await;
        let (announcer, announcements) = Announcer::new(Db::new(database.config(), 1).unwrap());
        let stop = CancellationToken::new();
        let running = tokio::spawn(announcements.run(stop.clone()));
        Self {
            announcer,
            sql,
            stop,
            running,
            _database: database,
        }
    }

    async fn all(&self, announcements: Vec<Announcement>) -> Vec<Result<Prior, StoreError>> {
        join_all(announcements.into_iter().map(|one| self.announcer.announce(one))).await
    }

    async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

#[tokio::test]
async fn a_step_is_fresh_once_and_known_from_then_on() {
    let ledger = Ledger::open().await;
    assert_eq!(ledger.announcer.announce(of("note")).await.unwrap(), Prior::Fresh);
    let again = ledger.announcer.announce(of("note")).await.unwrap();
    assert!(matches!(again, Prior::Unconfirmed { .. }), "{again:?}");
    let confirmed = vec![Confirmed {
        step: "note".to_owned(),
        vendor_id: Some("n1".to_owned()),
        fingerprint: Some("f".to_owned()),
    }];
    let next = Announcement {
        confirmed,
        ..of("tags")
    };
    assert_eq!(ledger.announcer.announce(next).await.unwrap(), Prior::Fresh);
    let done = Prior::Done {
        vendor_id: Some("n1".to_owned()),
        fingerprint: Some("f".to_owned()),
    };
    assert_eq!(ledger.announcer.announce(of("note")).await.unwrap(), done);
    ledger.close().await;
}

#[tokio::test]
async fn of_runs_that_announce_one_step_at_once_only_one_may_take_it_for_new() {
    let ledger = Ledger::open().await;
    let answers = ledger.all((0..40).map(|_| of("contact")).collect()).await;
    let fresh = answers.iter().filter(|a| matches!(a, Ok(Prior::Fresh))).count();
    let known = answers
        .iter()
        .filter(|a| matches!(a, Ok(Prior::Unconfirmed { .. })))
        .count();
    assert_eq!((fresh, known), (1, 39));
    ledger.close().await;
}

#[tokio::test]
async fn a_run_that_lost_its_lane_announces_nothing_while_others_of_its_batch_do() {
    let ledger = Ledger::open().await;
    ledger
        .sql
        .batch_execute("INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq, epoch) VALUES (1, now(), 1, 1, 7), (2, now(), 2, 2, 8)")
        .await
        .unwrap();
    let echo = |entity: &str| Echo {
        vendor: "ghl",
        entity_id: entity.to_owned(),
        fingerprint: "tag+:x".to_owned(),
        replaces: "tag-:x".to_owned(),
    };
    let under = |step: &str, key, epoch| Announcement {
        fence: Some(Fence { key, epoch }),
        echoes: vec![echo(step)],
        ..of(step)
    };
    let answers = ledger
        .all(vec![
            under("ours", 1, 7),
            under("lost", 2, 7),
            under("gone", 3, 9),
            of("a-person's"),
        ])
        .await;
    assert!(matches!(answers[0], Ok(Prior::Fresh)));
    assert!(matches!(answers[1], Err(StoreError::LeaseLost)));
    assert!(matches!(answers[2], Err(StoreError::LeaseLost)));
    assert!(matches!(answers[3], Ok(Prior::Fresh)));
    let rows = query::rows(&ledger.sql, "SELECT step FROM effects ORDER BY step").await;
    assert_eq!(rows, [json!({"step": "a-person's"}), json!({"step": "ours"})]);
    let echoes = query::rows(&ledger.sql, "SELECT entity_id FROM echoes").await;
    assert_eq!(echoes, [json!({"entity_id": "ours"})]);
    ledger.close().await;
}

#[tokio::test]
async fn an_announcement_that_postgresql_refuses_fails_alone() {
    let ledger = Ledger::open().await;
    let answers = ledger.all(vec![of("before"), of("no\0text"), of("after")]).await;
    assert!(matches!(answers[0], Ok(Prior::Fresh)));
    assert!(matches!(answers[1], Err(StoreError::Statement(_))));
    assert!(matches!(answers[2], Ok(Prior::Fresh)));
    ledger.close().await;
}

#[tokio::test]
async fn a_write_takes_the_echo_of_its_opposite_back() {
    let ledger = Ledger::open().await;
    let write = |step: &str, fingerprint: &str, replaces: &str| Announcement {
        echoes: vec![Echo {
            vendor: "ghl",
            entity_id: "c1".to_owned(),
            fingerprint: fingerprint.to_owned(),
            replaces: replaces.to_owned(),
        }],
        ..of(step)
    };
    ledger.announcer.announce(write("add", "+x", "-x")).await.unwrap();
    ledger.announcer.announce(write("remove", "-x", "+x")).await.unwrap();
    let echoes = query::rows(&ledger.sql, "SELECT fingerprint FROM echoes").await;
    assert_eq!(echoes, [json!({"fingerprint": "-x"})]);
    ledger.close().await;
}
