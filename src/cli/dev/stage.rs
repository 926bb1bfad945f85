//! Where the story plays: deliveries go in through the real HTTP ingress, and
//! what is told of each step is compared with what is found.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::setup::Secrets;
use super::timeline::{Timeline, Tone, masked};
use super::watch::{Marks, Seen};
use crate::sandbox::{Sandbox, Vendor};
use crate::store::Db;
use crate::wire::json;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A webhook to be sent.
pub(super) struct Delivery {
    pub(super) from: Vendor,
    /// The event and what it is about, numbers masked.
    pub(super) what: String,
    pub(super) body: Value,
}

/// What the daemon answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `message` of a webhook's answer, `code` of a problem, the id of a text
    /// that was sent, else the words.
    pub(super) says: String,
}

/// One step of the story.
#[derive(Default)]
struct Step {
    title: String,
    checks: u32,
    differences: Vec<String>,
    open: bool,
}

/// What the whole story came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) steps: u32,
    pub(super) checks: u32,
    pub(super) requests: u32,
    /// `step: what differed`
    pub(super) differences: Vec<String>,
}

/// Daemon, vendors and the paper it is written on.
pub(super) struct Stage {
    pub(super) sandbox: Sandbox,
    pub(super) db: Db,
    pub(super) timeline: Timeline,
    pub(super) marks: Marks,
    pub(super) tally: Tally,
    /// When the calls of the story were made: a while before it began.
    pub(super) called_at: DateTime<Utc>,
    base: String,
    secrets: Secrets,
    client: Client,
    step: Step,
}

impl Stage {
    /// A stage before the first step. `base` is the daemon's address.
    pub(super) fn new(
        sandbox: Sandbox,
        db: Db,
        base: String,
        secrets: Secrets,
        timeline: Timeline,
    ) -> anyhow::Result<Self> {
        // Plain HTTP to ourselves: no proxy, no certificates.
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(PATIENCE)
            .build()?;
        sandbox.ghl.echo_to(&format!("{base}/api/webhooks/ghl"));
        Ok(Self {
            sandbox,
            db,
            timeline,
            marks: Marks::default(),
            tally: Tally::default(),
            called_at: Utc::now() - TimeDelta::minutes(10),
            base,
            secrets,
            client,
            step: Step::default(),
        })
    }

    /// Begins a step.
    pub(super) fn open(&mut self, title: &str) {
        self.timeline.heading(title);
        self.step = Step {
            title: title.to_owned(),
            open: true,
            ..Step::default()
        };
    }

    /// Ends the step and prints whether it went as told.
    pub(super) fn close(&mut self) {
        let step = std::mem::take(&mut self.step);
        for difference in &step.differences {
            self.timeline.detail("DIFFERS", Tone::Bad, difference);
        }
        if step.differences.is_empty() {
            self.timeline
                .detail("checked", Tone::Good, &format!("all {} as told", step.checks));
        }
        self.tally.steps += 1;
        self.tally.checks += step.checks;
        let named = step
            .differences
            .into_iter()
            .map(|difference| format!("{}: {difference}", step.title));
        self.tally.differences.extend(named);
    }

    /// The story cannot go on.
    pub(super) fn broke(&mut self, error: &anyhow::Error) {
        if !self.step.open {
            self.step.title = "The story".to_owned();
        }
        self.step
            .differences
            .push(format!("it could not be played on: {error:#}"));
        self.close();
    }

    /// Compares what was told with what is found.
    pub(super) fn told<T: PartialEq + Debug>(&mut self, what: &str, told: T, found: T) {
        self.step.checks += 1;
        if told != found {
            self.step
                .differences
                .push(format!("{what}: told {told:?}, found {found:?}"));
        }
    }

    /// The same for lists of texts.
    pub(super) fn told_list(&mut self, what: &str, told: &[&str], found: &[String]) {
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        self.told(what, told.to_vec(), found);
    }

    /// The usual answer to a webhook.
    pub(super) fn told_received(&mut self, answer: &Answer) {
        self.told(
            "answer",
            (200, "Webhook received"),
            (answer.status, answer.says.as_str()),
        );
    }

