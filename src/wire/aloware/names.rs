//! Aloware's event names, in every spelling on record.
//!
//! The wire mixes three styles (`OutboundPhoneCall-DispositionCompleted`,
//! `Recording-Saved`, `transcription.call.summarized`), and forwarders use the
//! form's tick-box names (`Contact DNC Updated`), so names are compared without
//! case and separators. For communications the code in `body.type` is more
//! trustworthy than the name (vendors/aloware.md 3.5).

use serde_json::Value;

use crate::domain::Entity;
use crate::wire::json;

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call began.
    CallStarted,
    /// A call ended, or its disposition was restated.
    CallEnded,
    /// A recording is ready.
    Recording,
    /// A voicemail is ready.
    Voicemail,
    /// A transcript is ready.
    Transcription,
    /// A call was summarised.
    CallSummary,
    /// A text message.
    Text,
    /// Another communication.
    Communication {
        /// Its start, else its end.
        initiated: bool,
    },
    /// An appointment.
    Appointment,
    /// A contact was created or updated.
    ContactChanged,
    /// A contact's own disposition was set.
    ContactDisposed,
    /// A contact's do-not-call flag changed.
    ContactDnc,
    /// A name that is on no record.
    Unknown,
}

impl Kind {
    /// The `entity_type` of the kind.
    pub const fn entity(self) -> Entity {
        match self {
            Self::CallStarted | Self::CallEnded => Entity::Call,
            Self::Recording => Entity::Recording,
            Self::Voicemail => Entity::Voicemail,
            Self::Transcription => Entity::Transcription,
            Self::CallSummary => Entity::CallSummary,
            Self::Text => Entity::Message,
            Self::Communication { .. } => Entity::Communication,
            Self::Appointment => Entity::Appointment,
            Self::ContactChanged | Self::ContactDisposed | Self::ContactDnc => Entity::Contact,
            Self::Unknown => Entity::Unknown,
        }
    }
}

/// The event name: `event`, `type`, `eventType` at the top, else `data.event`.
/// `None` is Aloware's "Save and Test" ping.
pub fn event_name(payload: &Value) -> Option<String> {
    json::name(payload, &["event", "type", "eventType"]).or_else(|| json::text(payload, &["data.event"]))
}

/// The form's twelve boxes, which the wire spells with hyphens, dots or blanks,
/// and the wire's names that have no box. `Inbound…` and `Outbound…` follow a
/// grammar of their own.
const NAMES: [(&str, Kind); 14] = [
    ("contactcreated", Kind::ContactChanged),
    ("contactupdated", Kind::ContactChanged),
    ("contactdisposed", Kind::ContactDisposed),
    ("contactdncupdated", Kind::ContactDnc),
    ("communicationinitiated", Kind::Communication { initiated: true }),
    ("communicationdisposed", Kind::Communication { initiated: false }),
    ("appointmentsaved", Kind::Appointment),
    ("calldisposed", Kind::CallEnded),
    ("voicemailsaved", Kind::Voicemail),
    ("recordingsaved", Kind::Recording),
    ("transcriptionsaved", Kind::Transcription),
    ("callsummarized", Kind::CallSummary),
    ("transcriptioncallsummarized", Kind::CallSummary),
    ("transcriptionopensearchsaved", Kind::Transcription),
];

/// What `current_status` and `disposition_status` say of a call that is not over
/// (vendors/aloware.md 3.6), and the code of the latter.
const RUNNING: [&str; 10] = [
    "initiated",
    "ringing",
    "greeting",
    "queued",
    "ringall",
    "transferring",
    "whispering",
    "inprogress",
    "parked",
    "started",
];
const IN_PROGRESS: i64 = 1;

/// Whether a call says of itself that it is not over.
pub(super) fn still_runs(call: &Value) -> bool {
    let status = json::text(call, &["disposition_status", "status", "current_status"]).map(|status| plain(&status));
    status.is_some_and(|status| RUNNING.contains(&status.as_str()))
        || json::integer(call, &["disposition_status2"]) == Some(IN_PROGRESS)
}

/// `type` codes of a communication (vendors/aloware.md 3.6).
const CALL: i64 = 1;
const TEXT: i64 = 2;
const CONFERENCE: i64 = 3;
const APPOINTMENT: i64 = 12;

/// What a delivery of this name and communication code is about.
pub(super) fn classify(name: &str, code: Option<i64>) -> Kind {
    let name = plain(name);
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    let kind = known
        .or_else(|| by_grammar(&name))
        .unwrap_or_else(|| by_likeness(&name));
    match (kind, code) {
        (Kind::Unknown, Some(TEXT)) => Kind::Text,
        (
            Kind::CallStarted | Kind::CallEnded | Kind::Text | Kind::Communication { .. } | Kind::Appointment,
            Some(code),
        ) => of_code(code, name.contains("dispos")),
        _ => kind,
    }
}

/// Without case and separators.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn of_code(code: i64, disposed: bool) -> Kind {
    match code {
        CALL | CONFERENCE => call(disposed),
        TEXT => Kind::Text,
        APPOINTMENT => Kind::Appointment,
        _ => Kind::Communication { initiated: !disposed },
    }
}

const fn call(ended: bool) -> Kind {
    if ended { Kind::CallEnded } else { Kind::CallStarted }
}

