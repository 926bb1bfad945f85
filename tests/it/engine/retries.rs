//! What a failed run costs, class by class, and that a lane always goes on.

use std::sync::Arc;
use std::time::Duration;

use df_middleware::domain::{Failure, RetryClass};
use df_middleware::queue::{Limits, RetryPolicy};
use futures_util::FutureExt;
use serde_json::json;

use super::{Lab, Scripted, limits, on, script};

pub fn parked(class: RetryClass, after: Duration) -> Failure {
    Failure::Retry {
        class,
        after: Some(after),
        reason: "vendor says so".to_owned(),
    }
}

/// Waits long enough for a test to look at them.
fn slow() -> Limits {
    let hour = Duration::from_secs(3600);
    let retry = RetryPolicy {
        base: hour,
        cap: hour,
        ..limits().retry
    };
    Limits { retry, ..limits() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transient_failure_is_tried_until_its_attempts_are_used_up_and_then_the_lane_goes_on() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|event, _| match event.entity_id.as_str() {
        "sick" => Err(Failure::transient("ghl 503")),
        _ => Ok(()),
    }));
    lab.type_events(&[("sick", on(1)), ("next", on(1))]).await;
    let engine = lab.start(&handler, limits());
    lab.idle().await;
    assert_eq!(handler.order(), ["sick", "sick", "sick", "sick", "next"]);
    let dead = json!({"status": "error", "attempts": 4, "error_message": "transient: ghl 503 (4 attempts)"});
    assert_eq!(lab.state("sick").await, dead);
    assert_eq!(lab.state("next").await["status"], "done");
    let log = lab
        .rows("SELECT status, error_message FROM sync_log WHERE entity_id = 'sick'")
        .await;
    assert_eq!(
        log,
        vec![json!({"status": "error", "error_message": "ghl 503"}); 4],
        "one row per attempt"
    );
    assert!(lab.rows("SELECT 1 FROM event_lanes").await.is_empty());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_off_waits_between_half_and_all_of_its_bound_and_not_everybody_alike() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, _| Err(Failure::transient("ghl 503"))));
    let people: Vec<(String, _)> = (0..12).map(|n| (format!("p{n}"), on(n))).collect();
    let people: Vec<(&str, _)> = people
        .iter()
        .map(|(id, payload)| (id.as_str(), payload.clone()))
        .collect();
    lab.type_events(&people).await;
    let engine = lab.start(&handler, slow());
    lab.until("SELECT count(*) = 12 FROM sync_log").await;
    let waits = "SELECT extract(epoch FROM ready_at - now())::float8 AS wait FROM event_lanes";
    let waits: Vec<f64> = lab
        .rows(waits)
        .await
        .iter()
        .map(|row| row["wait"].as_f64().unwrap())
        .collect();
    assert_eq!(waits.len(), 12);
    assert!(waits.iter().all(|wait| (1700.0..=3600.0).contains(wait)), "{waits:?}");
    let spread = waits.iter().fold(0.0f64, |a, b| a.max(*b)) - waits.iter().fold(f64::MAX, |a, b| a.min(*b));
    assert!(
        spread > 60.0,
        "twelve people would come back at the same moment: {waits:?}"
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limited_and_parked_work_waits_as_told_and_burns_no_attempt() {
    for (class, prefix) in [
        (RetryClass::RateLimited, "rate_limited"),
        (RetryClass::VendorDown, "vendor_down"),
    ] {
        let lab = Lab::new().await;
        let handler = Scripted::new(script(move |event, before| match event.entity_id.as_str() {
            "told" => Err(parked(class, Duration::from_secs(1800))),
            _ if before < 9 => Err(parked(class, Duration::from_millis(5))),
            _ => Ok(()),
        }));
        lab.type_events(&[("told", on(1)), ("patient", on(2))]).await;
        let engine = lab.start(&handler, limits());
        lab.until("SELECT status = 'done' FROM webhook_events WHERE entity_id = 'patient'")
            .await;
        assert_eq!(
            lab.state("patient").await["attempts"],
            0,
            "more waits than attempts, and it lives"
        );
        let told = json!({"status": "pending", "attempts": 0, "error_message": format!("{prefix}: vendor says so")});
        assert_eq!(lab.state("told").await, told);
        let wait = lab
            .rows("SELECT extract(epoch FROM ready_at - now())::float8 AS wait FROM event_lanes WHERE key = 1")
            .await;
        let wait = wait[0]["wait"].as_f64().unwrap();
        assert!((1700.0..=1980.0).contains(&wait), "{wait}");
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_failure_is_dead_at_once() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|event, _| match event.entity_id.as_str() {
        "wrong" => Err(Failure::permanent("ghl rejected 422")),
        _ => Ok(()),
    }));
    lab.type_events(&[("wrong", on(1)), ("next", on(1))]).await;
    let engine = lab.start(&handler, slow());
    lab.idle().await;
    assert_eq!(handler.order(), ["wrong", "next"]);
    let dead = json!({"status": "error", "attempts": 1, "error_message": "permanent: ghl rejected 422"});
    assert_eq!(lab.state("wrong").await, dead);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_hangs_or_panics_is_a_transient_failure_of_its_own_lane_only() {
    let lab = Lab::new().await;
    let handler = Scripted::new(Arc::new(|event, _, _| match event.entity_id.as_str() {
        "hangs" => futures_util::future::pending().boxed(),
        "panics" => async { panic!("as told") }.boxed(),
        _ => futures_util::future::ready(Ok(())).boxed(),
    }));
    let events = [
        ("hangs", on(1)),
        ("after hang", on(1)),
        ("panics", on(2)),
        ("after panic", on(2)),
        ("other", on(3)),
    ];
    lab.type_events(&events).await;
    let retry = RetryPolicy {
        deadline: Duration::from_millis(100),
        ..limits().retry
    };
    let engine = lab.start(&handler, Limits { retry, ..limits() });
    lab.idle().await;
    for (id, told) in [
        ("hangs", "transient: event deadline exceeded (4 attempts)"),
        ("panics", "transient: handler panicked (4 attempts)"),
    ] {
        assert_eq!(lab.state(id).await["error_message"], told);
    }
    for id in ["after hang", "after panic", "other"] {
        assert_eq!(lab.state(id).await["status"], "done", "{id}");
    }
    engine.stop().await;
}

/// The process dies whenever the event `deadly` runs; its lane and others survive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_kills_the_process_is_isolated_and_dead_after_the_bound() {
    let lab = Lab::new().await;
    let lab = Arc::new(lab);
    lab.type_events(&[("before", on(1)), ("deadly", on(1)), ("after", on(1)), ("other", on(2))])
        .await;
    let mut deaths = 0;
    loop {
        // A runtime of its own: when it ends, nothing of the engine runs any more,
        // and nothing is handed back. For the database that is a killed process.
        let (died, lives) = tokio::sync::mpsc::unbounded_channel();
        let handler = Scripted::new(Arc::new(move |event, _, _| {
            if event.entity_id == "deadly" {
                died.send(()).ok();
                return futures_util::future::pending().boxed();
            }
            futures_util::future::ready(Ok(())).boxed()
        }));
        if incarnation(&lab, &handler, lives, limits()).await {
            break;
        }
        deaths += 1;
        // As other daemons do with the lanes of one that is dead.
        let free = "UPDATE event_lanes SET ready_at = now(), owner = NULL WHERE owner IS NOT NULL";
        lab.watcher.batch_execute(free).await.unwrap();
        assert!(deaths < 20, "it is never given up");
    }
    assert!(
        (8..=12).contains(&deaths),
        "fewer are a coincidence, more cost everybody: {deaths}"
    );
    let dead =
        json!({"status": "error", "attempts": 1, "error_message": "poison: the process ended whenever this event ran"});
    assert_eq!(lab.state("deadly").await, dead);
    for id in ["before", "after", "other"] {
        assert_eq!(lab.state(id).await["status"], "done", "{id}");
    }
}

