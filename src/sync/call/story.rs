//! One call, as all its deliveries together tell it. Pure. Each delivery is a
//! picture of the call when it was sent; what a later one does not show still
//! holds (vendors/aloware.md 3.7).

use chrono_tz::Tz;

use super::forms::{FORMS, Form};
use super::outcome;
use crate::domain::{AlowareContact, PhoneHint, TextDirection};
use crate::sync::notes::{marker, stamp};
use crate::wire::aloware::{Delivery, Kind};

/// Seconds by which two pictures of one call may differ (vendors/aloware.md 3.7).
const TOLERANCE: u64 = 10;

/// The ledger's names of all that a call may leave in GHL.
pub(super) fn steps(call_id: &str) -> Vec<String> {
    let names = FORMS.iter().map(|form| form.name);
    ["note", "tags", "entry"]
        .into_iter()
        .chain(names)
        .map(|name| step(call_id, name))
        .collect()
}

fn step(call_id: &str, name: &str) -> String {
    format!("aloware:call:{call_id}:{name}")
}

/// A note to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The deliveries that it is there for.
    pub(super) about: Kind,
    /// Its name in the ledger.
    pub(super) step: String,
    /// What it is found by.
    pub(super) marker: String,
    /// Its text, the marker included.
    pub(super) body: String,
}

/// The call.
pub(super) struct Story<'a> {
    call_id: &'a str,
    /// Of the times in its notes.
    zone: Tz,
    /// The oldest picture first.
    told: Vec<Delivery<'a>>,
}

impl<'a> Story<'a> {
    /// The story that these deliveries tell, given in the order of their arrival:
    /// that decides only between pictures of the same second.
    pub(super) fn of(call_id: &'a str, zone: Tz, mut told: Vec<Delivery<'a>>) -> Self {
        told.sort_by_key(|delivery| (delivery.as_of(), delivery.kind == Kind::CallEnded));
        Self { call_id, zone, told }
    }

    /// Aloware's id of it.
    pub(super) fn id(&self) -> &str {
        self.call_id
    }

    /// The ledger's name of what it leaves in GHL under this name.
    pub(super) fn step(&self, name: &str) -> String {
        step(self.call_id, name)
    }

    /// Puts the account's record of the call before all that the deliveries tell:
    /// it answers only what none of them does.
    pub(super) fn begin_with(&mut self, record: Delivery<'a>) {
        self.told.insert(0, record);
    }

    /// Whether the end of the call was told. Its start leaves no trace: the end knows more.
    pub(super) fn has_ended(&self) -> bool {
        self.newest(Kind::CallEnded).is_some()
    }

    /// The person, as far as any delivery shows.
    pub(super) fn person(&self, hint: &PhoneHint) -> AlowareContact {
        let mut person = AlowareContact::default();
        for delivery in self.told.iter().rev() {
            let shown = delivery.contact(hint);
            person.id = person.id.or(shown.id);
            person.phone = person.phone.or(shown.phone);
            let (known, shown) = (&mut person.fields, shown.fields);
            if known.first_name.is_none() && known.last_name.is_none() {
                (known.first_name, known.last_name) = (shown.first_name, shown.last_name);
            }
            known.email = known.email.take().or(shown.email);
        }
        person
    }

    /// The notes it leaves, the call's own first.
    pub(super) fn notes(&self, links: bool, agent: Option<&str>) -> Vec<Note> {
        let call = self
            .has_ended()
            .then(|| self.note(Kind::CallEnded, "note", "call", &self.text(agent)));
        let forms = FORMS.iter().filter(|form| links || form.label.is_none());
        let others = forms.filter_map(|form| {
            let (delivery, content) = (self.newest(form.kind)?, self.content(form)?);
            Some(self.note(
                form.kind,
                form.name,
                form.name,
                &form.note(delivery, self.zone, self.call_id, &content),
            ))
        });
        call.into_iter().chain(others).collect()
    }

    fn note(&self, about: Kind, name: &str, mark: &str, text: &str) -> Note {
        let marker = marker(mark, self.call_id);
        Note {
            about,
            step: step(self.call_id, name),
            body: format!("{text}\n{marker}"),
            marker,
        }
    }

