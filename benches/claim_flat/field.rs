//! A database with something in it, and an engine that is run by hand.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use df_middleware::domain::{Entity, Event, Flow, LogEntry};
use df_middleware::queue::{Engine, Handler, Limits, Report, RetryPolicy, Round, RunContext};
use df_middleware::store::Db;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::{Client, NoTls};

use crate::house::{Ground, House};
use crate::times::Times;

/// Lanes of one claim.
pub(crate) const LANES: u64 = 64;

/// The lane of the deep person: no hash below comes out as that.
const DEEP: i64 = 42;

const EVENTS: &str = "
INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key, order_key)
SELECT 'aloware', 'Call-Disposed', 'call', 'open-' || n, '{\"event\": \"Call-Disposed\", \"body\": {\"id\": 1}}',
       gen_random_uuid()::text, ";

/// Everything in ascending order, so that the indexes grow at one end.
const FINISHED: &str = "
INSERT INTO webhook_events (id, source, event_type, entity_type, entity_id, payload_json, dedupe_key, order_key, status,
                            processed_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'aloware', 'Call-Disposed', 'call', 'done-' || lpad(n::text, 12, '0'), '{}',
       'done-' || lpad(n::text, 12, '0'), hashint8extended(n, 2), 'done', now()
  FROM generate_series($1::bigint, $2::bigint) n";

/// One database with its engine.
pub(crate) struct Field {
    ground: Ground,
    engine: Engine,
    /// The watermark, as the running engine keeps it.
    since: DateTime<Utc>,
    has_deep: bool,
    pub(crate) claims: Times,
    pub(crate) completions: Times,
}

/// Closes each event at once, with the one log row that every event has.
struct AllDone;

impl Handler for AllDone {
    fn handle<'a>(&'a self, event: &'a Event, _: &'a RunContext) -> BoxFuture<'a, Report> {
        let entry = LogEntry::skipped(Flow::AlowareToGhl, Entity::Call, &event.entity_id, "bench");
        let report = Report {
            verdict: Ok(entry.into()),
            confirmed: Vec::new(),
        };
        std::future::ready(report).boxed()
    }
}

impl Field {
    pub(crate) async fn new(house: &House) -> Self {
        let ground = house.ground().await;
        let limits = Limits {
            concurrency: LANES as usize,
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            retry: RetryPolicy {
                limit: 10,
                base: Duration::from_secs(60),
                cap: Duration::from_secs(3600),
                max_age: Duration::from_secs(86_400),
                deadline: Duration::from_secs(120),
            },
        };
        let db = Db::new(ground.config.clone(), 2).unwrap();
        Self {
            engine: Engine::new(db, Arc::new(AllDone), limits, Arc::new(|_, _, _, _| 0)),
            ground,
            since: DateTime::UNIX_EPOCH,
            has_deep: false,
            claims: Times::default(),
            completions: Times::default(),
        }
    }

    /// `count` people with one open event each, in lanes that are ready at `ready_at`.
    pub(crate) async fn lanes(&self, count: u64, ready_at: &str) {
        let first = self
            .ground
            .number("SELECT coalesce(max(seq), 0) FROM webhook_events")
            .await;
        let events = format!("{EVENTS} hashint8extended(n, 1) FROM generate_series({first} + 1, {first} + {count}) n");
        self.ground.sql.batch_execute(&events).await.unwrap();
        let lanes = format!(
            "INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq)
             SELECT order_key, {ready_at}, seq, seq FROM webhook_events WHERE seq > {first} AND processed_at IS NULL"
        );
        self.ground.sql.batch_execute(&lanes).await.unwrap();
    }

    /// One person with `count` open events, whose lane is in every claim.
    pub(crate) async fn deep(&mut self, count: u64) {
        let events = format!("{EVENTS} {DEEP} FROM generate_series(1, {count}) n");
        self.ground.sql.batch_execute(&events).await.unwrap();
        let lane = format!(
            "INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq)
             SELECT {DEEP}, now() - interval '1 minute', min(seq), max(seq) FROM webhook_events WHERE order_key = {DEEP}"
        );
        self.ground.sql.batch_execute(&lane).await.unwrap();
        self.has_deep = true;
    }

    /// `count` events that ended long ago.
    pub(crate) async fn finished(&self, count: u64) {
        const STEP: u64 = 1_000_000;
        for first in (1..=count).step_by(STEP as usize) {
            let range = [first as i64, count.min(first + STEP - 1) as i64];
            self.ground
                .sql
                .execute(FINISHED, &[&range[0], &range[1]])
                .await
                .unwrap();
        }
    }

    /// A transaction that sees the tables as they are now for as long as it is held.
    pub(crate) async fn old_transaction(&self) -> Client {
        let (client, connection) = self.ground.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM event_lanes";
        client.batch_execute(begin).await.unwrap();
        client
    }

    /// What autovacuum would have done by now, so that it does not begin meanwhile.
    pub(crate) async fn settle(&self) {
        self.ground
            .sql
            .batch_execute("VACUUM (ANALYZE) webhook_events")
            .await
            .unwrap();
        self.ground
            .sql
            .batch_execute("VACUUM (ANALYZE) event_lanes")
            .await
            .unwrap();
        self.ground.checkpoint().await;
    }

    /// Rounds of full claims with the watermark.
    pub(crate) async fn run(&mut self, rounds: u64, measured: bool) {
        for _ in 0..rounds {
            let round = self.round(self.since).await;
            self.since = round.next_since;
            if measured {
                self.claims.add(round.claim);
                self.completions.add(round.complete);
            }
        }
    }

    /// One round of a full claim.
    pub(crate) async fn round(&mut self, since: DateTime<Utc>) -> Round {
        if self.has_deep {
            let first_again =
                format!("UPDATE event_lanes SET ready_at = (SELECT min(ready_at) FROM event_lanes) WHERE key = {DEEP}");
            self.ground.sql.batch_execute(&first_again).await.unwrap();
        }
        let round = self.engine.timed_round(LANES as i64, since).await.unwrap();
        assert_eq!(round.lanes as u64, LANES, "a full claim");
        assert!(round.done >= LANES, "an event in each lane");
        round
    }
}
