//! The way in, as a proxy in front of the daemons uses it: whoever gets no 2xx
//! asks again, at any daemon, until it has one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use df_middleware::sandbox::Sandbox;
use reqwest::Client;
use serde_json::Value;

use crate::support::{ALOWARE_PASS, ALOWARE_USER, TEXTING_SECRET};

/// Pause between two tries of one delivery.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a vendor waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Which webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Aloware,
    Ghl,
    /// Where GHL delivers an agent's text to be sent.
    Provider,
    Texting,
}

/// The daemons' addresses, shared by the senders and whoever restarts daemons.
#[derive(Clone)]
pub struct Doors {
    client: Client,
    bases: Arc<Mutex<Vec<String>>>,
    turn: Arc<AtomicUsize>,
    refusals: Arc<Mutex<Vec<(Door, u16, bool)>>>,
}

/// How a delivery got in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// Tries that ended without any answer: the delivery may have got in.
    pub unanswered: u64,
    /// Tries that were refused: 429, 503, or 408 where the machine is too busy to send.
    pub refused: u64,
}

impl Doors {
    pub fn new(bases: Vec<String>) -> Self {
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(TIMEOUT)
            // Shorter than the daemon keeps a line: who writes into one that is
            // just being closed gets no answer.
            .pool_idle_timeout(Duration::from_secs(1))
            .build()
            .unwrap();
        Self {
            client,
            bases: Arc::new(Mutex::new(bases)),
            turn: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// The daemons that are there from now on.
    pub fn lead_to(&self, bases: Vec<String>) {
        *self.bases.lock().unwrap() = bases;
    }

    fn base(&self) -> String {
        let bases = self.bases.lock().unwrap();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        bases[turn % bases.len()].clone()
    }

    /// Every refusal so far: where, its status, and whether it said when to come back.
    pub fn refusals(&self) -> Vec<(Door, u16, bool)> {
        self.refusals.lock().unwrap().clone()
    }

    /// One try: the status, or `None` when the connection ended without one.
    pub async fn try_once(&self, sandbox: &Sandbox, door: Door, body: &Value) -> Option<u16> {
        let (base, text) = (self.base(), body.to_string());
        let post = |path: &str| self.client.post(format!("{base}/api/webhooks/{path}"));
        let request = match door {
            Door::Aloware => post("aloware").basic_auth(ALOWARE_USER, Some(ALOWARE_PASS)),
            Door::Ghl => post("ghl").header("X-GHL-Signature", sandbox.ghl.sign(text.as_bytes())),
            Door::Provider => {
                post("ghl/provider-delivery").header("X-GHL-Signature", sandbox.ghl.sign(text.as_bytes()))
            }
            Door::Texting => post("texting").header("X-Texting-Secret", TEXTING_SECRET),
        };
        let answer = request
            .header("content-type", "application/json")
            .body(text)
            .send()
            .await;
        // Accepted once the whole answer was read, and not before.
        let answer = answer.ok()?;
        let status = answer.status().as_u16();
        if !answer.status().is_success() {
            let refusal = (door, status, answer.headers().contains_key("retry-after"));
            self.refusals.lock().unwrap().push(refusal);
        }
        answer.bytes().await.ok().map(|_| status)
    }

    /// Tries until a 2xx was read.
    pub async fn bring(&self, sandbox: &Sandbox, door: Door, body: &Value) -> Entry {
        let mut entry = Entry::default();
        loop {
            match self.try_once(sandbox, door, body).await {
                Some(200..=299) => return entry,
                Some(408 | 429 | 503) => entry.refused += 1,
                Some(status) => panic!("{door:?} answered {status}"),
                None => entry.unanswered += 1,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
