//! Aloware's bodies. No delivery id exists, so a repeat is the same content
//! within a day (vendors/aloware.md 3.3: at most once, never redelivered).

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Draft, Intake, Prepared, Rules};
use crate::domain::Source;
use crate::ingest::consent;
use crate::ingest::keys::{DedupeKey, Person, no_entity};
use crate::wire::aloware::{Delivery, event_name};
use crate::wire::json::canonical;

const WINDOW: TimeDelta = TimeDelta::hours(24);

pub(super) fn intake(payload: Value, at: DateTime<Utc>, rules: &Rules) -> Intake {
    // A forwarder may batch; Aloware itself sends single objects.
    if let Value::Array(items) = payload {
        let named: Vec<(String, &Value)> = items
            .iter()
            .filter_map(|item| Some((event_name(item)?, item)))
            .collect();
        let events: Vec<Prepared> = named
            .iter()
            .filter(|(name, _)| allowed(name, &rules.allowed))
            .map(|(name, item)| prepare(name, item, at, rules))
            .collect();
        return match (named.is_empty(), events.is_empty()) {
            (true, _) => Intake::Ping,
            (false, true) => Intake::NotAllowed,
            (false, false) => Intake::Events(events),
        };
    }
    let Some(name) = event_name(&payload) else {
        return Intake::Ping;
    };
    if !allowed(&name, &rules.allowed) {
        return Intake::NotAllowed;
    }
    Intake::Events(vec![prepare(&name, &payload, at, rules)])
}

fn prepare(name: &str, payload: &Value, at: DateTime<Utc>, rules: &Rules) -> Prepared {
    let delivery = Delivery::read(name, payload);
    let contact = delivery.contact(&rules.hint);
    let canonical = canonical(payload);
    Draft {
        source: Source::Aloware,
        event_type: name.to_owned(),
        entity_type: delivery.kind.entity().as_str(),
        entity_id: delivery
            .communication_id()
            .or_else(|| delivery.contact_id().map(|id| id.to_string()))
            .unwrap_or_else(|| no_entity(&canonical)),
        dedupe: DedupeKey::by_content("aloware", &canonical, WINDOW, at),
        consent: consent::of_aloware(&delivery, &contact, payload, &rules.own, at),
        person: Person {
            phone: contact.phone.filter(|phone| !rules.own.contains(phone)),
            aloware: contact.id,
            ghl: None,
        },
        payload: canonical,
        received_at: at,
    }
    .prepare()
}

/// A name is let in when it is listed, or when it belongs to a family
/// (`OutboundPhoneCall-…`) of which any member is listed.
fn allowed(name: &str, list: &[String]) -> bool {
    let family = |prefix: &str| name.starts_with(prefix) && list.iter().any(|item| item.starts_with(prefix));
    list.is_empty()
        || list.iter().any(|item| item == name)
        || family("OutboundPhoneCall-")
        || family("InboundPhoneCall-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::PhoneHint;

    #[test]
    fn a_batch_is_a_ping_when_nothing_in_it_is_named_and_ignored_when_nothing_is_allowed() {
        let rules = Rules {
            hint: PhoneHint::region("US"),
            own: Vec::new(),
            allowed: vec!["Recording-Saved".to_owned()],
            location: String::new(),
            vendor: crate::domain::TextingVendor::Generic,
        };
        let of = |payload: Value| intake(payload, DateTime::UNIX_EPOCH, &rules);
        let (wanted, unwanted) = (json!({"event": "Recording-Saved"}), json!({"event": "Call-Disposed"}));
        assert!(matches!(of(json!([])), Intake::Ping));
        assert!(matches!(of(json!([{"test": true}, 7])), Intake::Ping));
        assert!(matches!(of(json!([unwanted, unwanted])), Intake::NotAllowed));
        assert!(matches!(of(json!([unwanted, {"test": true}])), Intake::NotAllowed));
        assert!(matches!(of(json!([unwanted, wanted, wanted])), Intake::Events(events) if events.len() == 2));
    }

    #[test]
    fn a_family_member_lets_in_its_family() {
        let list = vec![
            "OutboundPhoneCall-DispositionCompleted".to_owned(),
            "Recording-Saved".to_owned(),
        ];
        assert!(allowed("OutboundPhoneCall-DispositionFailed", &list));
        assert!(allowed("Recording-Saved", &list));
        assert!(!allowed("InboundPhoneCall-DispositionCompleted", &list));
        assert!(!allowed("OutboundPhoneCall", &list));
        assert!(allowed("anything", &[]));
    }
}
