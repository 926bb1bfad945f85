//! Watching a step: waiting until it has settled, then showing what was
//! decided, which vendor calls were made, and which echoes came back.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::stage::Stage;
use super::timeline::{Tone, pattern};
use crate::sandbox::Vendor;
use crate::store::dev::{self, LogRow, StoredEvent};
use crate::wire::json;

/// Longest wait for a step to settle.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the tables are looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(10);

/// Up to where the story has been shown.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) seq: i64,
    pub(super) call: u64,
    /// GHL's webhooks shown so far.
    webhooks: usize,
    /// How many of the next ones a person caused.
    by_person: usize,
    logged: HashSet<Uuid>,
    /// The last event shown as arrived, while the daemon is used by hand.
    pub(super) announced: i64,
}

impl Marks {
    /// GHL's next webhook is a person's doing, no echo.
    pub(super) fn expect_from_person(&mut self) {
        self.by_person += 1;
    }
}

/// What became visible since the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// `aloware_to_ghl call success → …`, of the deliveries themselves.
    pub(super) decided: Vec<String>,
    /// `ContactUpdate: skipped: …`, of GHL's webhooks about our own writes.
    pub(super) echoes: Vec<String>,
    /// `GHL POST /contacts/{id}/notes 201`.
    pub(super) calls: Vec<String>,
    /// The deliveries that were stored, echoes left out.
    pub(super) stored: Vec<StoredEvent>,
}

impl Stage {
    /// Waits until nothing is under way any more, then shows what happened.
    pub(super) async fn settle(&mut self) -> anyhow::Result<Seen> {
        let deadline = Instant::now() + PATIENCE;
        let mut before = None;
        loop {
            let events = self.finished_by(deadline).await?;
            anyhow::ensure!(
                self.sandbox.ghl.echoes_settled(PATIENCE).await,
                "GHL's webhooks were not answered"
            );
            // Twice the same picture: the first round's echoes are done too.
            let now = (events, self.sandbox.ghl.echoes().len());
            if before == Some(now) {
                break;
            }
            before = Some(now);
        }
        let seen = self.look().await?;
        let events = dev::events_after(&self.db.client().await?, self.marks.seq).await?;
        self.marks.seq = events.last().map_or(self.marks.seq, |event| event.seq);
        self.marks.webhooks = self.sandbox.ghl.echoes().len();
        self.marks.by_person = 0;
        Ok(seen)
    }

