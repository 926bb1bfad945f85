//! What the engine's statements cost, counted in pages and never in time, and
//! which indexes they walk.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use df_middleware::queue::{CLAIM, COMPLETE, RENEW};
use df_middleware::store::Db;
use df_middleware::store::ingest::INSERT;
use serde_json::Value;

use crate::support::cluster;

/// Lanes of one claim; lane `HOT` is the deep one.
const LANES: i64 = 8;
const HOT: i64 = 1;

/// A table with `finished` rows behind it, `parked` lanes in back-off, and
/// `LANES` due ones, of which the first is `deep`.
async fn fill(client: &tokio_postgres::Client, finished: i64, parked: i64, deep: i64) {
    let rows = |kind: &str, count: i64, key: &str, done: &str| {
        format!(
            "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key, order_key, status, processed_at)
             SELECT 'ghl', 'ContactUpdate', 'contact', n::text, '{{}}', '{kind} ' || n, {key}, {done} FROM generate_series(1, {count}) n;
             INSERT INTO texting_webhook_events (event_type, entity_id, payload_json, dedupe_key, order_key, status, processed_at)
             SELECT 'message.received', n::text, '{{}}', '{kind} ' || n, {key}, {done} FROM generate_series(1, {count} / 4) n;"
        )
    };
    let mut sql = rows("finished", finished, "n % 5000", "'done', now()");
    sql.push_str(&rows("parked", parked, "100000 + n", "'pending', NULL"));
    sql.push_str(&rows("deep", deep, &HOT.to_string(), "'pending', NULL"));
    sql.push_str(&rows("due", LANES - 1, "1 + n", "'pending', NULL"));
    write!(
        sql,
        "INSERT INTO event_lanes (key, ready_at, head_seq, tail_seq)
         SELECT order_key, CASE WHEN order_key > 100000 THEN now() + interval '1 hour' ELSE now() - interval '1 second' END,
                min(seq), max(seq)
           FROM (SELECT order_key, seq FROM webhook_events WHERE processed_at IS NULL
                 UNION ALL SELECT order_key, seq FROM texting_webhook_events WHERE processed_at IS NULL) o GROUP BY 1;
         INSERT INTO quarantine_events (event_id, event_source, reason)
         SELECT gen_random_uuid()::text, 'webhook', 'test' FROM generate_series(1, {finished} / 100);
         ANALYZE"
    )
    .unwrap();
    client.batch_execute(&sql).await.unwrap();
}

/// An array literal.
fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("'{{{}}}'", items.join(","))
}

/// The four statements with arguments for `LANES` lanes: name, text, arguments.
async fn statements(client: &tokio_postgres::Client) -> [(&'static str, &'static str, String); 4] {
    let due = "SELECT array_agg(key ORDER BY key), array_agg(epoch ORDER BY key), array_agg(head_seq ORDER BY key)
                 FROM event_lanes WHERE ready_at <= now()";
    let row = client.query_one(due, &[]).await.unwrap();
    let (keys, epochs, seqs): (Vec<i64>, Vec<i64>, Vec<i64>) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(keys.len(), usize::try_from(LANES).unwrap());
    let claim = format!("'{}', {LANES}, 16, 60, '-infinity'", uuid::Uuid::new_v4());
    let renew = format!("{}, {}, 60", list(&keys), list(&epochs));
    [
        ("claim", CLAIM, claim),
        ("complete", COMPLETE, results(&keys, &epochs, &seqs)),
        ("renew", RENEW, renew),
        ("ingest", INSERT, deliveries(&keys)),
    ]
}

/// One done event with its row of the log for each lane.
fn results(keys: &[i64], epochs: &[i64], seqs: &[i64]) -> String {
    let each = |text: &str| list(keys.iter().map(|_| text));
    let ids = list(keys.iter().map(|_| uuid::Uuid::now_v7()));
    let (keys, epochs, seqs, none) = (list(keys), list(epochs), list(seqs), each("NULL"));
    let lanes = format!("{keys}, {epochs}, {seqs}, {none}");
    let events = format!(
        "{seqs}, {keys}, {}, {}, {}, {none}",
        each("webhook"),
        each("done"),
        each("0")
    );
    let whose = [
        each("ghl_to_aloware"),
        each("contact"),
        each("c"),
        each("c"),
        each("t"),
        each("success"),
    ]
    .join(", ");
    let log = format!("{seqs}, {whose}, {}, {none}, {}, {none}", each("2026-01-01"), each("e"));
    format!(
        "{lanes}, {events}, {log}, '{{}}', '{{}}', '{{}}', {}, {epochs}, {epochs}, {ids}, {}",
        each("1"),
        each("0")
    )
}

