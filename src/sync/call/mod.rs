//! Calls: every delivery about a call brings the person's GHL contact to what
//! all of them together tell. What is in place already costs no vendor call, so
//! neither the number of the deliveries matters nor their order.

mod entry;
mod forms;
mod outcome;
mod story;

use serde_json::Value;

use self::forms::form;
use self::story::{Note, Story};
use super::person::{asked_for_unless_mapped, find_or_create, is_mapped};
use super::{Desk, Flowed, Ledger, aloware_failed, notes, tags};
use crate::domain::{AlowareContact, Entity, Event, Failure, Flow, GhlContactId, LogEntry, Source};
use crate::store::effects::{self, Confirmed};
use crate::store::siblings::{self, Sibling};
use crate::wire::aloware::{Delivery, Kind};

/// Under which the deliveries of a call are stored.
const ENTITIES: [&str; 5] = [
    Entity::Call.as_str(),
    Entity::Recording.as_str(),
    Entity::Voicemail.as_str(),
    Entity::Transcription.as_str(),
    Entity::CallSummary.as_str(),
];

/// Brings what is known of a call onto the person's GHL contact.
pub async fn aloware_to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, delivery: &Delivery<'_>, event: &Event) -> Flowed {
    let (entity, id) = (delivery.kind.entity(), &event.entity_id);
    let skipped = |reason: &str| LogEntry::skipped(Flow::AlowareToGhl, entity, id, reason);
    let Some(call_id) = delivery.communication_id() else {
        let what = entity.as_str().replace('_', " ");
        return Err(Failure::permanent(format!("No call_id found in {what} payload")));
    };
    let (others, in_place) = remembered(desk, ledger, &call_id, event).await?;
    let others: Vec<(&Sibling, Delivery<'_>)> = others
        .iter()
        .map(|other| (other, Delivery::read(&other.event_type, &other.payload)))
        .filter(|(_, other)| is_of_call(other.kind))
        .collect();
    let mut told: Vec<(i64, Delivery<'_>)> = others.iter().map(|(other, told)| (other.seq, *told)).collect();
    told.push((event.seq, *delivery));
    told.sort_by_key(|(seq, _)| *seq);
    let mut story = Story::of(
        &call_id,
        desk.rules.zone,
        told.into_iter().map(|(_, told)| told).collect(),
    );
    let record = record_of(desk, &story, &call_id).await?;
    let record = record.as_ref().map(Delivery::of_record);
    if let Some(record) = record.filter(|record| is_of_call(record.kind)) {
        story.begin_with(record);
    }

    let silent = leaves_nothing(delivery.kind, &story, desk.rules.recording_links);
    let agent = match story.agent() {
        Some(id) => desk.agents.name(&desk.db, &id).await?,
        None => None,
    };
    let due = Due::of(&story, agent.as_deref(), desk.rules.recording_links, &in_place);
    if let Some(reason) = silent
        && due.is_nothing()
    {
        return Ok(vec![skipped(reason)]);
    }
    let names = |told: &Delivery<'_>| names_somebody(&told.contact(&desk.rules.hint));
    if !names(delivery)
        && others.iter().any(|(other, told)| other.open && names(told))
        && !is_mapped(desk, &delivery.contact(&desk.rules.hint)).await?
    {
        // In another lane, which will bring this content along. (An id that is
        // mapped brought this delivery into the same lane.)
        return Err(Failure::transient("another delivery of this call is still to run"));
    }
    let someone = asked_for_unless_mapped(desk, story.person(&desk.rules.hint)).await?;
    if someone.phone().is_some_and(|phone| desk.rules.own.contains(phone)) {
        return Ok(vec![skipped("own_number")]);
    }
    let Some(contact) = find_or_create(desk, ledger, &someone, "aloware_to_ghl").await? else {
        return if someone.aloware.id.is_some() || form(delivery.kind).is_some() {
            Err(Failure::transient("whose call it is, is not known yet"))
        } else {
            Ok(vec![skipped("No phone number or email to find the contact by")])
        };
    };
    due.write(desk, ledger, &contact, delivery.kind).await?;
    let refused = entry::put(desk, ledger, &contact, &story, &in_place).await?;
    let row = match silent {
        Some(reason) => skipped(reason).with_target(contact.as_str()),
        None => LogEntry::success(Flow::AlowareToGhl, entity, id, contact.as_str()),
    };
    Ok(std::iter::once(row).chain(refused).collect())
}

/// What the call's other deliveries told, and what of it is in GHL.
async fn remembered(
    desk: &Desk,
    ledger: &Ledger<'_>,
    call_id: &str,
    event: &Event,
) -> Result<(Vec<Sibling>, Vec<Confirmed>), Failure> {
    let steps = story::steps(call_id);
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let client = desk.db.client().await?;
    let (others, done) = tokio::try_join!(
        siblings::of_thing(&client, Source::Aloware.as_str(), &ENTITIES, call_id, event.id),
        effects::done(&client, &steps),
    )?;
    Ok((others, ledger.in_place(done)))
}

/// The account's own record of a call that no delivery gives a person to find. Only
/// an account that serves calls by id is asked (`aloware.call_surface`).
async fn record_of(desk: &Desk, story: &Story<'_>, call_id: &str) -> Result<Option<Value>, Failure> {
    let person = story.person(&desk.rules.hint);
    if person.phone.is_some() || person.fields.email.is_some() || is_mapped(desk, &person).await? {
        return Ok(None);
    }
    desk.vendors.aloware.call(call_id).await.map_err(aloware_failed)
}

fn is_of_call(kind: Kind) -> bool {
    matches!(kind, Kind::CallStarted | Kind::CallEnded) || form(kind).is_some()
}

/// Whether GHL could be asked for the person.
fn names_somebody(contact: &AlowareContact) -> bool {
    contact.phone.is_some() || contact.fields.email.is_some()
}

/// Why a delivery of this kind, by itself, leaves no trace; `None` when it does.
fn leaves_nothing(kind: Kind, story: &Story<'_>, links: bool) -> Option<&'static str> {
    match form(kind) {
        None if kind == Kind::CallStarted && !story.has_ended() => Some("call_not_ended_yet"),
        None => None,
        Some(form) if story.content(&form).is_none() => Some(form.missing),
        Some(form) if form.label.is_some() && !links => Some("recording_links_omitted"),
        Some(_) => None,
    }
}

/// What the story tells and GHL does not have yet.
struct Due {
    notes: Vec<Note>,
    tags: Option<(String, Vec<String>)>,
}

impl Due {
    fn of(story: &Story<'_>, agent: Option<&str>, links: bool, in_place: &[Confirmed]) -> Self {
        let is_there = |step: &str, print: &str| {
            let newest = in_place.iter().find(|done| done.step == step);
            newest.is_some_and(|done| done.fingerprint.as_deref() == Some(print))
        };
        let mut notes = story.notes(links, agent);
        notes.retain(|note| !is_there(&note.step, &notes::fingerprint(&note.body)));
        let (step, tags) = story.tags();
        let lacking = !tags.is_empty() && !is_there(&step, &tags::print(&tags));
        Self {
            notes,
            tags: lacking.then_some((step, tags)),
        }
    }

    fn is_nothing(&self) -> bool {
        self.notes.is_empty() && self.tags.is_none()
    }

    /// Writes the notes, then the tags. What GHL refuses for good fails the
    /// delivery that is about it, and not the call's other deliveries.
    async fn write(
        &self,
        desk: &Desk,
        ledger: &mut Ledger<'_>,
        contact: &GhlContactId,
        kind: Kind,
    ) -> Result<(), Failure> {
        let subject = if kind == Kind::CallStarted {
            Kind::CallEnded
        } else {
            kind
        };
        let of_notes = self.notes.iter().map(|note| (note.step.as_str(), Vec::new()));
        let of_tags = self.tags.iter();
        let of_tags = of_tags.map(|(step, tags)| (step.as_str(), tags::echoes(contact, tags)));
        let announced = ledger
            .announce_all(&of_notes.chain(of_tags).collect::<Vec<_>>())
            .await?;
        let mut announced = announced.into_iter();
        for (note, announced) in self.notes.iter().zip(announced.by_ref()) {
            let text = notes::Note {
                step: &note.step,
                marker: &note.marker,
                body: &note.body,
            };
            match notes::put_announced(desk, ledger, contact, text, announced).await {
                Err(Failure::Permanent { .. }) if note.about != subject => {}
                written => drop(written?),
            }
        }
        let (Some((_, tags)), Some(announced)) = (&self.tags, announced.next()) else {
            return Ok(());
        };
        match tags::put_announced(desk, ledger, contact, tags, announced).await {
            Err(Failure::Permanent { .. }) if !matches!(subject, Kind::CallEnded | Kind::CallSummary) => Ok(()),
            written => written,
        }
    }
}
