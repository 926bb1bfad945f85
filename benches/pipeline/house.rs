//! The cluster, and daemons on databases in it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use df_middleware::app::{self, App};
use df_middleware::config::{self, Defaults, Settings};
use df_middleware::embedded::throwaway::{Database, Throwaway};
use df_middleware::sandbox::{self, Options, Recording, Sandbox};
use df_middleware::store::{Db, migrate};
use serde_json::json;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use crate::bodies;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Deliveries get rows and lanes, but no lane is due: the workers stand still
/// without a change in the daemon.
const PARK: &str = "
CREATE FUNCTION bench_park() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.ready_at := 'infinity'; RETURN NEW; END $$;
CREATE TRIGGER bench_park BEFORE INSERT ON event_lanes FOR EACH ROW EXECUTE FUNCTION bench_park()";
const UNPARK: &str = "
DROP TRIGGER bench_park ON event_lanes; DROP FUNCTION bench_park;
UPDATE event_lanes SET ready_at = clock_timestamp()";

/// A durable cluster of our own with a migrated template.
pub(crate) struct House {
    cluster: Throwaway,
}

/// A migrated database that nobody else uses, and a connection to look at it.
pub(crate) struct Ground {
    pub(crate) config: Config,
    pub(crate) sql: Client,
    _database: Database,
}

/// A daemon in this process.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    app: App,
    _data: tempfile::TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        let cluster = Throwaway::start(true).await.expect("a durable cluster");
        cluster
            .template(|config| async move {
                let db = Db::new(config, 1).unwrap();
                migrate(&db).await.unwrap();
                db.close();
                Ok::<(), std::convert::Infallible>(())
            })
            .await
            .unwrap();
        Self { cluster }
    }

    pub(crate) async fn ground(&self) -> Ground {
        let database = self.cluster.create_database().await.unwrap();
        let config = database.config();
        let (sql, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        Ground {
            config,
            sql,
            _database: database,
        }
    }

    pub(crate) async fn close(self) {
        self.cluster.stop().await.unwrap();
    }
}

impl Ground {
    /// A daemon on this database with the default settings, its vendors' budgets lifted.
    pub(crate) async fn daemon(&self, sandbox: &Sandbox) -> Daemon {
        let data = tempfile::tempdir().unwrap();
        let settings = settings(sandbox, data.path());
        let db = app::open_database(self.config.clone(), settings.database.pool_size)
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = App::start(settings, db, listener).await.unwrap();
        Daemon {
            address: app.address(),
            app,
            _data: data,
        }
    }

    /// From now on stored events wait.
    pub(crate) async fn park(&self) {
        self.sql.batch_execute(PARK).await.unwrap();
    }

    /// What waits is due now.
    pub(crate) async fn unpark(&self) {
        self.sql.batch_execute(UNPARK).await.unwrap();
    }

    /// Waits until no lane is left, which is when every event is done; answers
    /// how often it looked.
    pub(crate) async fn drained(&self) -> u64 {
        let statement = self
            .sql
            .prepare("SELECT EXISTS (SELECT 1 FROM event_lanes)")
            .await
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut looks = 1;
        while self.sql.query_one(&statement, &[]).await.unwrap().get(0) {
            assert!(Instant::now() < deadline, "events stay unfinished");
            tokio::time::sleep(Duration::from_millis(10)).await;
            looks += 1;
        }
        looks
    }

    /// The one number of a query.
    pub(crate) async fn number(&self, sql: &str) -> f64 {
        let text = format!("SELECT ({sql})::float8");
        self.sql.query_one(&text, &[]).await.unwrap().get(0)
    }

    /// Bytes of WAL written so far by the whole cluster.
    pub(crate) async fn wal(&self) -> f64 {
        self.number("SELECT pg_current_wal_insert_lsn() - '0/0'").await
    }

    /// Both sides of a comparison begin with a clean slate.
    pub(crate) async fn checkpoint(&self) {
        self.sql.batch_execute("CHECKPOINT").await.unwrap();
    }