    /// How notes write the time of the calls.
    pub(super) fn call_stamp(&self) -> String {
        self.called_at.format("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// Prints what a step left behind.
    pub(super) fn state(&self, text: &str) {
        self.timeline.detail("state", Tone::Plain, text);
    }

    /// Sends a webhook, waits until it has settled, and compares all of it:
    /// the usual answer, what was decided, vendor calls, and echoes.
    pub(super) async fn act(
        &mut self,
        delivery: &Delivery,
        decided: &[&str],
        calls: &[&str],
        echoes: &[&str],
    ) -> anyhow::Result<Seen> {
        let answer = self.deliver(delivery).await?;
        self.told_received(&answer);
        let seen = self.settle().await?;
        let event = delivery.what.split(' ').next().unwrap_or_default();
        self.told_list(&format!("decision on {event}"), decided, &seen.decided);
        self.told_list(&format!("vendor calls of {event}"), calls, &seen.calls);
        self.told_list(&format!("echoes of {event}"), echoes, &seen.echoes);
        Ok(seen)
    }

    /// Sends a webhook as its vendor does.
    pub(super) async fn deliver(&mut self, delivery: &Delivery) -> anyhow::Result<Answer> {
        let bytes = delivery.body.to_string();
        let signature = self.sandbox.ghl.sign(bytes.as_bytes());
        self.deliver_signed(delivery, bytes, &signature).await
    }

    /// Sends a webhook; GHL's carries this signature.
    pub(super) async fn deliver_signed(
        &mut self,
        delivery: &Delivery,
        bytes: String,
        signature: &str,
    ) -> anyhow::Result<Answer> {
        let (from, request) = match delivery.from {
            Vendor::Aloware => {
                let (user, pass) = (&self.secrets.aloware_user, &self.secrets.aloware_pass);
                (
                    "Aloware",
                    self.post("/api/webhooks/aloware").basic_auth(user, Some(pass)),
                )
            }
            Vendor::Ghl => (
                "GHL",
                self.post("/api/webhooks/ghl").header("X-GHL-Signature", signature),
            ),
            Vendor::Texting => (
                "Texting",
                self.post("/api/webhooks/texting")
                    .header("X-Texting-Secret", &self.secrets.texting),
            ),
        };
        self.timeline.delivery(from, &delivery.what);
        self.ask(request.body(bytes)).await
    }

    /// An operator sends a text.
    pub(super) async fn send(&mut self, to: &str, body: &str) -> anyhow::Result<Answer> {
        let request = self
            .post("/api/messages")
            .header("X-DF-ADMIN-SECRET", &self.secrets.admin);
        self.timeline
            .delivery("Operator", &format!("POST /api/messages to {}: “{body}”", masked(to)));
        self.ask(request.body(json!({"to": to, "body": body}).to_string()))
            .await
    }

    /// A person changes a contact in the GHL app; GHL itself sends the webhook.
    pub(super) async fn edit_in_ghl(&mut self, id: &str, what: &str, change: Value) -> anyhow::Result<()> {
        let sent_before = self.sandbox.ghl.echoes().len();
        self.tally.requests += 1;
        self.marks.expect_from_person();
        anyhow::ensure!(self.sandbox.ghl.edit_contact(id, change), "GHL has no contact {id}");
        anyhow::ensure!(
            self.sandbox.ghl.echoes_settled(PATIENCE).await,
            "GHL's webhook was not answered"
        );
        let sent = self.sandbox.ghl.echoes();
        let first = sent.get(sent_before).context("GHL sent no webhook")?;
        let kind = json::text(&first.body, &["type"]).unwrap_or_default();
        self.timeline.delivery("GHL", &format!("{kind} ({what})"));
        let status = first
            .status
            .map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        self.timeline.detail("answered", Tone::Plain, &status);
        self.told("answer", Some(200), first.status);
        Ok(())
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
    }

    async fn ask(&mut self, request: RequestBuilder) -> anyhow::Result<Answer> {
        self.tally.requests += 1;
        let response = request.send().await.context("the daemon did not answer")?;
        let status = response.status().as_u16();
        let text = response.text().await.context("the daemon's answer broke off")?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let named = json::text(&body, &["message", "code", "messageId"]);
        let says = named.unwrap_or_else(|| text.trim().to_owned());
        self.timeline
            .detail("answered", Tone::Plain, &format!("{status} {says}"));
        Ok(Answer { status, says })
    }
}
