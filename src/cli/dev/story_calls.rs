//! Calls: one note and one set of tags each, however many deliveries tell them.

use anyhow::Context;
use serde_json::json;

use super::payloads::{SAM_PHONE, WANDA, WANDA_PHONE, aloware, call, summary};
use super::stage::{Delivery, Stage};
use super::story_texts::{blocked, consent};
use super::timeline::masked;
use crate::wire::json;

/// The call of the story.
const CALL: i64 = 9001;
/// The stranger's.
const STRANGERS_CALL: i64 = 9002;
pub(super) const NOTE: &str = "GHL POST /contacts/{id}/notes 201";
const NOTE_UPDATE: &str = "GHL PUT /contacts/{id}/notes/{id} 200";
pub(super) const TAGS: &str = "GHL POST /contacts/{id}/tags 201";
pub(super) const NOTE_ECHO: &str = "NoteCreate: skipped: Unhandled GHL event type: NoteCreate";
const NOTE_UPDATE_ECHO: &str = "NoteUpdate: skipped: Unhandled GHL event type: NoteUpdate";
pub(super) const TAG_ECHO: &str = "ContactTagUpdate: skipped: own_echo";

/// Start, end, disposition, recording and summary of one call. Answers the
/// delivery of its end.
pub(super) async fn told_in_five_deliveries(stage: &mut Stage) -> anyhow::Result<Delivery> {
    stage.open("Aloware tells one call in five deliveries");
    let start = json!({"duration": 0, "disposition_status": "in-progress"});
    let end = call(
        stage,
        "OutboundPhoneCall-DispositionCompleted",
        CALL,
        WANDA_PHONE,
        json!({}),
    );
    let disposed = json!({"call_disposition": "Interested"});
    let recording = json!({"direct_recording_url": "https://recordings.example/9001"});
    let text = "She is interested and asked for a callback on Friday.";
    let done = format!("aloware_to_ghl call success → {WANDA}");
    for (delivery, decided, calls, echoes) in [
        (
            &call(stage, "OutboundPhoneCall", CALL, WANDA_PHONE, start),
            "aloware_to_ghl call skipped: call_not_ended_yet",
            &[][..],
            &[][..],
        ),
        (&end, &done, &[NOTE, TAGS], &[NOTE_ECHO, TAG_ECHO]),
        (
            &call(stage, "Call-Disposed", CALL, WANDA_PHONE, disposed),
            &done,
            &[NOTE_UPDATE, TAGS],
            &[NOTE_UPDATE_ECHO, TAG_ECHO],
        ),
        (
            &call(stage, "Recording-Saved", CALL, WANDA_PHONE, recording),
            &format!("aloware_to_ghl recording success → {WANDA}"),
            &[NOTE],
            &[NOTE_ECHO],
        ),
        (
            &summary(stage, CALL, WANDA_PHONE, text),
            &format!("aloware_to_ghl call_summary success → {WANDA}"),
            &[NOTE, TAGS],
            &[NOTE_ECHO, TAG_ECHO],
        ),
    ] {
        stage.act(delivery, &[decided], calls, echoes).await?;
    }
    three_notes(stage);
    stage.close();
    Ok(end)
}

/// What the five deliveries left on the contact.
fn three_notes(stage: &mut Stage) {
    let notes = stage.sandbox.ghl.notes(WANDA);
    let heads: Vec<String> = notes.iter().map(|note| head(note).to_owned()).collect();
    let at = stage.call_stamp();
    let (call, recording) = (format!("Call Made on {at} (2m 5s)"), format!("[RECORDING] {at} (125s)"));
    stage.told_list("notes", &[&call, &recording, "[CALL SUMMARY]"], &heads);
    let latest = notes.iter().filter(|note| note.contains("Disposition: Interested"));
    stage.told("notes with the disposition", 1, latest.count());
    let mut tags = stage.sandbox.ghl.tags(WANDA);
    tags.sort();
    let told = ["call: interested", "follow-up needed", "interested", "outbound call"];
    stage.told_list("tags", &told, &tags);
    for head in &heads {
        stage.state(&format!("note “{head}”"));
    }
    stage.state(&format!("tags {}", tags.join(", ")));
}

