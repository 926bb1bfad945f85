//! The texting vendors' dialects, from a request's JSON to its effect. Requests
//! come in behind the door, which is tested elsewhere, as any vendor's: what the
//! daemon then runs are rows, whoever sent them.

mod pieces;
mod samples;
mod statuses;
mod undecided;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use df_middleware::app;
use df_middleware::domain::{Phone, PhoneHint, Source, TextingVendor};
use df_middleware::ingest::{Ack, Ingest, Intake, Reading, Rules};
use df_middleware::store::notice::Notice;
use df_middleware::store::spool::Spool;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::TestApp;

/// Our number in the samples.
pub const OURS: &str = "+18585550123";
/// The consumer in the samples.
pub const LEAD: &str = "+16195550111";

/// A daemon whose own number is that of the samples.
pub async fn app() -> TestApp {
    TestApp::start_with(&[("TEXTING_FROM_NUMBER", OURS)]).await
}

/// What stands behind a daemon's door, for any vendor.
pub struct Counter {
    ingest: Ingest,
    own: Vec<Phone>,
    stop: CancellationToken,
    outbox: JoinHandle<()>,
    _data: tempfile::TempDir,
}

impl Counter {
    /// A counter that knows our number.
    pub async fn open(app: &TestApp) -> Self {
        Self::with_own(app, &[OURS]).await
    }

    /// A counter that knows these numbers as ours.
    pub async fn with_own(app: &TestApp, own: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let db = app::open_database(app.config.clone(), 2).await.unwrap();
        let spool = Spool::open(data.path(), 1 << 20).unwrap();
        let own: Vec<Phone> = own.iter().filter_map(|number| Phone::from_e164(number)).collect();
        let rules = rules(TextingVendor::Generic, &own);
        let (ingest, outbox) = Ingest::new(db, spool, Notice::default(), rules, Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let outbox = tokio::spawn(outbox.run(stop.clone()));
        Self {
            ingest,
            own,
            stop,
            outbox,
            _data: data,
        }
    }

    /// Takes a request in; `None` when there is nothing in it.
    pub async fn take(&self, vendor: TextingVendor, request: &Value) -> Option<Ack> {
        self.take_at(vendor, request, Utc::now()).await
    }

    /// As [`Counter::take`], of a request that came at another time.
    pub async fn take_at(&self, vendor: TextingVendor, request: &Value, received_at: DateTime<Utc>) -> Option<Ack> {
        let body = request.to_string();
        let reading = Reading {
            source: Source::Texting,
            body: body.as_bytes(),
            received_at,
        };
        match reading.intake(&rules(vendor, &self.own)).unwrap() {
            Intake::Events(events) => Some(self.ingest.store(events).await.unwrap()),
            Intake::Ping | Intake::NotAllowed => None,
        }
    }

    pub async fn close(self) {
        self.stop.cancel();
        self.outbox.await.unwrap();
    }
}

fn rules(vendor: TextingVendor, own: &[Phone]) -> Rules {
    Rules {
        hint: PhoneHint::region("US"),
        own: own.to_vec(),
        allowed: Vec::new(),
        location: String::new(),
        vendor,
    }
}

/// The active blocks of a number.
pub async fn blocks(app: &TestApp, phone: &str) -> Vec<String> {
    let sql = format!("SELECT cause FROM optout_blocks WHERE phone_number = '{phone}' AND active ORDER BY 1");
    let rows = app.rows(&sql).await;
    rows.iter()
        .map(|row| row["cause"].as_str().unwrap().to_owned())
        .collect()
}
