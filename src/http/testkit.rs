//! What the room's tests share: settings, and a state whose database is away,
//! so that deliveries go to a spool in a temporary folder.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use actix_web::web;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Desk, DeskError, Listed, Pair, SendError, SendRequest, Sender, State, Who};
use crate::config::{Defaults, Settings, parse};
use crate::domain::{AlowareContactId, Event, GhlContactId, Phone, PhoneHint};
use crate::ingest::{Ingest, Outbox, Rules};
use crate::ops::checks::Checks;
use crate::queue::{EVENT_DEADLINE, Engine, Handler, Limits, Report, RetryPolicy, RunContext};
use crate::store::Db;
use crate::store::notice::Notice;
use crate::store::spool::Spool;

const REQUIRED: [(&str, &str); 8] = [
    ("GHL_API_KEY", "pit-1"),
    ("GHL_LOCATION_ID", "loc-1"),
    ("ALOWARE_API_TOKEN", "alo-1"),
    ("ALOWARE_WEBHOOK_BASIC_USER", "hook"),
    ("ALOWARE_WEBHOOK_BASIC_PASS", "a:b:c"),
    ("X_DF_JOBS_SECRET", "jobs-1"),
    ("DF_ADMIN_SECRET", "admin-1"),
    ("DF_BODY_LIMIT", "4KiB"),
];

/// Settings with `env` over the required ones.
pub(crate) fn settings(env: &[(&str, &str)]) -> Settings {
    let owned = REQUIRED
        .iter()
        .chain(env)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let no_files = |_: &Path| Err(io::ErrorKind::NotFound.into());
    parse(None, owned, no_files, &Defaults::new(&BTreeMap::new(), true)).expect("settings")
}

/// Sends nothing; answers what it was told to.
struct Scripted(Result<String, SendError>);

impl Sender for Scripted {
    fn send<'a>(&'a self, _: SendRequest) -> BoxFuture<'a, Result<String, SendError>> {
        futures_util::future::ready(self.0.clone()).boxed()
    }
}

/// Knows one contact and one list, and remembers who was asked for.
#[derive(Default)]
pub(crate) struct FakeDesk {
    pub(crate) asked: Mutex<Vec<Who>>,
}

impl FakeDesk {
    fn pair() -> Pair {
        Pair {
            aloware: AlowareContactId::new("7"),
            ghl: GhlContactId::new("g7").unwrap(),
        }
    }
}

impl Desk for FakeDesk {
    fn sync_contact<'a>(&'a self, who: Who) -> BoxFuture<'a, Result<Pair, DeskError>> {
        let known = match &who {
            Who::Aloware(id) => id.as_str() == "7",
            Who::Ghl(id) => id.as_str() == "g7",
            Who::Phone(phone) => phone.as_str() == "+16195550111",
        };
        let ours = matches!(&who, Who::Phone(phone) if phone.as_str() == "+18585550100");
        self.asked.lock().unwrap().push(who);
        let outcome = if known {
            Ok(Self::pair())
        } else if ours {
            let reason = "own_number".to_owned();
            Err(DeskError::Skipped { reason })
        } else {
            Err(DeskError::NotFound)
        };
        futures_util::future::ready(outcome).boxed()
    }

    fn sync_list<'a>(&'a self, tag: String) -> BoxFuture<'a, Result<Listed, DeskError>> {
        let outcome = if tag == "hot" {
            Ok(Listed {
                id: "301".to_owned(),
                added: 2,
            })
        } else {
            Err(DeskError::NotFound)
        };
        futures_util::future::ready(outcome).boxed()
    }

    fn repair_mapping<'a>(&'a self, phone: Option<Phone>, _: Option<String>) -> BoxFuture<'a, Result<Pair, DeskError>> {
        let outcome = phone.map(|_| Self::pair()).ok_or(DeskError::NotFound);
        futures_util::future::ready(outcome).boxed()
    }
}

