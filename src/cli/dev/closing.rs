//! The end of the story: what it came to, and how to go on by hand.

use super::payloads::{WANDA, WANDA_PHONE};
use super::setup::{OUR_NUMBER, Secrets};
use super::stage::Stage;
use super::timeline::Tone;
use super::watch::vendor;
use crate::sandbox::Vendor;
use crate::store::dev;

/// Prints the totals, then every difference again; answers whether all went as told.
pub(super) async fn summary(stage: &Stage) -> anyhow::Result<bool> {
    let states = dev::by_status(&stage.db.client().await?).await?;
    let states: Vec<String> = states
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let calls: Vec<String> = [Vendor::Ghl, Vendor::Aloware, Vendor::Texting]
        .into_iter()
        .map(|of| format!("{} {}", vendor(of), stage.sandbox.journal().total(of)))
        .collect();
    let (tally, timeline) = (&stage.tally, &stage.timeline);
    let echoes = stage.sandbox.ghl.echoes().len();
    timeline.heading("Summary");
    timeline.line(
        Tone::Plain,
        &format!("  steps         {} with {} checks", tally.steps, tally.checks),
    );
    timeline.line(
        Tone::Plain,
        &format!(
            "  requests      {} deliveries and sends, and {echoes} webhooks sent by GoHighLevel itself",
            tally.requests
        ),
    );
    timeline.line(Tone::Plain, &format!("  vendor calls  {}", calls.join(", ")));
    timeline.line(Tone::Plain, &format!("  events        {}", states.join(", ")));
    if tally.differences.is_empty() {
        timeline.line(Tone::Good, "  Every step ended as told.");
        return Ok(true);
    }
    timeline.line(
        Tone::Bad,
        &format!("  {} did not end as told:", tally.differences.len()),
    );
    for difference in &tally.differences {
        timeline.line(Tone::Bad, &format!("  - {difference}"));
    }
    Ok(false)
}

/// Prints lines to paste into a shell.
pub(super) fn by_hand(stage: &Stage, base: &str, secrets: &Secrets, database: Option<&str>) {
    let timeline = &stage.timeline;
    timeline.heading("Go on by hand: what happens is shown below, Ctrl-C ends it");
    let Secrets {
        aloware_user,
        aloware_pass,
        ghl,
        texting,
        jobs: _,
        admin,
    } = secrets;
    let json = "-H 'Content-Type: application/json'";
    let lines = [
        format!(
            "curl -u '{aloware_user}:{aloware_pass}' {json} {base}/api/webhooks/aloware -d '{{\"event\":\"InboundPhoneCall-DispositionCompleted\",\"body\":{{\"id\":9100,\"type\":1,\"direction\":1,\"lead_number\":\"{WANDA_PHONE}\",\"duration\":42,\"contact\":{{\"phone_number\":\"{WANDA_PHONE}\"}}}}}}'"
        ),
        format!(
            "curl {json} {base}/api/webhooks/ghl/{ghl} -d '{{\"type\":\"ContactTagUpdate\",\"id\":\"{WANDA}\",\"phone\":\"{WANDA_PHONE}\",\"tags\":[],\"locationId\":\"{}\"}}'",
            crate::sandbox::ghl::LOCATION
        ),
        format!(
            "curl -H 'X-Texting-Secret: {texting}' {json} {base}/api/webhooks/texting -d '{{\"type\":\"message.received\",\"message\":{{\"id\":\"by-hand-1\",\"from\":\"{WANDA_PHONE}\",\"to\":\"{OUR_NUMBER}\",\"body\":\"Is Saturday possible too?\"}}}}'"
        ),
        format!(
            "curl -H 'X-DF-ADMIN-SECRET: {admin}' {json} {base}/api/messages -d '{{\"to\":\"{WANDA_PHONE}\",\"body\":\"Hello again\"}}'"
        ),
        format!("curl -H 'X-DF-ADMIN-SECRET: {admin}' '{base}/api/admin/events?limit=5'"),
    ];
    for line in lines {
        timeline.line(Tone::Plain, &format!("  {line}"));
    }
    if let Some(url) = database {
        timeline.line(Tone::Plain, &format!("  psql '{url}' -c 'TABLE sync_log'"));
    }
}
