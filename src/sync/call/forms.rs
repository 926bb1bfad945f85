//! The notes beside a call's own: recording, voicemail, transcript, summary.

use chrono_tz::Tz;

use crate::sync::notes::stamp;
use crate::wire::aloware::{Delivery, Kind};

/// How one kind of note is made.
pub(super) struct Form {
    /// The deliveries that bring it.
    pub(super) kind: Kind,
    /// Its name in the ledger and in its marker.
    pub(super) name: &'static str,
    title: &'static str,
    /// Where its deliveries keep the content.
    keys: &'static [&'static str],
    /// Where the other deliveries of the call may show it.
    elsewhere: &'static [&'static str],
    /// What stands before the content; links have one, prose has none.
    pub(super) label: Option<&'static str>,
    /// Why there is no note.
    pub(super) missing: &'static str,
}

const RECORDING: Form = Form {
    kind: Kind::Recording,
    name: "recording",
    title: "[RECORDING]",
    keys: &["direct_recording_url", "url", "recording_url", "audio_url"],
    elsewhere: &["direct_recording_url"],
    label: Some("Recording"),
    missing: "No recording URL in payload",
};

const VOICEMAIL: Form = Form {
    kind: Kind::Voicemail,
    name: "voicemail",
    title: "[VOICEMAIL]",
    keys: &[
        "direct_voicemail_url",
        "voicemail_url",
        "direct_recording_url",
        "url",
        "audio_url",
    ],
    elsewhere: &["direct_voicemail_url", "voicemail_url"],
    label: Some("Voicemail"),
    missing: "No voicemail URL in payload",
};

const TRANSCRIPTION: Form = Form {
    kind: Kind::Transcription,
    name: "transcription",
    title: "[TRANSCRIPTION]",
    keys: &["text", "transcript", "transcription", "transcription.text"],
    elsewhere: &[],
    label: None,
    missing: "No transcript text in payload",
};

const SUMMARY: Form = Form {
    kind: Kind::CallSummary,
    name: "summary",
    title: "[CALL SUMMARY]",
    keys: &["summary", "text", "content"],
    elsewhere: &["call_summary"],
    label: None,
    missing: "No summary text in payload",
};

/// All of them, in the order they are written.
pub(super) const FORMS: [Form; 4] = [RECORDING, VOICEMAIL, TRANSCRIPTION, SUMMARY];

/// The form of what a delivery of this kind brings.
pub(super) fn form(kind: Kind) -> Option<Form> {
    FORMS.into_iter().find(|form| form.kind == kind)
}

impl Form {
    /// The content as a delivery shows it.
    pub(super) fn read(&self, delivery: &Delivery<'_>) -> Option<String> {
        if delivery.kind == self.kind {
            delivery.text(self.keys)
        } else {
            delivery.told_text(self.elsewhere)
        }
    }

    /// The note of this content, without its marker.
    pub(super) fn note(&self, delivery: &Delivery<'_>, zone: Tz, call_id: &str, content: &str) -> String {
        let at = delivery.created_at();
        let at = at.map(|at| format!(" {}", stamp(at, zone))).unwrap_or_default();
        let title = self.title;
        match self.label {
            Some(label) => {
                let seconds = delivery.integer(&["duration"]).filter(|seconds| *seconds > 0);
                let length = seconds.map(|seconds| format!(" ({seconds}s)")).unwrap_or_default();
                format!("{title}{at}{length}\nCall ID: {call_id}\n{label}: {content}\n")
            }
            None => format!("{title}{at}\nCall ID: {call_id}\n\n{content}\n"),
        }
    }
}