/// One life of a process; true when it saw every event end.
async fn incarnation(
    lab: &Arc<Lab>,
    handler: &Arc<Scripted>,
    mut died: tokio::sync::mpsc::UnboundedReceiver<()>,
    limits: Limits,
) -> bool {
    let (lab, handler) = (Arc::clone(lab), Arc::clone(handler));
    tokio::task::spawn_blocking(move || {
        let process = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let survived = process.block_on(async {
            let engine = lab.start(&handler, limits);
            engine.pick_up().await;
            tokio::select! {
                _ = died.recv() => false,
                () = lab.idle() => true,
            }
        });
        process.shutdown_background();
        survived
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_logged_under_the_direction_of_its_source() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, _| Err(Failure::permanent("ghl rejected 422"))));
    let typed = r#"
        INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key)
        SELECT source, 'Typed', 'call', source, '{"lane": 1}', source FROM unnest(ARRAY['aloware', 'fax', 'ghl']) source;
        INSERT INTO texting_webhook_events (event_type, entity_id, payload_json, dedupe_key)
        VALUES ('Typed', 'texting', '{"lane": 1}', 'texting')"#;
    lab.watcher.batch_execute(typed).await.unwrap();
    let engine = lab.start(&handler, limits());
    lab.until("SELECT count(*) = 4 FROM sync_log").await;
    let log = lab
        .rows("SELECT source_id, direction, status, error_message FROM sync_log ORDER BY 1")
        .await;
    let row = |source: &str, direction: &str| json!({"source_id": source, "direction": direction, "status": "error", "error_message": "ghl rejected 422"});
    let wanted = [
        row("aloware", "aloware_to_ghl"),
        row("fax", "unknown"),
        row("ghl", "ghl_to_aloware"),
        row("texting", "texting_to_ghl"),
    ];
    assert_eq!(log, wanted);
    engine.stop().await;
}
