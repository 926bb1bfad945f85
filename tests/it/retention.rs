//! Retention removes what is finished and old, and nothing else.

use std::time::Duration;

use df_middleware::schedule::retention;
use df_middleware::store::Db;
use df_middleware::store::announcer::{Announcement, Announcer};
use df_middleware::store::effects::Prior;
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::{cluster, query};

const KEEP: Duration = Duration::from_secs(90 * 86_400);
const OLD: u32 = 100;
const YOUNG: u32 = 80;

/// An event of a kind: how it ended, days since it came and since it ended.
const EVENTS: [(&str, &str, u32, Option<u32>); 6] = [
    ("old done", "done", OLD, Some(OLD)),
    ("old error", "error", OLD, Some(99)),
    ("old pending", "pending", OLD, None),
    ("old processing", "processing", OLD, None),
    ("old replayed", "done", OLD, Some(3)),
    ("young done", "done", YOUNG, Some(YOUNG)),
];

/// The rows that outlive [`EVENTS`].
const KEPT: [&str; 4] = ["old pending", "old processing", "old replayed", "young done"];

async fn fill_events(client: &Client) {
    for (name, status, received, processed) in EVENTS {
        let processed = processed.map_or("NULL".to_owned(), |days| format!("now() - interval '{days} days'"));
        for (table, columns, values) in [
            (
                "webhook_events",
                "source, entity_type, entity_id",
                "'aloware', 'call', '1'",
            ),
            ("texting_webhook_events", "entity_type", "'message'"),
        ] {
            let kind = table.split('_').next().unwrap();
            client
                .batch_execute(&format!(
                    "WITH e AS (INSERT INTO {table} (event_type, dedupe_key, payload_json, status, received_at, processed_at, {columns})
                       VALUES ('{name}', '{name}', '{{}}', '{status}', now() - interval '{received} days', {processed}, {values})
                       RETURNING id),
                     q AS (INSERT INTO quarantine_events (event_id, event_source, reason)
                       SELECT id::text, '{kind}', '{name}' FROM e)
                     INSERT INTO effects (step, state, event_id, created_at)
                       SELECT '{kind}:{name}', 'done', id, now() - interval '{received} days' FROM e"
                ))
                .await
                .unwrap();
        }
    }
}

/// An id as the daemon made them so many days ago.
fn id_of(days: u32) -> Uuid {
    let then = chrono::Utc::now() - chrono::TimeDelta::days(i64::from(days));
    let seconds = u64::try_from(then.timestamp()).unwrap();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0))
}

async fn names(client: &Client, sql: &str) -> Vec<Value> {
    query::rows(client, sql)
        .await
        .into_iter()
        .map(|row| row["name"].clone())
        .collect()
}

#[tokio::test]
async fn finished_events_go_with_what_belongs_to_them_and_unfinished_ones_stay_whatever_their_age() {
    let database = cluster::database().await;
    let client = query::connect(&database.config()).await;
    fill_events(&client).await;
    let db = Db::new(database.config(), 2).unwrap();
    let removed = retention::run(&db, KEEP, &CancellationToken::new()).await.unwrap();
    assert_eq!(
        removed,
        2 * 2 * 3,
        "two events of each table, their quarantine and effects"
    );
    for (table, kind) in [("webhook_events", "webhook"), ("texting_webhook_events", "texting")] {
        let events = names(&client, &format!("SELECT event_type AS name FROM {table} ORDER BY 1")).await;
        assert_eq!(events, KEPT, "{table}");
        let quarantined =
            format!("SELECT reason AS name FROM quarantine_events WHERE event_source = '{kind}' ORDER BY 1");
        assert_eq!(names(&client, &quarantined).await, KEPT, "quarantine of {table}");
        let effects =
            format!("SELECT split_part(step, ':', 2) AS name FROM effects WHERE step LIKE '{kind}:%' ORDER BY 1");
        assert_eq!(names(&client, &effects).await, KEPT, "effects of {table}");
    }
    assert_eq!(retention::run(&db, KEEP, &CancellationToken::new()).await.unwrap(), 0);
    db.close();
}

#[tokio::test]
async fn more_than_one_batch_goes_and_a_stop_ends_it_between_two() {
    let database = cluster::database().await;
    let client = query::connect(&database.config()).await;
    // The open row comes first and must not hold the walk up.
    client
        .batch_execute(
            "INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key, status,
                                         received_at, processed_at)
             SELECT 'ghl', 'x', 'contact', 'c', '{}', 'k' || n, CASE n WHEN 1 THEN 'pending' ELSE 'done' END,
                    now() - interval '100 days', CASE n WHEN 1 THEN NULL ELSE now() - interval '100 days' END
               FROM generate_series(1, 12000) AS n",
        )
        .await
        .unwrap();
    let db = Db::new(database.config(), 2).unwrap();
    let stopped = CancellationToken::new();
    stopped.cancel();
    let first = retention::run(&db, KEEP, &stopped).await.unwrap();
    assert_eq!(first, 4999, "a batch, but for the open row");
    assert_eq!(
        retention::run(&db, KEEP, &CancellationToken::new()).await.unwrap(),
        7000
    );
    let left = query::rows(&client, "SELECT status FROM webhook_events").await;
    assert_eq!(left, [json!({"status": "pending"})]);
    db.close();
}

