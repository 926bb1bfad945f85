//! What goes wrong on a real day: repeats, forgeries, unknown events, a vendor
//! that is down.

use anyhow::Context;
use serde_json::json;

use super::payloads::{SAM_PHONE, WANDA, WANDA_PHONE, aloware, call, contact, received};
use super::stage::{Delivery, Stage};
use super::story_calls::{NOTE, strangers_id};
use crate::sandbox::{Fault, Times};

/// The call during the outage.
const CALL: i64 = 9003;
/// How a run says that its vendor is held back by the breaker.
const DOWN: &str = "ghl down";

/// The same delivery again is answered, and that is all.
pub(super) async fn duplicate(stage: &mut Stage, delivery: &Delivery) -> anyhow::Result<()> {
    stage.open("Aloware delivers the end of the first call once more");
    let notes = stage.sandbox.ghl.notes(WANDA).len();
    let answer = stage.deliver(delivery).await?;
    stage.told(
        "answer",
        (200, "Duplicate event ignored"),
        (answer.status, answer.says.as_str()),
    );
    let seen = stage.settle().await?;
    stage.told("stored events", 0, seen.stored.len());
    stage.told_list("vendor calls", &[], &seen.calls);
    stage.told("notes", notes, stage.sandbox.ghl.notes(WANDA).len());
    stage.state("no event stored, no vendor call");
    stage.close();
    Ok(())
}

/// A body that its signature does not cover.
pub(super) async fn forged(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("Somebody forges a GoHighLevel webhook");
    let mut delivery = contact(&stage.sandbox, "ContactUpdate", WANDA, WANDA_PHONE);
    let genuine = stage.sandbox.ghl.sign(delivery.body.to_string().as_bytes());
    let fields = delivery.body.as_object_mut().context("a contact event is an object")?;
    fields.insert("email".to_owned(), json!("mallory@evil.example"));
    delivery.what.push_str(", e-mail changed after signing");
    let answer = stage
        .deliver_signed(&delivery, delivery.body.to_string(), &genuine)
        .await?;
    stage.told("answer", 401, answer.status);
    let seen = stage.settle().await?;
    stage.told("stored events", 0, seen.stored.len());
    stage.told_list("vendor calls", &[], &seen.calls);
    stage.state("nothing stored");
    stage.close();
    Ok(())
}

/// Stored and closed with its reason, never dropped.
pub(super) async fn unknown(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("Aloware sends an event nobody knows");
    let delivery = aloware("Gizmo-Polished", "gizmo 7", json!({"id": 7}));
    let reason = "aloware_to_ghl unknown skipped: Unhandled event type: Gizmo-Polished";
    let seen = stage.act(&delivery, &[reason], &[], &[]).await?;
    let ends: Vec<&str> = seen.stored.iter().map(|event| event.status.as_str()).collect();
    stage.told("stored event", vec!["done"], ends);
    stage.state("stored and done, with the reason in sync_log");
    stage.close();
    Ok(())
}

/// The breaker opens, work is parked without burning attempts, and when the
/// vendor is back everything happens once.
pub(super) async fn outage(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("GoHighLevel is down, then comes back");
    let sam = strangers_id(stage)?;
    let before = (
        stage.sandbox.ghl.notes(WANDA).len(),
        stage.sandbox.ghl.notes(&sam).len(),
    );
    let fault = stage
        .sandbox
        .ghl
        .fault("*", "/", Times::Forever, Fault::status(503, "down for maintenance"));
    stage.state("GoHighLevel answers 503 to everything");

    let changes = json!({"call_disposition": "Viewing booked"});
    let delivery = call(
        stage,
        "OutboundPhoneCall-DispositionCompleted",
        CALL,
        WANDA_PHONE,
        changes,
    );
    let answer = stage.deliver(&delivery).await?;
    stage.told_received(&answer);
    stage.parked(DOWN).await?;
    let down = stage.look().await?;
    let refused = down.calls.iter().filter(|call| call.ends_with(" 503")).count();
    stage.told("answered calls while down", 0, down.calls.len() - refused);
    stage.told("the breaker opened after five", true, refused >= 5);

    let answer = stage.deliver(&received("dev-m5", SAM_PHONE, "Are you there?")).await?;
    stage.told_received(&answer);
    stage.parked(DOWN).await?;
    let parked = stage.look().await?;
    let waits = "texting_to_ghl message error: ghl down".to_owned();
    stage.told("the text waits", true, parked.decided.contains(&waits));
    // A slow machine may get as far as a probe.
    stage.told("vendor left in peace", true, parked.calls.len() <= 2);
    stage.state("both deliveries are accepted and wait; GoHighLevel is left in peace");

    fault.remove();
    stage.state("GoHighLevel is back");
    let back = stage.settle().await?;
    let ends: Vec<&str> = back.stored.iter().map(|event| event.status.as_str()).collect();
    stage.told("events", vec!["done", "done"], ends);
    for decision in [
        format!("aloware_to_ghl call success → {WANDA}"),
        format!("texting_to_ghl message success → {sam}"),
    ] {
        stage.told(
            &decision,
            1,
            back.decided.iter().filter(|found| **found == decision).count(),
        );
    }
    stage.told(
        "notes written",
        2,
        back.calls.iter().filter(|call| *call == NOTE).count(),
    );
    let marker = format!("[df:call:{CALL}]");
    let ours = stage
        .sandbox
        .ghl
        .notes(WANDA)
        .iter()
        .filter(|note| note.contains(&marker))
        .count();
    stage.told("notes of the call", 1, ours);
    let after = (
        stage.sandbox.ghl.notes(WANDA).len(),
        stage.sandbox.ghl.notes(&sam).len(),
    );
    stage.told("notes of both", (before.0 + 1, before.1 + 1), after);
    stage.state("exactly one note of each, nothing lost, nothing twice");
    stage.close();
    Ok(())
}

/// Over the whole story: only calls that the vendors document.
pub(super) fn nothing_undocumented(stage: &mut Stage) {
    stage.open("All in all");
    let unmatched: Vec<String> = stage
        .sandbox
        .unmatched()
        .iter()
        .map(|call| format!("{} {}", call.method, call.path))
        .collect();
    stage.told_list("vendor calls that no vendor documents", &[], &unmatched);
    stage.state("every vendor call is one its vendor documents");
    stage.close();
}
