//! How long a failing event may hold its person's lane, and which may for longer.

use std::time::Duration;

use df_middleware::domain::{Failure, RetryClass};
use df_middleware::ops::metrics;
use df_middleware::store::Db;
use serde_json::json;

use super::retries::parked;
use super::{Lab, Scripted, limits, on, script};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_fails_past_its_age_dies_whatever_the_reason_and_its_lane_goes_on() {
    for class in [RetryClass::Transient, RetryClass::RateLimited, RetryClass::VendorDown] {
        let lab = Lab::new().await;
        let handler = Scripted::new(script(move |event, before| match event.entity_id.as_str() {
            "next" => Ok(()),
            "young" if before == 3 => Ok(()),
            _ => Err(parked(class, Duration::from_millis(5))),
        }));
        lab.type_events(&[("old", on(1)), ("next", on(1)), ("young", on(2))])
            .await;
        lab.watcher
            .batch_execute(
                "UPDATE webhook_events SET received_at = now() - interval '25 hours' WHERE entity_id = 'old'",
            )
            .await
            .unwrap();
        let engine = lab.start(&handler, limits());
        lab.idle().await;
        let old = lab.state("old").await;
        let told = old["error_message"].as_str().unwrap();
        assert!(
            told.ends_with(": vendor says so (older than jobs.max_head_age)"),
            "{told}"
        );
        assert_eq!(
            handler.order().iter().filter(|id| *id == "old").count(),
            2,
            "a first failure never kills"
        );
        assert_eq!(lab.state("next").await["status"], "done");
        assert_eq!(lab.state("young").await["status"], "done");

        // A replay opens it anew: its age counts from now on.
        lab.watcher
            .batch_execute(
                "UPDATE webhook_events SET status = 'pending', entity_id = 'young' WHERE entity_id = 'old';
                            DELETE FROM webhook_events WHERE entity_id = 'young' AND status = 'done'",
            )
            .await
            .unwrap();
        engine.stop().await;
        let handler = Scripted::new(script(move |_, before| match before {
            3 => Ok(()),
            _ => Err(parked(class, Duration::from_millis(5))),
        }));
        let engine = lab.start(&handler, limits());
        lab.idle().await;
        assert_eq!(lab.state("young").await["status"], "done", "{class:?}");
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_arrive_is_tried_past_attempts_and_age_and_an_alarm_is_raised() {
    let meters = metrics::install().unwrap();
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, before| match before {
        7 => Ok(()),
        _ => Err(Failure::transient("ghl 503")),
    }));
    lab.type_events(&[("stop", json!({"lane": 1, "must_arrive": true}))])
        .await;
    lab.watcher
        .batch_execute("UPDATE webhook_events SET received_at = now() - interval '9 days'")
        .await
        .unwrap();
    let engine = lab.start(&handler, limits());
    lab.idle().await;
    assert_eq!(handler.runs().len(), 8, "twice as often as any other event");
    assert_eq!(lab.state("stop").await["status"], "done");
    engine.stop().await;
    let nobody = Db::new("host=127.0.0.1 port=1 user=nobody".parse().unwrap(), 1).unwrap();
    let text = metrics::scrape(&meters, &nobody, 0).await;
    let alarms: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("events_overdue_total "))
        .and_then(|count| count.parse().ok())
        .unwrap();
    assert!(alarms >= 6.0, "every failure after the first: {alarms}");
}
