//! What every vendor call goes through, seen from a client.

use serde_json::json;

use super::*;
use crate::config::Rate;
use crate::domain::{Failure, RetryClass};
use crate::vendors::breaker::TRIPS_AFTER;
use crate::vendors::client::http_client;
use crate::vendors::testkit::{Reply, Vendor};

fn transport_with(base: &Url, timeout: Duration) -> Transport {
    let budget = Budget::new(
        Rate {
            count: 1000,
            period: Duration::from_secs(1),
        },
        None,
    );
    let http = http_client(&[base]).unwrap();
    Transport::new(http, Source::Aloware, base, timeout, budget).unwrap()
}

fn transport(vendor: &Vendor) -> Transport {
    transport_with(&vendor.base(), Duration::from_secs(10))
}

async fn get(transport: &Transport) -> Result<Answer, VendorError> {
    let call = Call {
        operation: "probe",
        method: Method::GET,
        route: &Route::new("/api/v1/probe"),
        query: &[("api_token", "s3cret")],
        headers: &[],
        body: None,
        priority: Priority::Contact,
    };
    transport.send(call).await
}

async fn answer_to(script: impl Fn() -> Reply + Send + Sync + 'static) -> Result<Answer, VendorError> {
    let vendor = Vendor::new(move |_| script()).await;
    get(&transport(&vendor)).await
}

#[tokio::test]
async fn a_web_page_with_200_is_a_configuration_error_not_a_success() {
    let page = || {
        Reply::Raw(
            200,
            &["content-type: text/html; charset=UTF-8"],
            "<!DOCTYPE html>".into(),
        )
    };
    assert_eq!(answer_to(page).await.unwrap_err(), VendorError::NotJson { status: 200 });
    let mislabelled = || Reply::Raw(200, &["content-type: application/json"], "<!DOCTYPE html>".into());
    assert_eq!(
        answer_to(mislabelled).await.unwrap_err(),
        VendorError::NotJson { status: 200 }
    );
}

#[tokio::test]
async fn an_empty_success_is_null() {
    let empty = || Reply::Raw(201, &[], String::new());
    assert_eq!(answer_to(empty).await.unwrap().json, Value::Null);
}

#[tokio::test]
async fn a_hang_ends_in_time_and_may_have_been_applied() {
    let vendor = Vendor::new(|_| Reply::Hang).await;
    let transport = transport_with(&vendor.base(), Duration::from_millis(200));
    let error = get(&transport).await.unwrap_err();
    assert_eq!(
        error,
        VendorError::Transient {
            code: Trouble::Timeout,
            maybe_applied: true
        }
    );
    assert_eq!(error.to_failure(Source::Aloware).reason(), "aloware timeout");
}

#[tokio::test]
async fn a_refused_connection_was_not_applied() {
    let vendor = Vendor::saying(200, json!({})).await;
    let base = vendor.base();
    drop(vendor);
    let transport = transport_with(&base, Duration::from_secs(5));
    // The port closes as soon as the listener's task is gone.
    let error = loop {
        match get(&transport).await {
            Err(
                error @ VendorError::Transient {
                    code: Trouble::Unreachable,
                    ..
                },
            ) => break error,
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(!error.maybe_applied());
}

#[tokio::test]
async fn a_connection_that_ends_early_may_have_been_applied() {
    let dropped = answer_to(|| Reply::Drop).await.unwrap_err();
    assert_eq!(
        dropped,
        VendorError::Transient {
            code: Trouble::Dropped,
            maybe_applied: true
        }
    );
    let truncated = answer_to(|| Reply::Truncate).await.unwrap_err();
    assert_eq!(
        truncated,
        VendorError::Transient {
            code: Trouble::Truncated,
            maybe_applied: true
        }
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let vendor = Vendor::new(|_| Reply::Raw(302, &["location: /elsewhere"], String::new())).await;
    let error = get(&transport(&vendor)).await.unwrap_err();
    assert_eq!(
        error,
        VendorError::Rejected {
            status: 302,
            code: None
        }
    );
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let huge = || Reply::Raw(200, &["content-type: application/json"], " ".repeat(LARGEST_ANSWER + 1));
    let wanted = VendorError::Rejected {
        status: 200,
        code: Some("answer too large".into()),
    };
    assert_eq!(answer_to(huge).await.unwrap_err(), wanted);
}

#[tokio::test]
async fn a_429_carries_its_retry_after_and_holds_back_the_next_call() {
    let vendor = Vendor::new(|_| Reply::Raw(429, &["retry-after: 77"], String::new())).await;
    let transport = transport(&vendor);
    let first = get(&transport).await.unwrap_err();
    assert_eq!(
        first,
        VendorError::RateLimited {
            retry_after: Some(Duration::from_secs(77))
        }
    );
    let second = get(&transport.clone()).await.unwrap_err();
    let VendorError::RateLimited {
        retry_after: Some(wait),
    } = second
    else {
        panic!("{second:?}");
    };
    assert!(wait > Duration::from_secs(60));
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn troubles_in_a_row_park_the_vendor_and_a_good_probe_frees_it() {
    let healthy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let vendor = Vendor::new({
        let healthy = healthy.clone();
        move |_| {
            let up = healthy.load(std::sync::atomic::Ordering::SeqCst);
            Reply::Json(if up { 200 } else { 503 }, json!({}))
        }
    })
    .await;
    let transport = transport(&vendor);
    for _ in 0..TRIPS_AFTER {
        let error = get(&transport).await.unwrap_err();
        assert_eq!(
            error,
            VendorError::Transient {
                code: Trouble::Status(503),
                maybe_applied: true
            }
        );
    }
    let parked = get(&transport).await.unwrap_err();
    let VendorError::Down { retry_after } = parked else {
        panic!("{parked:?}");
    };
    assert!(!transport.is_up());
    assert_eq!(vendor.seen().len(), usize::try_from(TRIPS_AFTER).unwrap());
    tokio::time::sleep(retry_after).await;
    let probe = get(&transport).await.unwrap_err();
    let VendorError::StillDown {
        code: Trouble::Status(503),
        maybe_applied: true,
        retry_after,
    } = probe
    else {
        panic!("{probe:?}");
    };
    let parked = probe.to_failure(Source::Ghl);
    assert!(
        matches!(
            &parked,
            Failure::Retry {
                class: RetryClass::VendorDown,
                after: Some(_),
                ..
            }
        ),
        "a probe burns no attempt of the event it was made for: {parked:?}"
    );
    healthy.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(retry_after).await;
    get(&transport).await.unwrap();
    assert!(transport.is_up());
}

#[tokio::test]
async fn a_refusal_is_no_trouble_however_often() {
    let vendor = Vendor::saying(422, json!({"errors": {"line_id": ["no"]}})).await;
    let transport = transport(&vendor);
    for _ in 0..TRIPS_AFTER * 2 {
        get(&transport).await.unwrap_err();
    }
    assert!(transport.is_up());
}
