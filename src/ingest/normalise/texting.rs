//! The texting vendor's bodies.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Draft, Intake, Rules, bounded};
use crate::domain::{Phone, Source};
use crate::ingest::consent;
use crate::ingest::keys::{DedupeKey, Person, no_entity};
use crate::wire::json::canonical;
use crate::wire::texting::{Delivery, event_name};

/// Two texts without an id are the same one only within a minute.
const WINDOW: TimeDelta = TimeDelta::seconds(60);

pub(super) fn intake(payload: Value, at: DateTime<Utc>, rules: &Rules) -> Intake {
    if !payload.is_object() {
        return Intake::Ping;
    }
    let delivery = Delivery::read(&payload, &rules.hint);
    let name = event_name(&payload);
    let canonical = canonical(&payload);
    let dedupe = match &delivery.message_id {
        Some(id) => DedupeKey::by_id(&format!("texting:{name}"), id),
        None => {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            let words = [&delivery.from_raw, &delivery.to_raw, &delivery.body].map(part);
            let known = if words.iter().all(String::is_empty) {
                canonical.clone()
            } else {
                words.join("\n")
            };
            DedupeKey::by_content(&format!("texting:{name}"), &known, WINDOW, at)
        }
    };
    let phone = delivery.consumer(&rules.own).cloned();
    let draft = Draft {
        source: Source::Texting,
        entity_type: Delivery::entity(&name).as_str(),
        entity_id: delivery
            .message_id
            .clone()
            .or_else(|| delivery.conversation_id.clone())
            .unwrap_or_else(|| no_entity(&canonical)),
        dedupe,
        consent: consent::of_texting(&delivery, at),
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
    Intake::Events(vec![prepared])
}
