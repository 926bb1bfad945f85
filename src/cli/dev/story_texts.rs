//! Texts and consent: notes both ways, the operator's own send, STOP and START.

use anyhow::Context;

use super::payloads::{WANDA, WANDA_PHONE, received, sent};
use super::stage::Stage;
use super::story_calls::{NOTE, NOTE_ECHO, TAGS, head};
use super::timeline::masked;
use crate::domain::{Phone, TextDirection};
use crate::sandbox::texting::SEND_PATH;
use crate::sandbox::{Fault, Times};
use crate::store::dev::{self, Consent};
use crate::wire::json;

/// What a blocked contact carries in GHL.
const MARKS: [&str; 2] = ["dnc-sms", "sms opted out"];

/// A text of hers and one of ours become notes.
pub(super) async fn both_ways(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("She texts, and we text back");
    let decision = format!("texting_to_ghl message success → {WANDA}");
    for (delivery, id, direction) in [
        (
            received("dev-m1", WANDA_PHONE, "Hi, is the flat still free?"),
            "dev-m1",
            TextDirection::Inbound,
        ),
        (
            sent("dev-m2", WANDA_PHONE, "It is. Friday at 10?"),
            "dev-m2",
            TextDirection::Outbound,
        ),
    ] {
        stage.act(&delivery, &[&decision], &[NOTE], &[NOTE_ECHO]).await?;
        let mapped = dev::mapped_text(&stage.db.client().await?, id, WANDA).await?;
        stage.told("message mapping", Some(direction), mapped);
    }
    let notes: Vec<String> = stage
        .sandbox
        .ghl
        .notes(WANDA)
        .into_iter()
        .filter(|note| note.starts_with("[SMS]"))
        .collect();
    stage.told("text notes", 2, notes.len());
    for note in &notes {
        stage.state(&format!("note “{}” · mapped", head(note)));
    }
    stage.close();
    Ok(())
}

/// `POST /api/messages` is the only way to send.
pub(super) async fn sent_by_an_operator(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("An operator sends a text through the daemon");
    send_works(stage, "Your viewing is confirmed.", 1).await?;
    stage.close();
    Ok(())
}

/// The registry holds the STOP before the webhook is answered: GHL is held
/// until then.
pub(super) async fn stop(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("She texts STOP");
    let gate = stage.sandbox.ghl.fault("*", "/", Times::Forever, Fault::Gate);
    let answer = stage.deliver(&received("dev-m3", WANDA_PHONE, "STOP")).await?;
    stage.told_received(&answer);
    let at_answer = consent(stage, WANDA_PHONE).await?;
    stage.told("registry when the answer came", blocked("consumer_stop"), at_answer);
    stage.state(&format!(
        "registry {}: opted_out by consumer_stop, before GHL answered anything",
        masked(WANDA_PHONE)
    ));
    gate.release();
    gate.remove();
    let seen = stage.settle().await?;

    stage.told_list(
        "decision",
        &[&format!(
            "texting_to_ghl optout success → {WANDA}: STOP; Aloware: off all lists, do-not-call"
        )],
        &seen.decided,
    );
    let calls = [
        "GHL GET /contacts/{id} 200",
        "GHL PUT /contacts/{id} 200",
        TAGS,
        "Aloware GET /api/v1/webhook/contact/phone-number 200",
        "Aloware POST /api/v1/webhook/powerdialer-remove-contact-from-lists 200",
        "Aloware POST /api/v1/webhook/forms 200",
        "Aloware GET /api/v1/webhook/contact/phone-number 200",
    ];
    stage.told_list("vendor calls", &calls, &seen.calls);
    stage.told("echoes", 2, seen.echoes.len());
    stage.told("tags", [true, true], marks(stage));
    stage.told("SMS do-not-disturb", Some("active".to_owned()), dnd(stage));
    let after = consent(stage, WANDA_PHONE).await?;
    stage.told("registry after the echoes", blocked("consumer_stop"), after);
    stage.state(&format!("GHL: tags {} · SMS do-not-disturb active", MARKS.join(", ")));
    stage.close();
    Ok(())
}