struct NeverRuns;

impl Handler for NeverRuns {
    fn handle<'a>(&'a self, _: &'a Event, _: &'a RunContext) -> BoxFuture<'a, Report> {
        futures_util::future::pending().boxed()
    }
}

/// A state without a database. Deliveries wait in `outbox` until it is run.
pub(crate) struct Away {
    pub(crate) state: web::Data<State>,
    pub(crate) outbox: Option<Outbox>,
    pub(crate) spool: Spool,
    pub(crate) desk: Arc<FakeDesk>,
    _dir: tempfile::TempDir,
}

impl Away {
    /// With `env` over the required settings.
    pub(crate) fn new(env: &[(&str, &str)]) -> Self {
        Self::with_sender(env, Ok("m-1".to_owned()))
    }

    /// With a sender that answers `sent`.
    pub(crate) fn with_sender(env: &[(&str, &str)], sent: Result<String, SendError>) -> Self {
        let settings = settings(env);
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), settings.database.spool_limit).unwrap();
        let db = Db::new("host=127.0.0.1 port=1 user=nobody".parse().unwrap(), 1).unwrap();
        let rules = Rules {
            hint: PhoneHint::region("US"),
            own: Vec::new(),
            allowed: settings.aloware.allowed_events.clone(),
            location: settings.ghl.location_id.clone(),
            vendor: settings.texting.vendor,
        };
        let engine = Arc::new(Engine::new(
            db.clone(),
            Arc::new(NeverRuns),
            limits(&settings),
            Arc::new(|_, _, _, _| 0),
        ));
        let (ingest, outbox) = Ingest::new(
            db.clone(),
            spool.clone(),
            Notice::default(),
            rules.clone(),
            engine.wake(),
        );
        let desk = Arc::new(FakeDesk::default());
        let settings = Arc::new(settings);
        let state = web::Data::new(State {
            checks: Checks::of_command(Arc::clone(&settings), Ok(db.clone())).unwrap(),
            settings,
            db,
            ingest,
            engine,
            rules,
            sender: Arc::new(Scripted(sent)),
            desk: Arc::clone(&desk) as Arc<dyn Desk>,
            metrics: None,
        });
        Self {
            state,
            outbox: Some(outbox),
            spool,
            desk,
            _dir: dir,
        }
    }

    /// Starts the flusher; it finds the database away and spools.
    pub(crate) fn run_outbox(&mut self) {
        tokio::spawn(self.outbox.take().unwrap().run(CancellationToken::new()));
    }

    /// The bodies in the spool.
    pub(crate) async fn spooled(&self) -> Vec<serde_json::Value> {
        let (records, _) = self.spool.read(0, usize::MAX).await.unwrap();
        records
            .iter()
            .map(|record| serde_json::from_str(&record.body).unwrap())
            .collect()
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        concurrency: 1,
        lease: settings.jobs.lease,
        poll: settings.jobs.poll_interval,
        retry: RetryPolicy {
            limit: settings.jobs.retry_limit,
            base: settings.jobs.retry_delay,
            cap: settings.jobs.retry_max_delay,
            max_age: settings.jobs.max_head_age,
            deadline: EVENT_DEADLINE,
        },
    }
}

/// An application over a state, as the listener builds it.
macro_rules! app {
    ($away:expr) => {
        actix_web::test::init_service(
            actix_web::App::new()
                .app_data($away.state.clone())
                .wrap(actix_web::middleware::from_fn($crate::http::observe::request))
                .configure($crate::http::configure),
        )
        .await
    };
}
pub(crate) use app;

/// Status, body text and headers of a request's answer.
macro_rules! answer {
    ($app:expr, $request:expr) => {{
        let answer = actix_web::test::call_service(&$app, $request.to_request()).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = actix_web::test::read_body(answer).await;
        (status, String::from_utf8(body.to_vec()).unwrap(), headers)
    }};
}
pub(crate) use answer;