    /// The content of a note that one of the deliveries is about.
    pub(super) fn content(&self, form: &Form) -> Option<String> {
        self.newest(form.kind)?;
        self.fact(form.kind, |delivery| form.read(delivery))
    }

    /// Every tag that any delivery ever gave reason for, and their name in the
    /// ledger. None is taken back: another call may have earned it, too.
    pub(super) fn tags(&self) -> (String, Vec<String>) {
        let mut tags = Vec::new();
        if self.has_ended() {
            tags.extend(
                self.told
                    .iter()
                    .filter_map(disposition)
                    .map(|label| format!("Call: {label}")),
            );
            tags.extend(self.direction().map(|direction| match direction {
                TextDirection::Inbound => "Inbound Call".to_owned(),
                TextDirection::Outbound => "Outbound Call".to_owned(),
            }));
        }
        for summary in self.told.iter().filter(|delivery| delivery.kind == Kind::CallSummary) {
            let text = summary.text(&["summary", "text", "content"]).unwrap_or_default();
            tags.extend(outcome::tags(&text, &summary.words(&["outcomes", "tags"])));
        }
        let mut distinct: Vec<String> = Vec::with_capacity(tags.len());
        for tag in tags {
            // GHL keeps them in lower case.
            if !distinct.iter().any(|known| known.to_lowercase() == tag.to_lowercase()) {
                distinct.push(tag);
            }
        }
        (step(self.call_id, "tags"), distinct)
    }

    fn newest(&self, kind: Kind) -> Option<&Delivery<'a>> {
        self.told.iter().rev().find(|delivery| delivery.kind == kind)
    }

    /// The newest thing said about something: by the deliveries that are about
    /// it, else by the others. Their pictures differ by seconds (a duration, a
    /// talk time) and would rewrite a note for nothing.
    pub(super) fn fact<T>(&self, about: Kind, read: impl Fn(&Delivery<'a>) -> Option<T>) -> Option<T> {
        let newest_first = |own: bool| {
            let told = self.told.iter().rev();
            told.filter(move |delivery| (delivery.kind == about) == own)
        };
        newest_first(true).chain(newest_first(false)).find_map(read)
    }

    /// Who of the account's users made or took it, by Aloware's id; zero is nobody.
    pub(super) fn agent(&self) -> Option<String> {
        self.fact(Kind::CallEnded, |delivery| {
            delivery.told_text(&["user_id"]).filter(|id| id != "0")
        })
    }

    pub(super) fn direction(&self) -> Option<TextDirection> {
        self.fact(Kind::CallEnded, Delivery::direction)
    }

    /// `Call Received on 2026-08-05 20:58 UTC (1m 6s)`, then a line per known fact.
    /// Neutral wording when the direction is unknown.
    fn text(&self, agent: Option<&str>) -> String {
        let mut head = match self.direction() {
            Some(TextDirection::Inbound) => "Call Received",
            Some(TextDirection::Outbound) => "Call Made",
            None => "Call",
        }
        .to_owned();
        if let Some(at) = self.fact(Kind::CallEnded, Delivery::created_at) {
            head.push_str(" on ");
            head.push_str(&stamp(at, self.zone));
        }
        if let Some(seconds) = self.seconds() {
            head.push_str(&format!(" ({}m {}s)", seconds / 60, seconds % 60));
        }
        let status = |delivery: &Delivery<'_>| match delivery.kind {
            Kind::CallStarted => None,
            _ => delivery.told_text(&["disposition_status", "status"]),
        };
        let facts = [
            ("Disposition", self.fact(Kind::CallEnded, disposition)),
            ("Status", self.fact(Kind::CallEnded, status)),
            (
                "Resolution",
                self.fact(Kind::CallEnded, |delivery| delivery.told_text(&["resolution"])),
            ),
            ("CSAT Score", self.number("csat_score").map(|score| score.to_string())),
            ("Agent", agent.map(str::to_owned)),
        ];
        let lines = facts
            .into_iter()
            .filter_map(|(label, value)| Some(format!("{label}: {}", value?)));
        std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
    }

    /// Two pictures of one call differ by seconds; a note is not rewritten for that.
    fn seconds(&self) -> Option<i64> {
        let newest = self.number("duration")?;
        let mut ended = self.told.iter().filter(|delivery| delivery.kind == Kind::CallEnded);
        let first = ended.find_map(|delivery| delivery.told_integer(&["duration"]).filter(|seconds| *seconds > 0));
        Some(
            first
                .filter(|first| newest.abs_diff(*first) <= TOLERANCE)
                .unwrap_or(newest),
        )
    }

    /// Zero is how Aloware writes "none".
    fn number(&self, key: &str) -> Option<i64> {
        self.fact(Kind::CallEnded, |delivery| {
            delivery.told_integer(&[key]).filter(|number| *number > 0)
        })
    }
}

