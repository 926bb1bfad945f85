//! After the story: deliveries sent by hand are shown as they arrive.

use std::time::Duration;

use tokio::time::sleep;

use super::stage::Stage;
use super::timeline::Tone;
use super::watch::vendor;
use crate::domain::Source;
use crate::sandbox::Vendor;
use crate::store::dev;

/// How often somebody looks.
const GLANCE: Duration = Duration::from_millis(250);

impl Stage {
    /// Shows whatever happens from now on, for ever.
    pub(super) async fn live(&mut self) {
        loop {
            sleep(GLANCE).await;
            if let Err(error) = self.glance().await {
                self.timeline.detail("waiting", Tone::Bad, &format!("{error:#}"));
            }
        }
    }

    /// Shows what arrived since the last glance and what came of it.
    async fn glance(&mut self) -> anyhow::Result<()> {
        let events = dev::events_after(&self.db.client().await?, self.marks.seq.max(self.marks.announced)).await?;
        let echoed = self.echoed();
        let after = self.marks.call;
        let called = !self.sandbox.journal().select(|call| call.seq > after).is_empty();
        if events.is_empty() && !called {
            return Ok(());
        }
        self.timeline.line(Tone::Plain, "");
        for event in &events {
            if event.webhook_id.as_ref().is_none_or(|id| !echoed.contains(id)) {
                self.timeline.delivery(sender(&event.source), &event.event_type);
            }
            self.marks.announced = event.seq;
        }
        if events.is_empty() {
            self.timeline.delivery("Operator", "a request without a webhook");
        }
        self.settle().await.map(drop)
    }
}

/// The vendor's name for a stored event's source.
fn sender(source: &str) -> &str {
    match Source::parse(source) {
        Some(Source::Ghl) => vendor(Vendor::Ghl),
        Some(Source::Aloware) => vendor(Vendor::Aloware),
        Some(Source::Texting) => vendor(Vendor::Texting),
        None => source,
    }
}