#[tokio::test]
async fn logs_and_send_records_go_by_age_and_no_proof_of_consent_ever_does() {
    let database = cluster::database().await;
    let client = query::connect(&database.config()).await;
    for days in [OLD, YOUNG] {
        let id = id_of(days);
        let then = format!("now() - interval '{days} days'");
        client
            .batch_execute(&format!(
                "INSERT INTO sync_log (id, direction, entity_type, entity_id, source_id, status, started_at)
                   VALUES ('{id}', 'unknown', 'x', '{days}', 's', 'skipped', {then});
                 INSERT INTO outbound_messages (id, to_number, state, reason, created_at) VALUES
                   ('{id}', '+1', 'sent', '{days}', {then}),
                   ('{sending}', '+1', 'sending', '{days} under way', {then});
                 INSERT INTO effects (step, state, created_at) VALUES ('{days}', 'done', {then});
                 INSERT INTO scheduled_runs (name, due_at) VALUES ('{days}', {then});
                 INSERT INTO vendor_usage (vendor, day, calls) VALUES ('ghl', ({then})::date, 1);
                 INSERT INTO optout_registry (phone_number, status, source, created_at, updated_at, last_event_at)
                   VALUES ('{days}', 'opted_out', 's', {then}, {then}, {then});
                 INSERT INTO optout_blocks (phone_number, cause, active, source, changed_at)
                   VALUES ('{days}', 'manual', false, 's', {then});
                 INSERT INTO optout_history (phone_number, cause, action, source, occurred_at, recorded_at)
                   VALUES ('{days}', 'manual', 'lift', 's', {then}, {then});
                 INSERT INTO optout_deliveries (event_id, system, phone_number, action, requested_at)
                   VALUES ('{id}', 'ghl', '{days}', 'block', {then});
                 INSERT INTO audit_log (at, actor, action, subject) VALUES ({then}, 'a', 'b', '{days}');
                 INSERT INTO contact_mappings (ghl_contact_id, created_at, updated_at) VALUES ('{days}', {then}, {then});
                 INSERT INTO message_mappings (texting_message_id, created_at) VALUES ('{days}', {then})",
                sending = id_of(days),
            ))
            .await
            .unwrap();
    }
    let db = Db::new(database.config(), 2).unwrap();
    let removed = retention::run(&db, KEEP, &CancellationToken::new()).await.unwrap();
    assert_eq!(removed, 5, "one row of each table that goes by age");
    for (table, column, kept) in [
        ("sync_log", "entity_id", &["80"][..]),
        ("outbound_messages", "reason", &["100 under way", "80", "80 under way"]),
        ("effects", "step", &["80"]),
        ("scheduled_runs", "name", &["80"]),
        ("optout_registry", "phone_number", &["100", "80"]),
        ("optout_blocks", "phone_number", &["100", "80"]),
        ("optout_history", "phone_number", &["100", "80"]),
        ("optout_deliveries", "phone_number", &["100", "80"]),
        ("audit_log", "subject", &["100", "80"]),
        ("contact_mappings", "ghl_contact_id", &["100", "80"]),
        ("message_mappings", "texting_message_id", &["100", "80"]),
    ] {
        let rows = names(&client, &format!("SELECT {column} AS name FROM {table} ORDER BY 1")).await;
        assert_eq!(rows, kept, "{table}");
    }
    db.close();
}

/// Announces a step as the run of an event does.
async fn announce(db: &Db, step: &str, event: Uuid) -> Prior {
    let (announcer, announcements) = Announcer::new(db.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn(announcements.run(stop.clone()));
    let announcement = Announcement {
        step: step.to_owned(),
        fence: None,
        event_id: Some(event),
        echoes: Vec::new(),
        confirmed: Vec::new(),
    };
    let prior = announcer.announce(announcement).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    prior
}

#[tokio::test]
async fn what_a_kept_event_relies_on_stays_as_long_as_it_does() {
    let database = cluster::database().await;
    let client = query::connect(&database.config()).await;
    let db = Db::new(database.config(), 2).unwrap();
    let (first, later, send) = (id_of(OLD), id_of(95), id_of(94));
    client
        .batch_execute(&format!(
            "INSERT INTO webhook_events (id, source, event_type, entity_type, entity_id, payload_json, dedupe_key, status,
                                         received_at, processed_at) VALUES
               ('{first}', 'aloware', 'x', 'call', '1', '{{}}', 'a', 'done',
                now() - interval '100 days', now() - interval '100 days'),
               ('{later}', 'aloware', 'x', 'call', '1', '{{}}', 'b', 'done',
                now() - interval '95 days', now() - interval '1 day');
             INSERT INTO outbound_messages (id, to_number, state, correlation_id, created_at)
               VALUES ('{send}', '+1', 'sent', 'later', now() - interval '94 days')"
        ))
        .await
        .unwrap();
    let note = "aloware:call:1:note";
    for event in [first, later, first] {
        announce(&db, note, event).await;
    }
    client
        .batch_execute("UPDATE effects SET created_at = now() - interval '100 days'")
        .await
        .unwrap();
    let removed = retention::run(&db, KEEP, &CancellationToken::new()).await.unwrap();
    assert_eq!(
        removed, 1,
        "the first event alone: the later one was replayed yesterday"
    );
    // Replayed once more it writes no second note and sends no second text.
    assert!(matches!(announce(&db, note, later).await, Prior::Unconfirmed { .. }));
    assert_eq!(
        query::rows(&client, "SELECT correlation_id FROM outbound_messages")
            .await
            .len(),
        1
    );
    db.close();
}