/// `Inbound` or `Outbound`, what it is, and `Disposition` with a status once it is over.
fn by_grammar(name: &str) -> Option<Kind> {
    let rest = name.strip_prefix("inbound").or_else(|| name.strip_prefix("outbound"))?;
    let (what, disposed) = match rest.split_once("disposition") {
        Some((what, _)) => (what, true),
        None => (rest, false),
    };
    Some(match what {
        "" => return None,
        "phonecall" => call(disposed),
        "sms" | "mms" => Kind::Text,
        "appointment" => Kind::Appointment,
        _ => Kind::Communication { initiated: !disposed },
    })
}

/// A name on no record that resembles one that is.
fn by_likeness(name: &str) -> Kind {
    let has = |part: &str| name.contains(part);
    let likely = [
        ("dnc", Kind::ContactDnc),
        ("donotcall", Kind::ContactDnc),
        (
            "contact",
            if has("disposed") {
                Kind::ContactDisposed
            } else {
                Kind::ContactChanged
            },
        ),
        ("summar", Kind::CallSummary),
        ("transcription", Kind::Transcription),
        ("voicemail", Kind::Voicemail),
        ("recording", Kind::Recording),
        ("appointment", Kind::Appointment),
        ("sms", Kind::Text),
        ("call", call(has("dispos"))),
        (
            "communication",
            Kind::Communication {
                initiated: has("initiated"),
            },
        ),
    ];
    let likely = likely.into_iter().find(|(part, _)| match *part {
        "contact" => name.starts_with("contact"),
        part => has(part),
    });
    likely.map_or(Kind::Unknown, |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ON_RECORD: &[(&str, Kind)] = &[
        ("OutboundPhoneCall|InboundPhoneCall", Kind::CallStarted),
        (
            "OutboundPhoneCall-DispositionCompleted|OutboundPhoneCall-DispositionVoicemail",
            Kind::CallEnded,
        ),
        (
            "InboundPhoneCall-DispositionMissed|InboundPhoneCall-DispositionAbandoned",
            Kind::CallEnded,
        ),
        ("Call-Disposed|call.disposed|Call disposed", Kind::CallEnded),
        ("Recording-Saved|recording.saved|Recording saved", Kind::Recording),
        ("Voicemail-Saved|voicemail.saved|Voicemail saved", Kind::Voicemail),
        (
            "Transcription-Saved|transcription.saved|Transcription saved|transcription.open_search.saved",
            Kind::Transcription,
        ),
        (
            "transcription.call.summarized|Call summarized|Call-Summarized|call.summarized",
            Kind::CallSummary,
        ),
        (
            "InboundSMS-DispositionCompleted|OutboundSMS-DispositionInvalid|InboundMMS",
            Kind::Text,
        ),
        (
            "OutboundAppointment|Appointment-Saved|appointment.saved|Appointment saved",
            Kind::Appointment,
        ),
        (
            "Contact-DncUpdated|contact.dnc.updated|Contact DNC Updated|Contact Do Not Call Updated",
            Kind::ContactDnc,
        ),
        (
            "Contact-Disposed|contact.disposed|Contact disposed",
            Kind::ContactDisposed,
        ),
        (
            "Contact-Created|contact.created|Contact updated|Contact-Updated",
            Kind::ContactChanged,
        ),
        (
            "Communication initiated|communication.initiated",
            Kind::Communication { initiated: true },
        ),
        (
            "Communication-Disposed|OutboundFax-DispositionCompleted",
            Kind::Communication { initiated: false },
        ),
        ("Gizmo-Polished||Outbound", Kind::Unknown),
    ];

    #[test]
    fn every_name_on_record_finds_its_kind_in_every_spelling() {
        for (names, kind) in ON_RECORD {
            for name in names.split('|') {
                assert_eq!(classify(name, None), *kind, "{name}");
            }
        }
    }

    #[test]
    fn the_type_code_outranks_the_name_of_a_communication() {
        assert_eq!(classify("OutboundSMS-DispositionCompleted", Some(1)), Kind::CallEnded);
        assert_eq!(classify("Communication disposed", Some(2)), Kind::Text);
        assert_eq!(classify("communication.initiated", Some(1)), Kind::CallStarted);
        assert_eq!(
            classify("OutboundPhoneCall-DispositionCompleted", Some(4)),
            Kind::Communication { initiated: false },
            "a dropped voicemail is no call"
        );
    }

    #[test]
    fn what_was_saved_about_a_call_is_not_the_call() {
        for name in [
            "Recording-Saved",
            "Voicemail-Saved",
            "Transcription-Saved",
            "Contact-Disposed",
        ] {
            assert_eq!(classify(name, Some(1)), classify(name, None), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_stays_unknown_unless_it_carries_a_text() {
        assert_eq!(classify("Gizmo-Polished", Some(1)), Kind::Unknown);
        assert_eq!(classify("Gizmo-Polished", Some(2)), Kind::Text, "it may say STOP");
    }

    #[test]
    fn the_event_is_named_by_the_first_key_that_names_one() {
        for (body, name) in [
            (json!({"event": "A", "type": "B", "eventType": "C"}), Some("A")),
            (json!({"event": " ", "type": " B "}), Some("B")),
            (json!({"event": null, "type": 7, "eventType": "C"}), Some("C")),
            (json!({"event": "", "data": {"event": "D"}}), Some("D")),
            (json!({"data": {"event": 7}}), Some("7")),
            (json!({"event": "", "type": ""}), None),
            (json!({"data": {"type": "B"}}), None),
            (json!(["A"]), None),
        ] {
            assert_eq!(event_name(&body).as_deref(), name, "{body}");
        }
    }
}
