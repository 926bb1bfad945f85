//! Calls: one note and one set of tags each, however many deliveries tell them.

use anyhow::Context;
use serde_json::{Value, json};

use super::payloads::{SAM_PHONE, WANDA, WANDA_PHONE, aloware, call, summary};
use super::stage::{Delivery, Stage};
use super::timeline::masked;
use crate::domain::Phone;
use crate::store::dev;
use crate::wire::json;

/// The call of the story.
const CALL: i64 = 9001;
/// The stranger's.
const STRANGERS_CALL: i64 = 9002;
pub(super) const NOTE: &str = "GHL POST /contacts/{id}/notes 201";
const UPDATED: &str = "GHL PUT /contacts/{id}/notes/{id} 200";
pub(super) const TAGS: &str = "GHL POST /contacts/{id}/tags 201";
pub(super) const NOTE_ECHO: &str = "NoteCreate: skipped: Unhandled GHL event type: NoteCreate";
const TAG_ECHO: &str = "ContactTagUpdate: skipped: own_echo";

/// Start, end, disposition, recording and summary of one call. Answers the
/// delivery of its end.
pub(super) async fn told_in_five_deliveries(stage: &mut Stage) -> anyhow::Result<Delivery> {
    stage.open("Aloware tells one call in five deliveries");
    let start = json!({"duration": 0, "disposition_status": "in-progress"});
    beat(stage, "OutboundPhoneCall", start, "call skipped: call_not_ended_yet", &[], &[]).await?;

    let calls = [NOTE, TAGS];
    let done = format!("call success → {WANDA}");
    let end = beat(stage, "OutboundPhoneCall-DispositionCompleted", json!({}), &done, &calls, &[NOTE_ECHO, TAG_ECHO]).await?;

    let disposed = json!({"call_disposition": "Interested"});
    let note_update = "NoteUpdate: skipped: Unhandled GHL event type: NoteUpdate";
    beat(stage, "Call-Disposed", disposed, &done, &[UPDATED, TAGS], &[note_update, TAG_ECHO]).await?;

    let recording = json!({"direct_recording_url": "https://recordings.example/9001"});
    let recorded = format!("recording success → {WANDA}");
    beat(stage, "Recording-Saved", recording, &recorded, &[NOTE], &[NOTE_ECHO]).await?;

    let text = summary(&stage.sandbox, CALL, WANDA_PHONE, "She is interested and asked for a callback on Friday.");
    let answer = stage.deliver(&text).await?;
    stage.told_received(&answer);
    let seen = stage.settle().await?;
    stage.told_list("decision", &[&format!("aloware_to_ghl call_summary success → {WANDA}")], &seen.decided);
    stage.told_list("vendor calls", &[NOTE, TAGS], &seen.calls);
    stage.told_list("echoes", &[NOTE_ECHO, TAG_ECHO], &seen.echoes);

    let notes = stage.sandbox.ghl.notes(WANDA);
    let heads: Vec<String> = notes.iter().map(|note| head(note).to_owned()).collect();
    let at = stage.call_stamp();
    let told = [format!("Call Made on {at} (2m 5s)"), format!("[RECORDING] {at} (125s)"), "[CALL SUMMARY]".to_owned()];
    stage.told("notes", told.to_vec(), heads);
    let marked = notes.iter().filter(|note| note.contains("Disposition: Interested")).count();
    stage.told("notes with the disposition", 1, marked);
    let mut tags = stage.sandbox.ghl.tags(WANDA);
    tags.sort();
    stage.told_list("tags", &["call: interested", "follow-up needed", "interested", "outbound call"], &tags);
    for note in &notes {
        stage.state(&format!("note “{}”", head(note)));
    }
    stage.state(&format!("tags {}", tags.join(", ")));
    stage.close();
    Ok(end)
}

/// One delivery of the call with what is told of it.
async fn beat(
    stage: &mut Stage,
    event: &str,
    changes: Value,
    decision: &str,
    calls: &[&str],
    echoes: &[&str],
) -> anyhow::Result<Delivery> {
    let delivery = call(stage, event, CALL, WANDA_PHONE, changes);
    let answer = stage.deliver(&delivery).await?;
    stage.told_received(&answer);
    let seen = stage.settle().await?;
    stage.told_list(&format!("decision on {event}"), &[&format!("aloware_to_ghl {decision}")], &seen.decided);
    stage.told_list(&format!("vendor calls of {event}"), calls, &seen.calls);
    stage.told_list(&format!("echoes of {event}"), echoes, &seen.echoes);
    Ok(delivery)
}

