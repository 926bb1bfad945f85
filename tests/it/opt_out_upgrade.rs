//! What a database of before knew of consent is known after the upgrade, by the rule
//! that each source lifts only its own block.

use serde_json::json;

use crate::support::{cluster, query};

const BEFORE: [&str; 4] = [
    include_str!("../../migrations/V1__event_store.sql"),
    include_str!("../../migrations/V2__fleet.sql"),
    include_str!("../../migrations/V3__lanes.sql"),
    include_str!("../../migrations/V4__agents.sql"),
];
const UPGRADE: &str = include_str!("../../migrations/V5__consent_by_source.sql");

/// One number each: a plain STOP; a STOP that another channel's START had lifted; a
/// STOP and START of the sending channel; a row typed by hand and adopted; a lifted DNC; a
/// row typed by hand; one typed over a STOP that START had lifted; one in another spelling.
const KNOWN: &str = "
INSERT INTO optout_history (phone_number, cause, action, source, reason, occurred_at) VALUES
  ('+16195550101', 'consumer_stop', 'block', 'texting', 'STOP', '2026-11-02 17:00Z'),
  ('+16195550102', 'consumer_stop', 'block', 'texting', 'STOP', '2026-11-02 17:00Z'),
  ('+16195550102', 'consumer_stop', 'lift', 'aloware', 'START', '2026-11-02 18:00Z'),
  ('+16195550103', 'consumer_stop', 'block', 'aloware', 'STOP', '2026-11-02 17:00Z'),
  ('+16195550103', 'consumer_stop', 'lift', 'texting', 'START', '2026-11-02 18:00Z'),
  ('+16195550107', 'consumer_stop', 'block', 'texting', 'STOP', '2026-11-02 17:00Z'),
  ('+16195550107', 'consumer_stop', 'lift', 'texting', 'START', '2026-11-02 18:00Z'),
  ('+16195550105', 'voice_dnc', 'lift', 'aloware', 'DNC Removed', '2026-11-02 18:00Z');
INSERT INTO optout_blocks (phone_number, cause, active, source, reason, changed_at) VALUES
  ('+16195550101', 'consumer_stop', true, 'texting', 'STOP', '2026-11-02 17:00Z'),
  ('+16195550102', 'consumer_stop', false, 'aloware', 'START', '2026-11-02 18:00Z'),
  ('+16195550103', 'consumer_stop', false, 'texting', 'START', '2026-11-02 18:00Z'),
  ('+16195550104', 'manual', true, 'import', 'list', '2026-11-02 17:00Z'),
  ('+16195550107', 'consumer_stop', false, 'texting', 'START', '2026-11-02 18:00Z'),
  ('+16195550105', 'voice_dnc', false, 'aloware', 'DNC Removed', '2026-11-02 18:00Z');
INSERT INTO optout_registry (phone_number, status, source, reason, last_event_at) VALUES
  ('+16195550101', 'opted_out', 'texting', 'STOP', '2026-11-02 17:00Z'),
  ('+16195550102', 'opted_in', 'aloware', 'START', '2026-11-02 18:00Z'),
  ('+16195550103', 'opted_in', 'texting', 'START', '2026-11-02 18:00Z'),
  ('+16195550104', 'opted_out', 'import', 'list', '2026-11-02 17:00Z'),
  ('+16195550106', 'opted_out', 'psql', 'typed', '2026-11-02 17:00Z'),
  ('+16195550107', 'opted_out', 'psql', 'letter', '2026-11-02 18:00Z'),
  ('(619) 555-0108', 'opted_out', 'psql', 'typed', '2026-11-02 17:00Z');";

#[tokio::test]
async fn who_was_blocked_stays_blocked_and_what_another_channel_had_lifted_blocks_again() {
    let database = cluster::database().await;
    let client = query::connect(&database.config()).await;
    client
        .batch_execute("CREATE SCHEMA before; SET search_path = before")
        .await
        .unwrap();
    for migration in BEFORE {
        client.batch_execute(migration).await.unwrap();
    }
    client.batch_execute(KNOWN).await.unwrap();
    client.batch_execute(UPGRADE).await.unwrap();
    let blocks = query::rows(
        &client,
        "SELECT right(phone_number, 1) AS number, cause, source, active, lifted_by FROM optout_blocks ORDER BY phone_number, cause",
    )
    .await;
    let block = |number: &str, cause: &str, source: &str, lifted_by: Option<&str>| json!({"number": number, "cause": cause, "source": source, "active": lifted_by.is_none(), "lifted_by": lifted_by});
    assert_eq!(
        blocks,
        [
            block("1", "consumer_stop", "texting", None),
            block("2", "consumer_stop", "texting", None),
            block("3", "consumer_stop", "aloware", Some("texting")),
            block("4", "manual", "import", None),
            block("7", "consumer_stop", "texting", Some("texting")),
            block("7", "manual", "psql", None),
        ]
    );
    let out = "SELECT right(phone_number, 1) AS number FROM optout_registry WHERE status = 'opted_out' AND phone_number LIKE '+1619555010_' ORDER BY 1";
    let numbers: Vec<_> = ["1", "2", "4", "6", "7", "8"]
        .map(|number| json!({"number": number}))
        .into();
    assert_eq!(query::rows(&client, out).await, numbers);
    let adopted = "SELECT cause, source FROM optout_history WHERE phone_number = '+16195550104'";
    assert_eq!(
        query::rows(&client, adopted).await,
        [json!({"cause": "manual", "source": "import"})]
    );
}

#[tokio::test]
async fn the_state_of_one_number_is_found_by_index_however_long_the_history_is() {
    let database = cluster::database().await;
    let client = query::connect(&database.config()).await;
    client
        .batch_execute(
            "INSERT INTO optout_history (phone_number, cause, action, source, occurred_at)
             SELECT '+1619' || 5000000 + n % 20000, 'consumer_stop', CASE n % 3 WHEN 0 THEN 'lift' ELSE 'block' END, 'texting',
                    now() + n * interval '1 second' FROM generate_series(1, 60000) n;
             ANALYZE optout_history; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;
             PREPARE state(text[]) AS SELECT * FROM optout_state WHERE phone_number = ANY ($1)",
        )
        .await
        .unwrap();
    let plan = client
        .query(
            "EXPLAIN (ANALYZE, TIMING OFF) EXECUTE state(ARRAY['+16195000007'])",
            &[],
        )
        .await
        .unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let scans: Vec<&String> = plan.iter().filter(|line| line.contains("Scan")).collect();
    assert!(!scans.is_empty());
    for scan in scans {
        let read: f64 = scan
            .split("actual rows=")
            .nth(1)
            .and_then(|n| n.split(' ').next())
            .unwrap()
            .parse()
            .unwrap();
        assert!(read <= 3.0, "{plan:#?}");
    }
    assert!(
        !plan.iter().any(|line| line.contains("Rows Removed by Filter: 1")),
        "{plan:#?}"
    );
}