    /// Panics unless `expected` events are done and logged, and none failed.
    pub(crate) async fn assert_done(&self, expected: u64) {
        let done = self
            .number("SELECT count(*) FROM webhook_events WHERE status = 'done'")
            .await;
        let logged = self
            .number("SELECT count(*) FROM sync_log WHERE status <> 'error'")
            .await;
        assert_eq!(
            (done, logged),
            (expected as f64, expected as f64),
            "done and logged events"
        );
    }

    /// People 0 to `count`, known on both sides and mapped.
    pub(crate) async fn people(&self, sandbox: &Sandbox, count: u64) {
        let (mut ids, mut phones, mut alowares) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..count {
            let phone = bodies::phone(n);
            ids.push(sandbox.ghl.add_contact(json!({"firstName": "Wanda", "phone": phone})));
            phones.push(phone);
            alowares.push(bodies::contact_id(n).to_string());
        }
        let sql = "INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, phone_number)
                   SELECT * FROM unnest($1::text[], $2::text[], $3::text[])";
        self.sql.execute(sql, &[&ids, &alowares, &phones]).await.unwrap();
        self.sql.batch_execute("ANALYZE contact_mappings").await.unwrap();
    }

    /// `DATABASE_URL` of this database.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://{}@/{}?host={}",
            self.user(),
            self.name(),
            self.socket().display()
        )
    }

    pub(crate) fn user(&self) -> &str {
        self.config.get_user().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.config.get_dbname().unwrap()
    }

    /// The folder of the server's socket.
    pub(crate) fn socket(&self) -> &Path {
        match self.config.get_hosts() {
            [Host::Unix(path), ..] => path,
            other => panic!("not a socket: {other:?}"),
        }
    }
}

impl Daemon {
    pub(crate) async fn stop(self) {
        self.app.stop().await;
    }
}

/// Simulators without limits that keep next to nothing.
pub(crate) async fn instant_sandbox() -> Sandbox {
    sandbox_with(Options::instant()).await
}

/// As [`instant_sandbox`], with the latest calls written down.
pub(crate) async fn recording_sandbox(last: usize) -> Sandbox {
    let options = Options {
        recording: Recording::Last(last),
        ..Options::instant()
    };
    sandbox_with(options).await
}

async fn sandbox_with(options: Options) -> Sandbox {
    let sandbox = Sandbox::start_with(options).await.unwrap();
    // A lifted limit still tells the documented one in its headers, and the daemon obeys those.
    sandbox.ghl.set_rate_limit(u32::MAX, Duration::from_secs(10), u32::MAX);
    sandbox
}

/// The settings, as an operator would write them.
pub(crate) fn environment(sandbox: &Sandbox, data: &Path) -> BTreeMap<String, String> {
    [
        ("DF_DATA_DIR", data.to_str().unwrap()),
        ("DF_LOG", "warn"),
        ("DATABASE_URL", "postgres://unused"),
        ("GHL_BASE_URL", &sandbox.ghl.url()),
        ("GHL_API_KEY", sandbox::ghl::TOKEN),
        ("GHL_LOCATION_ID", sandbox::ghl::LOCATION),
        ("GHL_WEBHOOK_PUBLIC_KEYS", &sandbox.ghl.public_key_base64()),
        ("GHL_RATE_LIMIT", "100000/1s"),
        ("GHL_DAILY_LIMIT", "100000000"),
        ("ALOWARE_BASE_URL", &sandbox.aloware.url()),
        ("ALOWARE_API_TOKEN", sandbox::aloware::TOKEN),
        ("ALOWARE_WEBHOOK_BASIC_USER", bodies::USER),
        ("ALOWARE_WEBHOOK_BASIC_PASS", bodies::PASS),
        ("ALOWARE_RATE_LIMIT", "100000/1s"),
        ("TEXTING_FROM_NUMBER", bodies::OUR_NUMBER),
        ("X_DF_JOBS_SECRET", "jobs-secret-0001"),
        ("DF_ADMIN_SECRET", "admin-secret-0001"),
        ("RECONCILE_CRON", "off"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn settings(sandbox: &Sandbox, data: &Path) -> Settings {
    let env = environment(sandbox, data);
    let defaults = Defaults::new(&env, false);
    let unreadable = |_: &Path| Err(std::io::Error::other("a bench reads no files"));
    config::parse(None, env, unreadable, &defaults).unwrap_or_else(|problems| panic!("{problems}"))
}
