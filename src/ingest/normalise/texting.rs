//! The texting vendor's bodies.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Draft, Intake, Prepared, Rules, bounded};
use crate::domain::{Phone, Source};
use crate::ingest::consent;
use crate::ingest::keys::{DedupeKey, Person, no_entity, of_pieces};
use crate::wire::json::canonical;
use crate::wire::texting::{Delivery, Request, event_name, request};

/// Two texts without an id are the same one only within a minute.
const WINDOW: TimeDelta = TimeDelta::seconds(60);
/// Why a text is set aside of which nobody knows who wrote it.
const UNDECIDED: &str = "direction unknown: neither side is one of our numbers";

/// The events of a request, and whether its body is stored as it was sent.
pub(super) fn intake(payload: Value, at: DateTime<Utc>, rules: &Rules) -> (Intake, bool) {
    match request(rules.vendor, payload, &rules.own) {
        Request::Nothing => (Intake::Ping, false),
        Request::AsSent(event) => (Intake::Events(vec![prepare(&event, at, rules)]), true),
        Request::Events(events) => {
            let prepared = events.iter().map(|event| prepare(event, at, rules));
            (Intake::Events(prepared.collect()), false)
        }
    }
}

fn prepare(event: &Value, at: DateTime<Utc>, rules: &Rules) -> Prepared {
    let delivery = Delivery::read(event, &rules.hint);
    let name = event_name(event);
    let canonical = canonical(event);
    let pieces = delivery.part.as_ref().map(|part| of_pieces(&delivery, part));
    let phone = delivery.consumer(&rules.own).cloned();
    let draft = Draft {
        source: Source::Texting,
        entity_type: Delivery::entity(&name).as_str(),
        // The pieces of one text are one thing.
        entity_id: pieces
            .clone()
            .or_else(|| delivery.message_id.clone())
            .or_else(|| delivery.conversation_id.clone())
            .unwrap_or_else(|| no_entity(&canonical)),
        dedupe: dedupe(&delivery, &name, &canonical, at),
        consent: consent::of_texting(&delivery, &rules.own, at),
        person: Person {
            phone,
            ..Person::default()
        },
        event_type: name,
        payload: canonical,
        received_at: at,
    };
    let mut prepared = draft.prepare();
    let number = |phone: &Option<Phone>, raw: &Option<String>| {
        phone.as_ref().map(|p| p.as_str().to_owned()).or_else(|| raw.clone())
    };
    prepared.row.conversation_id = delivery.conversation_id.clone().map(bounded);
    prepared.row.from_number = number(&delivery.from, &delivery.from_raw).map(bounded);
    prepared.row.to_number = number(&delivery.to, &delivery.to_raw).map(bounded);
    prepared.is_piece = pieces.is_some();
    if delivery.is_undecided(&rules.own) {
        prepared.row.quarantine = Some(UNDECIDED);
        prepared.row.consent = consent::of_undecided(&delivery, &rules.own, at);
    }
    prepared
}

/// By the vendor's own ids, never by the conversation's: texts would vanish.
fn dedupe(delivery: &Delivery, name: &str, canonical: &str, at: DateTime<Utc>) -> DedupeKey {
    let scope = format!("texting:{name}");
    if let Some(id) = delivery.key.as_ref().or(delivery.message_id.as_ref()) {
        return DedupeKey::by_id(&scope, id);
    }
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let words = [&delivery.from_raw, &delivery.to_raw, &delivery.body].map(part);
    let known = if words.iter().all(String::is_empty) {
        canonical.to_owned()
    } else {
        words.join("\n")
    };
    DedupeKey::by_content(&scope, &known, WINDOW, at)
}