/// Nothing is sent to a blocked number, and the vendor is not even asked.
pub(super) async fn refused(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("An operator tries to text her all the same");
    let before = stage.sandbox.texting.calls_total();
    let answer = stage.send(WANDA_PHONE, "One more offer!").await?;
    stage.told("answer", (409, "opted_out"), (answer.status, answer.says.as_str()));
    let seen = stage.settle().await?;
    stage.told_list("vendor calls", &[], &seen.calls);
    stage.told(
        "calls to the texting vendor",
        before,
        stage.sandbox.texting.calls_total(),
    );
    stage.state("not sent");
    stage.close();
    Ok(())
}

/// START reverses what STOP did, then a text goes out again.
pub(super) async fn start(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("She texts START, and is texted again");
    let answer = stage.deliver(&received("dev-m4", WANDA_PHONE, "START")).await?;
    stage.told_received(&answer);
    let seen = stage.settle().await?;
    stage.told_list(
        "decision",
        &[&format!(
            "texting_to_ghl optout success → {WANDA}: START; Aloware: do-not-call stays: its API cannot clear it, a person \
             must do so there"
        )],
        &seen.decided,
    );
    let calls = [
        "GHL GET /contacts/{id} 200",
        "GHL PUT /contacts/{id} 200",
        "GHL DELETE /contacts/{id}/tags 200",
    ];
    stage.told_list("vendor calls", &calls, &seen.calls);
    let lifted = Consent {
        status: Some("opted_in".to_owned()),
        causes: Vec::new(),
    };
    let found = consent(stage, WANDA_PHONE).await?;
    stage.told("registry", lifted, found);
    stage.told("tags", [false, false], marks(stage));
    stage.told("SMS do-not-disturb", Some("inactive".to_owned()), dnd(stage));
    stage.state(&format!(
        "registry {}: opted_in · tags removed · SMS do-not-disturb inactive",
        masked(WANDA_PHONE)
    ));
    send_works(stage, "Welcome back!", 2).await?;
    stage.close();
    Ok(())
}

async fn send_works(stage: &mut Stage, body: &str, texts: usize) -> anyhow::Result<()> {
    let answer = stage.send(WANDA_PHONE, body).await?;
    stage.told("answer", 202, answer.status);
    let seen = stage.settle().await?;
    stage.told_list("vendor calls", &[&format!("Texting POST {SEND_PATH} 200")], &seen.calls);
    let arrived = stage.sandbox.texting.sent_to(WANDA_PHONE);
    stage.told("texts at the vendor", texts, arrived.len());
    let last = arrived.last().context("nothing arrived at the texting vendor")?;
    stage.told("its words", body, last.body.as_str());
    stage.told("its id", answer.says.as_str(), last.id.as_str());
    stage.state(&format!("the texting vendor has “{body}” for {}", masked(WANDA_PHONE)));
    Ok(())
}

/// The registry with this one block.
pub(super) fn blocked(cause: &str) -> Consent {
    Consent {
        status: Some("opted_out".to_owned()),
        causes: vec![cause.to_owned()],
    }
}

/// What the registry says of a number.
pub(super) async fn consent(stage: &Stage, phone: &str) -> anyhow::Result<Consent> {
    let phone = Phone::from_e164(phone).context("a phone")?;
    Ok(dev::consent(&stage.db.client().await?, &phone).await?)
}

fn marks(stage: &Stage) -> [bool; 2] {
    let tags = stage.sandbox.ghl.tags(WANDA);
    MARKS.map(|mark| tags.iter().any(|tag| tag == mark))
}

fn dnd(stage: &Stage) -> Option<String> {
    json::text(&stage.sandbox.ghl.contact(WANDA)?, &["dndSettings.SMS.status"])
}
