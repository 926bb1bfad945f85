//! The real daemon in process, on its own database, against its own simulators.

pub mod binary;
pub mod cluster;
pub mod deliveries;
pub mod query;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use df_middleware::app::{self, App};
use df_middleware::config::{self, Defaults, Settings};
use df_middleware::embedded::throwaway::Database;
use df_middleware::sandbox::{self, Sandbox};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio_postgres::Config;

pub use deliveries::*;

/// Longest wait for anything a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon under test with everything around it.
pub struct TestApp {
    pub sandbox: Sandbox,
    pub client: Client,
    pub base: String,
    pub config: Config,
    database: Option<Database>,
    app: Option<App>,
    data: tempfile::TempDir,
}

impl TestApp {
    /// A daemon with the usual settings.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A daemon with some settings changed, by environment name.
    pub async fn start_with(changes: &[(&str, &str)]) -> Self {
        let database = cluster::database().await;
        let sandbox = Sandbox::start().await.unwrap();
        let config = database.config();
        let mut this = Self {
            sandbox,
            client: client(),
            base: String::new(),
            config,
            database: Some(database),
            app: None,
            data: tempfile::tempdir().unwrap(),
        };
        this.boot(changes).await;
        this
    }

    /// Starts the daemon on the database and simulators at hand.
    pub async fn boot(&mut self, changes: &[(&str, &str)]) {
        let app = start_app(&self.sandbox, self.data.path(), self.config.clone(), changes).await;
        self.base = format!("http://{}", app.address());
        self.app = Some(app);
    }

    /// Stops the daemon; database and simulators stay.
    pub async fn shut_down(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
    }

    /// A daemon beside the first one, on the same database and simulators.
    pub async fn second(&self, data: &Path, changes: &[(&str, &str)]) -> (App, String) {
        let app = start_app(&self.sandbox, data, self.config.clone(), changes).await;
        let base = format!("http://{}", app.address());
        (app, base)
    }

    /// Waits until no event is unfinished.
    pub async fn idle(&self) {
        let client = query::connect(&self.config).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while query::unfinished(&client).await > 0 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "events stay unfinished: {}",
                query::describe(&client).await
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Rows of a query, each as JSON.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        query::rows(&query::connect(&self.config).await, sql).await
    }

    /// Runs statements typed as an operator would.
    pub async fn execute(&self, sql: &str) {
        query::connect(&self.config).await.batch_execute(sql).await.unwrap();
    }

    /// Ends the test: no event unfinished, no vendor call that no vendor
    /// documents, nothing said or answered that the official files do not know.
    pub async fn finish(mut self) {
        self.idle().await;
        let unmatched = self.sandbox.unmatched();
        assert!(unmatched.is_empty(), "undocumented vendor calls: {unmatched:?}");
        let wrong = crate::contracts::vendors::violations(&self.sandbox.calls());
        assert!(wrong.is_empty(), "against the official files: {wrong:#?}");
        self.shut_down().await;
        drop(self.database.take());
    }

    /// Ends a test that provokes calls no vendor documents.
    pub async fn shut_down_quietly(mut self) {
        self.shut_down().await;
        drop(self.database.take());
    }

    /// Posts a delivery from Aloware.
    pub async fn aloware(&self, body: &Value) -> Response {
        post_aloware(&self.client, &self.base, body).await
    }

    /// Posts a signed delivery from GHL.
    pub async fn ghl(&self, body: &Value) -> Response {
        let text = body.to_string();
        let signature = self.sandbox.ghl.sign(text.as_bytes());
        self.client
            .post(format!("{}/api/webhooks/ghl", self.base))
            .header("X-GHL-Signature", signature)
            .header("content-type", "application/json")
            .body(text)
            .send()
            .await
            .unwrap()
    }

    /// Posts a delivery from the texting vendor.
    pub async fn texting(&self, body: &Value) -> Response {
        post_texting(&self.client, &self.base, body).await
    }

    /// Asks the daemon to send a text.
    pub async fn send(&self, to: &str, body: &str) -> Response {
        self.client
            .post(format!("{}/api/messages", self.base))
            .header("X-DF-ADMIN-SECRET", ADMIN_SECRET)
            .json(&serde_json::json!({"to": to, "body": body}))
            .send()
            .await
            .unwrap()
    }
}

async fn start_app(sandbox: &Sandbox, data: &Path, config: Config, changes: &[(&str, &str)]) -> App {
    let settings = settings_with(sandbox, data, changes);
    let db = app::open_database(config, settings.database.pool_size).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    App::start(settings, db, listener).await.unwrap()
}

/// A client that does not load the system's certificates.
pub fn client() -> Client {
    Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// The settings of a test, as an operator would write them.
pub fn environment(sandbox: &Sandbox, data: &Path, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("DF_DATA_DIR", data.to_str().unwrap().to_owned()),
        ("DF_LOG", "warn".to_owned()),
        ("DATABASE_URL", "postgres://unused".to_owned()),
        ("DF_DATABASE_POOL_SIZE", "8".to_owned()),
        ("GHL_BASE_URL", sandbox.ghl.url()),
        ("GHL_API_KEY", sandbox::ghl::TOKEN.to_owned()),
        ("GHL_LOCATION_ID", sandbox::ghl::LOCATION.to_owned()),
        ("GHL_WEBHOOK_SECRET", GHL_SECRET.to_owned()),
        ("GHL_WEBHOOK_PUBLIC_KEYS", sandbox.ghl.public_key_base64()),
        ("ALOWARE_BASE_URL", sandbox.aloware.url()),
        ("ALOWARE_API_TOKEN", sandbox::aloware::TOKEN.to_owned()),
        ("ALOWARE_WEBHOOK_BASIC_USER", ALOWARE_USER.to_owned()),
        ("ALOWARE_WEBHOOK_BASIC_PASS", ALOWARE_PASS.to_owned()),
        ("ALOWARE_TAG_LISTS", "hot lead=301,call me=302".to_owned()),
        ("TEXTING_BASE_URL", sandbox.texting.url()),
        ("TEXTING_API_KEY", sandbox::texting::TOKEN.to_owned()),
        ("TEXTING_WEBHOOK_SECRET", TEXTING_SECRET.to_owned()),
        ("TEXTING_FROM_NUMBER", OUR_NUMBER.to_owned()),
        // Tests run at any time of day.
        ("TEXTING_QUIET_HOURS", "off".to_owned()),
        ("X_DF_JOBS_SECRET", JOBS_SECRET.to_owned()),
        ("DF_ADMIN_SECRET", ADMIN_SECRET.to_owned()),
        ("JOBS_RETRY_DELAY", "50ms".to_owned()),
        ("JOBS_RETRY_MAX_DELAY", "200ms".to_owned()),
        ("JOBS_POLL_INTERVAL", "100ms".to_owned()),
        ("DF_HTTP_TIMEOUT", "5s".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for (name, value) in changes {
        env.insert((*name).to_owned(), (*value).to_owned());
    }
    env
}

/// The settings of a test without changes.
pub fn settings_for(sandbox: &Sandbox, data: &Path) -> Settings {
    settings_with(sandbox, data, &[])
}

/// The settings of a test, some of them changed by environment name.
pub fn settings_with(sandbox: &Sandbox, data: &Path, changes: &[(&str, &str)]) -> Settings {
    let env = environment(sandbox, data, changes);
    let defaults = Defaults::new(&env, false);
    let unreadable = |_: &Path| Err(std::io::Error::other("no files in tests"));
    config::parse(None, env, unreadable, &defaults).unwrap_or_else(|problems| panic!("{problems}"))
}