/// One new delivery for each lane.
fn deliveries(keys: &[i64]) -> String {
    let each = |text: &str| list(keys.iter().map(|_| text));
    let named = |what: &str| list(keys.iter().map(|key| format!("\"{what} {key}\"")));
    let (ids, none, at) = (
        list(keys.iter().map(|_| uuid::Uuid::now_v7())),
        each("NULL"),
        each("2026-01-01"),
    );
    let what = [
        each("ghl"),
        each("ContactUpdate"),
        each("contact"),
        each("c"),
        each("\"{}\""),
    ]
    .join(", ");
    let known = format!("{}, {}", named("fresh"), named("finished"));
    format!(
        "{ids}, {}, {}, {what}, {known}, {none}, {none}, {none}, {at}, {at}",
        each("webhook"),
        list(keys)
    )
}

/// The plan of a statement as the daemon's own connections run it; rolled back.
async fn explain(client: &tokio_postgres::Client, mode: &str, name: &str, text: &str, arguments: &str) -> Value {
    let set_up = format!("BEGIN; SET LOCAL plan_cache_mode = {mode}; PREPARE {name} AS {text}");
    client.batch_execute(&set_up).await.unwrap();
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({arguments})");
    let plan: Value = client
        .query_one(&sql, &[])
        .await
        .unwrap_or_else(|e| panic!("{name}: {e:?}\n{sql}"))
        .get(0);
    client
        .batch_execute(&format!("ROLLBACK; DEALLOCATE {name}"))
        .await
        .unwrap();
    plan[0]["Plan"].clone()
}

/// Visits every node of a plan.
fn walk(plan: &Value, visit: &mut impl FnMut(&Value)) {
    visit(plan);
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        walk(inner, visit);
    }
}

/// Pages touched, each counted at every level it passes through.
fn pages(plan: &Value) -> u64 {
    let mut sum = 0;
    walk(plan, &mut |node| {
        let of = |name: &str| node[name].as_u64().unwrap_or(0);
        sum += of("Shared Hit Blocks") + of("Shared Read Blocks");
    });
    sum
}

async fn session(config: tokio_postgres::Config) -> deadpool_postgres::Object {
    Db::new(config, 1).unwrap().client().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_5_the_cost_of_an_event_grows_with_neither_history_backlog_nor_back_off() {
    let mut costs: Vec<Vec<(&str, u64)>> = Vec::new();
    for (finished, parked, deep) in [(1_000, 10, 20), (200_000, 20_000, 20_000)] {
        let database = cluster::database().await;
        let client = session(database.config()).await;
        fill(&client, finished, parked, deep).await;
        let mut cost = Vec::new();
        for (name, text, arguments) in statements(&client).await {
            // The first run reads what earlier ones left to be cleaned.
            explain(&client, "force_generic_plan", name, text, &arguments).await;
            cost.push((
                name,
                pages(&explain(&client, "force_generic_plan", name, text, &arguments).await),
            ));
        }
        costs.push(cost);
    }
    for ((name, small), (_, full)) in costs[0].iter().zip(&costs[1]) {
        assert!(*small > 0, "{name}: nothing was counted");
        // An index two levels deeper, not two hundred times the rows.
        assert!(
            *full <= small * 2 + 150,
            "{name}: {small} pages before, {full} with everything full"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_of_the_engine_walks_the_indexes_made_for_it() {
    let database = cluster::database().await;
    let client = session(database.config()).await;
    fill(&client, 20_000, 2_000, 2_000).await;
    for (name, text, arguments) in statements(&client).await {
        let wanted: BTreeSet<&str> = match name {
            "claim" => [
                "event_lanes_ready",
                "event_lanes_pkey",
                "webhook_events_open",
                "texting_webhook_events_open",
                "webhook_events_pkey",
            ]
            .into(),
            "complete" => ["event_lanes_pkey", "webhook_events_seq", "texting_webhook_events_seq"].into(),
            "renew" => ["event_lanes_pkey"].into(),
            _ => ["webhook_events_dedupe_key", "texting_webhook_events_dedupe_key"].into(),
        };
        for mode in ["force_generic_plan", "force_custom_plan"] {
            let plan = explain(&client, mode, name, text, &arguments).await;
            let (mut used, mut scanned) = (BTreeSet::new(), Vec::new());
            walk(&plan, &mut |node| {
                let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
                used.insert(text("Index Name"));
                if text("Node Type") == "Seq Scan" {
                    scanned.push(text("Relation Name"));
                }
            });
            assert!(scanned.is_empty(), "{name}, {mode}: scans {scanned:?}");
            let missing: Vec<&&str> = wanted.iter().filter(|index| !used.contains(**index)).collect();
            assert!(
                missing.is_empty(),
                "{name}, {mode}: does not use {missing:?} but {used:?}"
            );
        }
    }
}