fn disposition(delivery: &Delivery<'_>) -> Option<String> {
    delivery.told_text(&["call_disposition", "disposition"])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const END: &str = "OutboundPhoneCall-DispositionCompleted";

    fn story<'a>(told: &'a [(&str, Value)]) -> Story<'a> {
        Story::of(
            "1",
            chrono_tz::UTC,
            told.iter()
                .map(|(name, payload)| Delivery::read(name, payload))
                .collect(),
        )
    }

    #[test]
    fn a_note_tells_what_is_known_and_nothing_else() {
        let end = json!({"body": {"id": 1, "type": 1, "direction": 2, "duration": 66, "created_at": "2026-08-05 20:58:44",
            "call_disposition": "No Answer", "disposition_status": "completed", "csat_score": 0}});
        let told = [(END, end)];
        let story = story(&told);
        assert_eq!(
            story.text(Some("Ida Berg")),
            "Call Made on 2026-08-05 20:58 UTC (1m 6s)\nDisposition: No Answer\nStatus: completed\nAgent: Ida Berg"
        );
        assert_eq!(story.tags().1, ["Call: No Answer", "Outbound Call"]);
    }

    #[test]
    fn an_unknown_direction_is_not_called_made() {
        let told = [("Call-Disposed", json!({"body": {"id": 1, "type": 1}}))];
        let story = story(&told);
        assert_eq!(story.text(None), "Call");
        assert!(story.tags().1.is_empty());
    }

    #[test]
    fn what_a_later_picture_leaves_out_still_holds_and_an_earlier_one_takes_nothing_back() {
        let picture = |at: u32, facts: Value| {
            let mut body = json!({"id": 1, "type": 1, "updated_at": format!("2026-08-05 21:00:{at:02}")});
            body.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
            json!({"body": body})
        };
        let told = [
            (
                "Call-Disposed",
                picture(9, json!({"call_disposition": "Booked", "duration": 70})),
            ),
            (
                END,
                picture(
                    2,
                    json!({"direction": 1, "call_disposition": "No Answer", "duration": 66}),
                ),
            ),
            (
                "OutboundPhoneCall",
                picture(0, json!({"disposition_status": "in-progress", "duration": 0})),
            ),
        ];
        assert_eq!(story(&told).text(None), "Call Received (1m 6s)\nDisposition: Booked");
    }

    #[test]
    fn a_recording_without_a_link_takes_it_from_the_call() {
        let told = [
            ("Recording-Saved", json!({"body": {"id": 1}})),
            (
                "Call-Disposed",
                json!({"body": {"id": 1, "direct_recording_url": "https://rec.example/1"}}),
            ),
        ];
        let notes = story(&told).notes(true, None);
        let bodies: Vec<&str> = notes.iter().map(|note| note.body.as_str()).collect();
        let recording = "[RECORDING]\nCall ID: 1\nRecording: https://rec.example/1\n\n[df:recording:1]";
        assert_eq!(bodies, ["Call\n[df:call:1]", recording]);
        assert_eq!(story(&told).notes(false, None).len(), 1, "the link is not wanted");
        assert_eq!(story(&told[1..]).notes(true, None).len(), 1, "nobody said it was saved");
    }
}