/// Two deliveries at once, one contact.
pub(super) async fn of_a_stranger(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("A stranger calls; two deliveries arrive at once");
    stage
        .sandbox
        .aloware
        .add_contact(json!({"phone_number": SAM_PHONE, "first_name": "Sam", "last_name": "Stranger"}));
    for (event, changes) in [
        (
            "InboundPhoneCall-DispositionCompleted",
            json!({"direction": 1, "duration": 66}),
        ),
        (
            "Call-Disposed",
            json!({"direction": 1, "duration": 66, "call_disposition": "Callback"}),
        ),
    ] {
        let delivery = call(stage, event, STRANGERS_CALL, SAM_PHONE, changes);
        let answer = stage.deliver(&delivery).await?;
        stage.told_received(&answer);
    }
    let seen = stage.settle().await?;

    let id = strangers_id(stage)?;
    let name = stage
        .sandbox
        .ghl
        .contact(&id)
        .and_then(|contact| json::text(&contact, &["name"]));
    let done = format!("aloware_to_ghl call success → {id}");
    stage.told_list("decisions", &[&done, &done], &seen.decided);
    let created = seen
        .calls
        .iter()
        .filter(|call| *call == "GHL POST /contacts/upsert 200")
        .count();
    stage.told("contacts created", 1, created);
    stage.told("contacts in GHL", 2, stage.sandbox.ghl.contacts().len());
    stage.told("contacts in Aloware", 2, stage.sandbox.aloware.contacts().len());
    stage.told("his name", Some("Sam Stranger".to_owned()), name);
    let notes = stage.sandbox.ghl.notes(&id);
    let note = format!("Call Received on {} (1m 6s)", stage.call_stamp());
    stage.told(
        "his notes",
        vec![note.as_str()],
        notes.iter().map(|note| head(note)).collect(),
    );
    let mut tags = stage.sandbox.ghl.tags(&id);
    tags.sort();
    stage.told_list("his tags", &["call: callback", "inbound call"], &tags);
    stage.state(&format!(
        "one contact {id} “Sam Stranger”, one note · tags {}",
        tags.join(", ")
    ));
    stage.close();
    Ok(())
}

/// Aloware's do-not-call flag: tags in GHL, and no text either.
pub(super) async fn do_not_call(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("The stranger is put on do-not-call in Aloware");
    stage.sandbox.aloware.edit_contact(SAM_PHONE, json!({"is_dnc": true}));
    let contact = stage.sandbox.aloware.webhook_contact(SAM_PHONE);
    let delivery = aloware("Contact-DncUpdated", &masked(SAM_PHONE), json!(contact));
    let id = strangers_id(stage)?;
    let decided = format!("aloware_to_ghl contact success → {id}: DNC status: opted_out");
    stage.act(&delivery, &[&decided], &[TAGS], &[TAG_ECHO]).await?;

    let mut tags = stage.sandbox.ghl.tags(&id);
    tags.sort();
    let told = ["call: callback", "dnc", "do not call", "inbound call"];
    stage.told_list("his tags", &told, &tags);
    let found = consent(stage, SAM_PHONE).await?;
    stage.told("registry", blocked("voice_dnc"), found);
    let (phone, tags) = (masked(SAM_PHONE), tags.join(", "));
    stage.state(&format!("registry {phone}: opted_out by voice_dnc · tags {tags}"));
    stage.close();
    Ok(())
}

/// The GHL id the stranger was given.
pub(super) fn strangers_id(stage: &Stage) -> anyhow::Result<String> {
    let found = stage.sandbox.ghl.contact_by_phone(SAM_PHONE);
    found
        .and_then(|contact| json::text(&contact, &["id"]))
        .context("GHL does not have the stranger")
}

/// A note's first line.
pub(super) fn head(note: &str) -> &str {
    note.lines().next().unwrap_or_default()
}