/// Two deliveries at once, one contact.
pub(super) async fn of_a_stranger(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("A stranger calls; two deliveries arrive at once");
    stage.sandbox.aloware.add_contact(json!({"phone_number": SAM_PHONE, "first_name": "Sam", "last_name": "Stranger"}));
    for (event, changes) in [
        ("InboundPhoneCall-DispositionCompleted", json!({"direction": 1, "duration": 66})),
        ("Call-Disposed", json!({"direction": 1, "duration": 66, "call_disposition": "Callback"})),
    ] {
        let delivery = call(stage, event, STRANGERS_CALL, SAM_PHONE, changes);
        let answer = stage.deliver(&delivery).await?;
        stage.told_received(&answer);
    }
    let seen = stage.settle().await?;

    let sam = stage.sandbox.ghl.contact_by_phone(SAM_PHONE).context("GHL has no contact")?;
    let id = json::text(&sam, &["id"]).unwrap_or_default();
    let done = format!("aloware_to_ghl call success → {id}");
    stage.told_list("decisions", &[&done, &done], &seen.decided);
    let created = seen.calls.iter().filter(|call| *call == "GHL POST /contacts/upsert 200").count();
    stage.told("contacts created", 1, created);
    stage.told("contacts in GHL", 2, stage.sandbox.ghl.contacts().len());
    stage.told("contacts in Aloware", 2, stage.sandbox.aloware.contacts().len());
    stage.told("his name", Some("Sam Stranger".to_owned()), json::text(&sam, &["name"]));
    let notes = stage.sandbox.ghl.notes(&id);
    let note = format!("Call Received on {} (1m 6s)", stage.call_stamp());
    stage.told("his notes", vec![note.as_str()], notes.iter().map(|note| head(note)).collect());
    let mut tags = stage.sandbox.ghl.tags(&id);
    tags.sort();
    stage.told_list("his tags", &["call: callback", "inbound call"], &tags);
    stage.state(&format!("one contact {id} “Sam Stranger”, one note · tags {}", tags.join(", ")));
    stage.close();
    Ok(())
}

/// Aloware's do-not-call flag: tags in GHL, and no text either.
pub(super) async fn do_not_call(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("The stranger is put on do-not-call in Aloware");
    stage.sandbox.aloware.edit_contact(SAM_PHONE, json!({"is_dnc": true}));
    let contact = stage.sandbox.aloware.webhook_contact(SAM_PHONE).context("Aloware has no contact")?;
    let answer = stage.deliver(&aloware("Contact-DncUpdated", &masked(SAM_PHONE), contact)).await?;
    stage.told_received(&answer);
    let seen = stage.settle().await?;

    let sam = stage.sandbox.ghl.contact_by_phone(SAM_PHONE).context("GHL has no contact")?;
    let id = json::text(&sam, &["id"]).unwrap_or_default();
    stage.told_list("decision", &[&format!("aloware_to_ghl contact success → {id}: DNC status: opted_out")], &seen.decided);
    stage.told_list("vendor calls", &[TAGS], &seen.calls);
    stage.told_list("echoes", &[TAG_ECHO], &seen.echoes);
    let tags = stage.sandbox.ghl.tags(&id);
    stage.told("tagged", (true, true), (tags.contains(&"dnc".to_owned()), tags.contains(&"do not call".to_owned())));
    let phone = Phone::from_e164(SAM_PHONE).context("a phone")?;
    let consent = dev::consent(&stage.db.client().await?, &phone).await?;
    stage.told("registry", (Some("opted_out"), vec!["voice_dnc"]), (
        consent.status.as_deref(),
        consent.causes.iter().map(String::as_str).collect(),
    ));
    stage.state(&format!("registry {}: opted_out by voice_dnc · tags {}", masked(SAM_PHONE), tags.join(", ")));
    stage.close();
    Ok(())
}

/// A note's first line.
pub(super) fn head(note: &str) -> &str {
    note.lines().next().unwrap_or_default()
}