    /// Waits until every run of the step's deliveries so far met an outage.
    pub(super) async fn parked(&self, reason: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let client = self.db.client().await?;
            let events = dev::events_after(&client, self.marks.seq).await?;
            let rows = dev::log_of(&client, &events).await?;
            drop(client);
            let met = |event: &StoredEvent| {
                let id = event.id.to_string();
                rows.iter()
                    .any(|row| row.event == id && row.message.as_deref() == Some(reason))
            };
            if !events.is_empty() && events.iter().all(met) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "no run ended in “{reason}”");
            sleep(PAUSE).await;
        }
    }

    /// How many events there are, once all of them have ended.
    async fn finished_by(&self, deadline: Instant) -> anyhow::Result<usize> {
        loop {
            let events = dev::events_after(&self.db.client().await?, self.marks.seq).await?;
            let open: Vec<&StoredEvent> = events
                .iter()
                .filter(|event| !matches!(event.status.as_str(), "done" | "error"))
                .collect();
            if open.is_empty() {
                return Ok(events.len());
            }
            if Instant::now() >= deadline {
                let names: Vec<String> = open
                    .iter()
                    .map(|event| format!("{} ({})", event.event_type, event.status))
                    .collect();
                anyhow::bail!("events stay unfinished: {}", names.join(", "));
            }
            sleep(PAUSE).await;
        }
    }

    /// Shows what became visible since the last look.
    pub(super) async fn look(&mut self) -> anyhow::Result<Seen> {
        let client = self.db.client().await.context("looking at the tables")?;
        let events = dev::events_after(&client, self.marks.seq).await?;
        let rows = dev::log_of(&client, &events).await?;
        drop(client);
        let echoed = self.echoed();
        let is_echo = |event: &StoredEvent| event.webhook_id.as_ref().is_some_and(|id| echoed.contains(id));
        let mut seen = Seen::default();
        let mut echo_lines = Vec::new();
        let mut decided = Vec::new();
        for event in &events {
            let id = event.id.to_string();
            for row in rows
                .iter()
                .filter(|row| row.event == id && self.marks.logged.insert(row.id))
            {
                if is_echo(event) {
                    let line = format!("{}: {}", event.event_type, ending(row));
                    seen.echoes.push(line.clone());
                    echo_lines.push(("came back".to_owned(), line));
                } else {
                    let line = format!("{} {} {}", row.direction, row.entity_type, ending(row));
                    seen.decided.push(line.clone());
                    decided.push(("decided".to_owned(), line));
                    decided.extend(reasons(row).into_iter().map(|reason| (String::new(), reason)));
                }
            }
        }
        seen.stored = events.into_iter().filter(|event| !is_echo(event)).collect();
        self.timeline.details(Tone::Plain, &decided);
        let calls = self.new_calls();
        self.timeline.details(Tone::Plain, &calls);
        seen.calls = calls
            .into_iter()
            .map(|(vendor, call)| format!("{vendor} {call}"))
            .collect();
        self.timeline.details(Tone::Faint, &echo_lines);
        Ok(seen)
    }

    /// The ids of GHL's webhooks about our own writes.
    pub(super) fn echoed(&self) -> HashSet<String> {
        let sent = self.sandbox.ghl.echoes();
        let ours = sent.iter().skip(self.marks.webhooks + self.marks.by_person);
        ours.filter_map(|sent| json::text(&sent.body, &["webhookId"])).collect()
    }

    fn new_calls(&mut self) -> Vec<(String, String)> {
        let after = self.marks.call;
        let calls = self.sandbox.journal().select(|call| call.seq > after);
        self.marks.call = calls.last().map_or(after, |call| call.seq);
        let shown = calls.iter().map(|call| {
            let status = call
                .status
                .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            (
                vendor(call.vendor).to_owned(),
                format!("{} {} {status}", call.method, pattern(&call.path)),
            )
        });
        shown.collect()
    }
}

/// The vendor's name in the timeline.
pub(super) fn vendor(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Ghl => "GHL",
        Vendor::Aloware => "Aloware",
        Vendor::Texting => "Texting",
    }
}

/// `success → target`, `skipped: reason`.
fn ending(row: &LogRow) -> String {
    let target = row.target_id.as_ref().map(|id| format!(" → {id}")).unwrap_or_default();
    let message = row.message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{}{target}{message}", row.status)
}

/// The decisions of a merge without the values: `email ← ghl (changed in ghl)`,
/// fields with the same reason together.
fn reasons(row: &LogRow) -> Vec<String> {
    let decisions = row
        .decisions
        .as_ref()
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let text = |decision: &Value, key: &str| json::text(decision, &[key]).unwrap_or_default();
    let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
    for decision in decisions {
        let why = format!("{} ({})", text(decision, "source"), text(decision, "reason"));
        let field = text(decision, "field");
        match grouped.iter_mut().find(|(known, _)| *known == why) {
            Some((_, fields)) => fields.push(field),
            None => grouped.push((why, vec![field])),
        }
    }
    grouped
        .into_iter()
        .map(|(why, fields)| format!("{} ← {why}", fields.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn decisions_are_shown_by_reason_and_without_values() {
        let row = LogRow {
            id: Uuid::nil(),
            event: String::new(),
            direction: "ghl_to_aloware".to_owned(),
            entity_type: "contact".to_owned(),
            status: "success".to_owned(),
            target_id: Some("985000001".to_owned()),
            message: None,
            decisions: Some(json!([
                {"field": "first_name", "value": "Wanda", "source": "ghl", "reason": "only source"},
                {"field": "city", "value": "San Diego", "source": "aloware", "reason": "only source"},
                {"field": "last_name", "value": "Tester", "source": "ghl", "reason": "only source"}
            ])),
        };
        assert_eq!(ending(&row), "success → 985000001");
        assert_eq!(
            reasons(&row),
            [
                "first_name, last_name ← ghl (only source)",
                "city ← aloware (only source)"
            ]
        );
    }
}
