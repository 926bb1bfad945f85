//! Two keys: whose lane a delivery joins, and what makes it a repeat.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{AlowareContactId, GhlContactId, Phone, PhoneHint, Source};
use crate::wire;

/// Who a delivery is about, as far as its payload says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// The strongest key: the same in all three systems.
    pub phone: Option<Phone>,
    /// For GHL deliveries without a phone.
    pub ghl: Option<GhlContactId>,
    /// For Aloware deliveries without a phone.
    pub aloware: Option<AlowareContactId>,
}

impl Person {
    /// The lane: by phone where there is one, so that one person has one lane
    /// over all vendors; else by the vendor's id, else by the thing itself.
    pub fn order_key(&self, source: Source, entity_type: &str, entity_id: &str) -> i64 {
        if let Some(phone) = &self.phone {
            return phone_key(phone.as_str());
        }
        if let Some(id) = &self.ghl {
            return hash64(&format!("ghl:{id}"));
        }
        if let Some(id) = &self.aloware {
            return hash64(&format!("aloware:{id}"));
        }
        hash64(&format!("{source}:{entity_type}:{entity_id}"))
    }
}

/// The lane of an E.164 number.
pub(super) fn phone_key(e164: &str) -> i64 {
    hash64(&format!("phone:{e164}"))
}

/// The lane of a stored row, for rows typed by hand.
pub fn stored_order_key(hint: &PhoneHint, own: &[Phone]) -> impl Fn(&str, &str, &str, &Value) -> i64 + use<> {
    let (hint, own) = (hint.clone(), own.to_vec());
    move |source, entity_type, entity_id, payload| {
        let (source, person) = match Source::parse(source) {
            Some(Source::Aloware) => {
                let name = wire::aloware::event_name(payload).unwrap_or_default();
                let contact = wire::aloware::Delivery::read(&name, payload).contact(&hint);
                let (phone, aloware) = (contact.phone, contact.id);
                (
                    Source::Aloware,
                    Person {
                        phone,
                        aloware,
                        ghl: None,
                    },
                )
            }
            Some(Source::Texting) => {
                let phone = wire::texting::Delivery::read(payload, &hint).consumer(&own).cloned();
                (
                    Source::Texting,
                    Person {
                        phone,
                        ..Person::default()
                    },
                )
            }
            Some(Source::Ghl) | None => {
                let name = wire::ghl::event_name(payload).unwrap_or_default();
                let contact = wire::ghl::Delivery::read(&name, payload).contact(&hint);
                let (phone, ghl) = (contact.phone, contact.id);
                (
                    Source::Ghl,
                    Person {
                        phone,
                        ghl,
                        aloware: None,
                    },
                )
            }
        };
        person.order_key(source, entity_type, entity_id)
    }
}

fn hash64(text: &str) -> i64 {
    let digest = Sha256::digest(text.as_bytes());
    let mut head = [0u8; 8];
    for (to, from) in head.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    i64::from_be_bytes(head)
}

/// The pieces of one text have this id in common. Senders use their references
/// again: it names a text for a while only.
pub(super) fn of_pieces(delivery: &wire::texting::Delivery, part: &wire::texting::Part) -> String {
    let side = |raw: &Option<String>| raw.clone().unwrap_or_default();
    let known = [
        side(&delivery.from_raw),
        side(&delivery.to_raw),
        part.reference.clone(),
        part.total.to_string(),
    ];
    let digest = hex::encode(Sha256::digest(known.join("\n").as_bytes()));
    format!("pieces:{}", digest.get(..16).unwrap_or_default())
}

/// What makes a delivery the same delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DedupeKey {
    /// Unique in its table.
    pub(super) key: String,
    /// The key of the window before, and since when a row under it is a repeat.
    pub(super) earlier: Option<(String, DateTime<Utc>)>,
}

impl DedupeKey {
    /// By the vendor's own delivery or message id: for ever.
    pub(super) fn by_id(scope: &str, id: &str) -> Self {
        Self {
            key: format!("{scope}:id:{id}"),
            earlier: None,
        }
    }

    /// By content, within `window` of the arrival: the same bytes sent again
    /// are a repeat, the same fact told again days later is not.
    pub(super) fn by_content(scope: &str, canonical: &str, window: TimeDelta, now: DateTime<Utc>) -> Self {
        let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
        let slot = now.timestamp().div_euclid(window.num_seconds().max(1));
        let key = |slot: i64| format!("{scope}:sha256:{digest}:{slot}");
        Self {
            key: key(slot),
            earlier: Some((key(slot - 1), now - window)),
        }
    }
}

/// A visible id for a delivery that names none.
pub(super) fn no_entity(canonical: &str) -> String {
    let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
    format!("none:{}", digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_lane_whichever_vendor_speaks() {
        let key_of = stored_order_key(&PhoneHint::region("US"), &[]);
        let aloware = serde_json::json!({"event": "Call-Disposed", "body": {"id": 1, "lead_number": "+16195550111"}});
        let ghl = serde_json::json!({"type": "ContactUpdate", "id": "abc", "phone": "(619) 555-0111"});
        let texting = serde_json::json!({"type": "message.received", "message": {"id": "m", "from": "6195550111"}});
        let keys = [
            key_of("aloware", "call", "1", &aloware),
            key_of("ghl", "contact", "abc", &ghl),
            key_of("texting", "message", "m", &texting),
        ];
        assert_eq!(keys, [phone_key("+16195550111"); 3]);
    }

    #[test]
    fn the_same_content_is_a_repeat_across_the_edge_of_a_window() {
        let window = TimeDelta::hours(24);
        let late = DateTime::from_timestamp(86_400 * 10 - 1, 0).unwrap();
        let first = DedupeKey::by_content("aloware", "{}", window, late);
        let second = DedupeKey::by_content("aloware", "{}", window, late + TimeDelta::seconds(2));
        assert_ne!(first.key, second.key);
        let (earlier, since) = second.earlier.unwrap();
        assert_eq!(earlier, first.key);
        assert!(since < late);
    }
}
