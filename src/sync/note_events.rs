//! Recordings, voicemails, transcripts and summaries: one note each per call.

use super::call::stamp;
use super::person::{Someone, find_or_create};
use super::{Desk, Flowed, Ledger, notes};
use crate::domain::{Flow, LogEntry};
use crate::wire::aloware::{Delivery, Kind};

/// How one kind of note is made.
struct Form {
    title: &'static str,
    kind: &'static str,
    keys: &'static [&'static str],
    /// What stands before the content; links have one, prose has none.
    label: Option<&'static str>,
    missing: &'static str,
}

const fn form(kind: Kind) -> Option<Form> {
    Some(match kind {
        Kind::Recording => Form {
            title: "[RECORDING]",
            kind: "recording",
            keys: &["direct_recording_url", "url", "recording_url", "audio_url"],
            label: Some("Recording"),
            missing: "No recording URL in payload",
        },
        Kind::Voicemail => Form {
            title: "[VOICEMAIL]",
            kind: "voicemail",
            keys: &[
                "direct_voicemail_url",
                "direct_recording_url",
                "url",
                "voicemail_url",
                "audio_url",
            ],
            label: Some("Voicemail"),
            missing: "No voicemail URL in payload",
        },
        Kind::Transcription => Form {
            title: "[TRANSCRIPTION]",
            kind: "transcription",
            keys: &["text", "transcript", "transcription", "transcription.text"],
            label: None,
            missing: "No transcript text in payload",
        },
        Kind::CallSummary => Form {
            title: "[CALL SUMMARY]",
            kind: "summary",
            keys: &["summary", "text", "content"],
            label: None,
            missing: "No summary text in payload",
        },
        _ => return None,
    })
}

/// Brings the note of such a delivery onto the person's GHL contact.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, entity_id: &str) -> Flowed {
    let entity = delivery.kind.entity();
    let skipped = |reason: &str| Ok(vec![LogEntry::skipped(Flow::AlowareToGhl, entity, entity_id, reason)]);
    let Some(form) = form(delivery.kind) else {
        return skipped("not a note event");
    };
    let Some(call_id) = delivery.communication_id() else {
        return skipped("No call_id found in payload");
    };
    let Some(content) = delivery.text(form.keys) else {
        return skipped(form.missing);
    };
    if form.label.is_some() && !desk.rules.recording_links {
        return skipped("recording_links_omitted");
    }
    let someone = Someone {
        aloware: delivery.contact(&desk.rules.hint),
    };
    let Some(contact) = find_or_create(desk, ledger, &someone, "aloware_to_ghl").await? else {
        return skipped("No contact mapping found");
    };
    let marker = notes::marker(form.kind, &call_id);
    let body = note_text(&form, delivery, &call_id, &content, &marker);
    let step = format!("aloware:call:{call_id}:{}", form.kind);
    let note = notes::Note {
        step: &step,
        marker: &marker,
        body: &body,
    };
    let tags = match delivery.kind {
        Kind::CallSummary => summary_tags(&content, &delivery.words(&["outcomes", "tags"])),
        _ => Vec::new(),
    };
    notes::put_with_tags(desk, ledger, &contact, note, (&format!("{step}:tags"), &tags)).await?;
    Ok(vec![LogEntry::success(
        Flow::AlowareToGhl,
        entity,
        entity_id,
        contact.as_str(),
    )])
}

fn note_text(form: &Form, delivery: &Delivery<'_>, call_id: &str, content: &str, marker: &str) -> String {
    let at = delivery
        .created_at()
        .map(|at| format!(" {}", stamp(at)))
        .unwrap_or_default();
    let title = form.title;
    match form.label {
        Some(label) => {
            let seconds = delivery.integer(&["duration"]).filter(|seconds| *seconds > 0);
            let length = seconds.map(|seconds| format!(" ({seconds}s)")).unwrap_or_default();
            format!("{title}{at}{length}\nCall ID: {call_id}\n{label}: {content}\n\n{marker}")
        }
        None => format!("{title}{at}\nCall ID: {call_id}\n\n{content}\n\n{marker}"),
    }
}

/// Outcome tags: `Summary: …` for each named outcome, else at most one reading
/// of the text, negatives first, whole words only.
fn summary_tags(text: &str, outcomes: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = outcomes.iter().map(|outcome| format!("Summary: {outcome}")).collect();
    let words = format!(
        " {} ",
        text.to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    );
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(&format!(" {phrase} ")));
    if says(&[
        "not interested",
        "declined",
        "uninterested",
        "no interest",
        "isn t interested",
        "wasn t interested",
    ]) {
        tags.push("Not Interested".to_owned());
    } else if says(&["interested", "wants", "want"])
        && !says(&[
            "unwanted",
            "doesn t want",
            "does not want",
            "did not want",
            "didn t want",
        ])
    {
        tags.push("Interested".to_owned());
    }
    if says(&["follow up", "followup", "callback", "call back"]) {
        tags.push("Follow-up Needed".to_owned());
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_interest() {
        assert_eq!(summary_tags("The lead is not interested.", &[]), ["Not Interested"]);
        assert_eq!(
            summary_tags("She was interested; agreed a callback.", &[]),
            ["Interested", "Follow-up Needed"]
        );
        assert_eq!(summary_tags("An unwanted call.", &[]), Vec::<String>::new());
        assert_eq!(summary_tags("He doesn't want it.", &[]), Vec::<String>::new());
        assert_eq!(summary_tags("", &["Booked".to_owned()]), ["Summary: Booked"]);
    }
}
