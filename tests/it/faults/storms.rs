//! Vendors in every kind of trouble at once, under load. When the storm is over
//! every event ends done and every effect is there once, in order.

use std::sync::Arc;
use std::time::Duration;

use df_middleware::sandbox::{Fault, FaultHandle, Sandbox, Station, Times};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::{Crowd, Doors, QUICK, chance, settle, size};
use crate::support::binary::Daemon;
use crate::support::cluster;

/// Longest rest of a sender between two of its deliveries.
const REST: Duration = Duration::from_millis(200);
/// A storm costs attempts by the dozen, and a call that hangs must end soon.
const STORMPROOF: [(&str, &str); 2] = [("JOBS_RETRY_LIMIT", "1000"), ("DF_HTTP_TIMEOUT", "1s")];
/// What GHL answers to a contact that it created nevertheless.
const CREATED_422: &str =
    r#"{"statusCode":422,"message":["phone should not be empty"],"error":"Unprocessable Entity"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_vendor_storm_every_effect_is_there_once_and_in_order() {
    let scenario = "vendor storms";
    let mut chance = chance(scenario);
    let gusts = size(25, 600);
    let database = cluster::database().await;
    let config = database.config();
    let mut crowd = Crowd::gather(size(12, 24), &mut chance).await;
    let sandbox = Arc::clone(&crowd.sandbox);
    let home = tempfile::tempdir().unwrap();
    let changes = [&QUICK[..], &STORMPROOF].concat();
    let daemon = Daemon::start(&sandbox, home.path(), &config, &changes).await;
    let doors = Doors::new(vec![daemon.base.clone()]);

    let enough = CancellationToken::new();
    let storm = async {
        for _ in 0..gusts {
            let gust = blow(&sandbox, &mut chance);
            tokio::time::sleep(Duration::from_millis(chance.random_range(50..400))).await;
            gust.release();
            gust.remove();
        }
        enough.cancel();
    };
    tokio::join!(storm, crowd.send(&doors, usize::MAX, REST, &enough));

    settle(&config, &[home.path()]).await;
    crowd.audit(&config, gusts).await.report(scenario);
    assert!(daemon.terminate().success());
}

/// One fault at one vendor, on some of its calls or on all.
fn blow(sandbox: &Sandbox, chance: &mut StdRng) -> FaultHandle {
    let times = match chance.random_range(0..3) {
        0 => Times::Forever,
        _ => Times::Next(chance.random_range(1..8)),
    };
    match chance.random_range(0..10) {
        0..=3 => at(&sandbox.ghl, ("POST", "/contacts/*/notes"), times, trouble(chance)),
        4 => at(&sandbox.ghl, ("POST", "/contacts/*/tags"), times, trouble(chance)),
        5 => {
            let created = Fault::apply_then(Fault::status(422, CREATED_422));
            at(&sandbox.ghl, ("POST", "/contacts/upsert"), times, created)
        }
        6 => at(&sandbox.ghl, ("*", "*"), times, trouble(chance)),
        7 => at(&sandbox.aloware, ("*", "*"), times, trouble(chance)),
        8 => at(&sandbox.aloware, ("*", "*"), times, Fault::HtmlOk),
        _ => at(&sandbox.texting, ("*", "*"), times, trouble(chance)),
    }
}

fn at(vendor: &Station, (method, path): (&str, &str), times: Times, fault: Fault) -> FaultHandle {
    vendor.fault(method, path, times, fault)
}

/// Trouble of a vendor that says nothing of what it did, before or after it did it.
fn trouble(chance: &mut StdRng) -> Fault {
    let fault = match chance.random_range(0..7) {
        0 => {
            return Fault::RateLimited {
                retry_after: Some(Duration::from_secs(1)),
            };
        }
        1 => return Fault::RateLimited { retry_after: None },
        2 => Fault::status(503, "unwell"),
        3 => Fault::status(500, r#"{"message":"Internal server error"}"#),
        4 => Fault::Hang,
        5 => Fault::Truncated,
        _ => Fault::Reset,
    };
    if chance.random_bool(0.5) {
        Fault::apply_then(fault)
    } else {
        fault
    }
}
