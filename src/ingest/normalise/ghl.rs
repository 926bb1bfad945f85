//! GHL's bodies: app events carry a delivery id, workflow bodies carry nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Draft, Intake, Rules};
use crate::domain::Source;
use crate::ingest::consent;
use crate::ingest::keys::{DedupeKey, Person, no_entity};
use crate::wire::ghl::{Delivery, Kind, event_name};
use crate::wire::json::canonical;

/// Without a delivery id the same bytes may be a new fact soon (a tag set, taken
/// away and set again), so only a short window counts as a repeat.
const WINDOW: TimeDelta = TimeDelta::seconds(60);

pub(super) fn intake(payload: Value, at: DateTime<Utc>, rules: &Rules) -> Intake {
    let Some(name) = event_name(&payload) else {
        return Intake::Ping;
    };
    let delivery = Delivery::read(&name, &payload);
    let canonical = canonical(&payload);
    let contact = delivery.contact(&rules.hint);
    let phone = match delivery.message_text() {
        Some(_) => delivery.consumer(&rules.hint),
        None => contact.phone.clone(),
    };
    let draft = Draft {
        source: Source::Ghl,
        entity_type: delivery.kind.entity().as_str(),
        entity_id: delivery.entity_id().unwrap_or_else(|| no_entity(&canonical)),
        dedupe: dedupe(&delivery, &canonical, at),
        consent: if delivery.is_foreign(&rules.location) {
            Vec::new()
        } else {
            consent::of_ghl(&delivery, contact, &rules.hint, &rules.own, at)
        },
        person: Person {
            phone: phone.filter(|phone| !rules.own.contains(phone)),
            ghl: delivery.contact_id(),
            aloware: None,
        },
        event_type: name.clone(),
        payload: canonical,
        received_at: at,
    };
    Intake::Events(vec![draft.prepare()])
}

/// A provider delivery is one message, however often it is delivered.
fn dedupe(delivery: &Delivery<'_>, canonical: &str, at: DateTime<Utc>) -> DedupeKey {
    let message = delivery
        .message_id()
        .filter(|_| delivery.kind == Kind::ProviderOutbound);
    match (message, delivery.delivery_id()) {
        (Some(id), _) => DedupeKey::by_id("ghl:provider", &id),
        (None, Some(id)) => DedupeKey::by_id("ghl", &id),
        (None, None) => DedupeKey::by_content("ghl", canonical, WINDOW, at),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::PhoneHint;

    /// Whether a delivery that arrives so many seconds after another repeats it.
    fn repeats(first: &Value, second: &Value, seconds: i64) -> bool {
        let rules = Rules {
            hint: PhoneHint::region("US"),
            own: Vec::new(),
            allowed: Vec::new(),
            location: String::new(),
            vendor: crate::domain::TextingVendor::Generic,
        };
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let row = |payload: &Value, at| match intake(payload.clone(), at, &rules) {
            Intake::Events(mut events) => events.remove(0).row,
            other => panic!("{other:?}"),
        };
        let (known, new) = (row(first, at), row(second, at + TimeDelta::seconds(seconds)));
        let earlier = new
            .earlier
            .is_some_and(|(key, since)| key == known.dedupe_key && at > since);
        new.dedupe_key == known.dedupe_key || earlier
    }

    #[test]
    fn a_delivery_id_makes_a_repeat_for_ever_and_no_content_does() {
        let sent = json!({"type": "ContactTagUpdate", "id": "c1", "webhookId": "d1", "tags": ["a"]});
        let changed = json!({"type": "ContactTagUpdate", "id": "c1", "webhookId": "d1", "tags": ["b"], "attempt": 2});
        let anew = json!({"type": "ContactTagUpdate", "id": "c1", "webhookId": "d2", "tags": ["a"]});
        assert!(repeats(&sent, &changed, 70 * 60));
        assert!(repeats(&sent, &changed, 90 * 86_400));
        assert!(!repeats(&sent, &anew, 1));
    }

    #[test]
    fn without_a_delivery_id_the_same_content_is_a_repeat_for_a_minute_in_any_order_of_its_keys() {
        let sent = json!({"contact_id": "c1", "tags": "a", "workflow": {"id": "w1", "name": "n"}});
        let reordered: Value =
            serde_json::from_str(r#"{"workflow": {"name": "n", "id": "w1"}, "tags": "a", "contact_id": "c1"}"#)
                .unwrap();
        assert!(repeats(&sent, &reordered, 59));
        assert!(!repeats(&sent, &sent, 61));
        let other = json!({"contact_id": "c1", "tags": "b", "workflow": {"id": "w1", "name": "n"}});
        assert!(!repeats(&sent, &other, 1));
    }
}
