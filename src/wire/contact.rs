//! A contact as GHL or Aloware writes it, read into the domain's contact.
//!
//! Missing keys stay `None`: what a body does not say must not overwrite what
//! is known (vendors/aloware.md 3.4).

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{array, at, flag, object, scalar, text, time};
use crate::domain::{AlowareContact, AlowareContactId, Dnd, GhlContact, GhlContactId, PersonFields, Phone, PhoneHint};

/// Reads a GHL contact from a REST answer (`{contact}`, `{data}` or bare,
/// camelCase), from an event webhook (flat camelCase), or from a workflow
/// webhook (flat snake_case, comma-separated `tags`; vendors/ghl.md 2, 5.3, 5.6).
pub fn ghl_contact(body: &Value, hint: &PhoneHint) -> GhlContact {
    let body = unwrap(body, "contact_id");
    let (first_name, last_name) = names(
        body,
        &["firstName", "first_name"],
        &["lastName", "last_name"],
        &["name", "full_name", "contactName"],
    );
    let (phone, phone_text) = phone(body, &["phone"], hint);
    GhlContact {
        // A workflow body may carry an opportunity's `id`: `contact_id` goes first.
        id: text(body, &["contact_id", "id", "contactId"]).and_then(|id| GhlContactId::new(&id)),
        fields: PersonFields {
            first_name,
            last_name,
            email: text(body, &["email"]),
            phone: phone_text,
            timezone: text(body, &["timezone"]),
            country: text(body, &["country"]),
            state: text(body, &["state"]),
            city: text(body, &["city"]),
        },
        phone,
        tags: tags(body),
        dnd: dnd(body),
        custom_fields: custom_fields(body),
        updated_at: time(body, &["dateUpdated", "date_updated"]),
    }
}

/// Reads an Aloware contact from the lookup (bare) or from a webhook's
/// `body.contact`. City, state and country are read as `cnam_*` and written
/// plain (vendors/aloware.md 2.1), so both spellings are accepted.
pub fn aloware_contact(body: &Value, hint: &PhoneHint) -> AlowareContact {
    let body = unwrap(body, "phone_number");
    let (first_name, last_name) = names(body, &["first_name"], &["last_name"], &["name"]);
    let (phone, phone_text) = phone(body, &["phone_number", "phone"], hint);
    AlowareContact {
        id: text(body, &["id", "contact_id"]).and_then(|id| AlowareContactId::new(&id)),
        fields: PersonFields {
            first_name,
            last_name,
            email: text(body, &["email"]),
            phone: phone_text,
            timezone: text(body, &["timezone"]),
            country: text(body, &["cnam_country", "country"]),
            state: text(body, &["cnam_state", "state"]),
            city: text(body, &["cnam_city", "city"]),
        },
        phone,
        is_dnc: flag(body, &["is_dnc"]),
        is_opted_out: flag(body, &["is_opted_out"]),
        lead_source: text(body, &["lead_source"]),
        intake_source: text(body, &["intake_source"]),
        disposition: text(
            body,
            &[
                "disposition_status",
                "disposition_status.name",
                "disposition",
                "disposition.name",
            ],
        ),
    }
}

/// Steps into `{contact: …}` or `{data: …}` unless the body itself is the
/// contact, which `own_key` gives away. The nested `contact` of a workflow
/// webhook holds only attribution.
fn unwrap<'v>(body: &'v Value, own_key: &str) -> &'v Value {
    if at(body, own_key).is_some() {
        return body;
    }
    ["contact", "data"]
        .iter()
        .filter_map(|key| at(body, key))
        .find(|inner| at(inner, "id").is_some())
        .unwrap_or(body)
}

/// Given and family name. A body with only a full name has it split at the
/// first blank; a "name" without letters (a caller's number) is none.
fn names(body: &Value, first: &[&str], last: &[&str], full: &[&str]) -> (Option<String>, Option<String>) {
    let given = text(body, first);
    let family = text(body, last);
    if given.is_some() || family.is_some() {
        return (given, family);
    }
    let Some(name) = text(body, full).filter(|name| name.chars().any(char::is_alphabetic)) else {
        return (None, None);
    };
    match name.split_once(char::is_whitespace) {
        Some((head, tail)) => (Some(head.to_owned()), Some(tail.trim().to_owned())),
        None => (Some(name), None),
    }
}

/// The parsed number and its text: E.164 where it parses, else as written.
fn phone(body: &Value, keys: &[&str], hint: &PhoneHint) -> (Option<Phone>, Option<String>) {
    let Some(written) = text(body, keys) else {
        return (None, None);
    };
    let parsed = Phone::parse(&written, hint);
    let shown = parsed.as_ref().map_or(written, |phone| phone.as_str().to_owned());
    (parsed, Some(shown))
}

/// The full tag set, trimmed and lower-cased as GHL compares them: an array of
/// texts or of objects with a `name`, or a comma-separated string in workflow
/// webhooks. One entry that cannot be read makes the set unknown: what is not
/// in a set is taken off every Aloware list.
fn tags(body: &Value) -> Option<Vec<String>> {
    let raw: Vec<String> = match ["tags", "body.tags", "data.tags"]
        .iter()
        .find_map(|key| at(body, key))?
    {
        Value::Array(items) => items.iter().map(tag).collect::<Option<_>>()?,
        Value::String(list) => list.split(',').map(str::to_owned).collect(),
        _ => return None,
    };
    Some(
        raw.iter()
            .map(|tag| tag.trim().to_lowercase())
            .filter(|tag| !tag.is_empty())
            .collect(),
    )
}

fn tag(entry: &Value) -> Option<String> {
    scalar(entry).or_else(|| text(entry, &["name"]))
}

/// Do-not-disturb, when the body says anything about it.
fn dnd(body: &Value) -> Option<Dnd> {
    let all = flag(body, &["dnd"]);
    let settings = object(body, &["dndSettings", "dnd_settings"]);
    if all.is_none() && settings.is_none() {
        return None;
    }
    let channels = settings
        .into_iter()
        .flatten()
        .filter_map(|(channel, setting)| {
            let status = text(setting, &["status"]).or_else(|| scalar(setting))?;
            Some((channel.clone(), status.to_lowercase()))
        })
        .collect();
    let message = |name: &str| {
        let mut channels = settings.into_iter().flatten();
        let (_, setting) = channels.find(|(channel, _)| channel.eq_ignore_ascii_case(name))?;
        text(setting, &["message"])
    };
    Some(Dnd {
        all,
        channels,
        text_message: message("sms"),
        call_message: message("call"),
    })
}

/// `customFields` by id. Read as `{id, value}`, written as `{id, field_value}`
/// (vendors/ghl.md 2); an echo of a write may carry the latter.
fn custom_fields(body: &Value) -> BTreeMap<String, Value> {
    array(body, &["customFields", "custom_fields"])
        .unwrap_or_default()
        .iter()
        .filter_map(|field| {
            let value = ["value", "field_value", "fieldValue"]
                .iter()
                .find_map(|key| at(field, key))?;
            Some((text(field, &["id"])?, value.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn us() -> PhoneHint {
        PhoneHint::region("US")
    }

    #[test]
    fn a_rest_contact_is_read_bare_and_wrapped() {
        let bare = json!({
            "id": "nmFmQEsNgz6AVpgLVUJ0", "firstName": "Ada", "lastName": "Example",
            "email": "ada@example.com", "phone": "+1 619-555-0111", "timezone": "America/Chicago",
            "city": "Austin", "state": "TX", "country": "US", "tags": ["Hot Lead "],
            "dnd": false, "dndSettings": {"sms": {"status": "Active"}, "Call": {"status": "inactive"}},
            "customFields": [{"id": "cf1", "value": "x"}, {"id": "cf2", "value": ["a"]}, {"id": "cf3"}],
            "dateUpdated": "2026-08-04T14:53:09.703Z"
        });
        let contact = ghl_contact(&bare, &us());
        assert_eq!(contact, ghl_contact(&json!({"contact": bare, "traceId": "t"}), &us()));
        assert_eq!(
            contact.id.as_ref().map(GhlContactId::as_str),
            Some("nmFmQEsNgz6AVpgLVUJ0")
        );
        assert_eq!(contact.fields.phone.as_deref(), Some("+16195550111"));
        assert_eq!(contact.fields.timezone.as_deref(), Some("America/Chicago"));
        assert_eq!(contact.tags, Some(vec!["hot lead".to_owned()]));
        assert!(contact.dnd.as_ref().is_some_and(Dnd::blocks_texts));
        assert_eq!(contact.custom_fields.keys().collect::<Vec<_>>(), ["cf1", "cf2"]);
        assert!(contact.updated_at.is_some());
    }

    #[test]
    fn a_workflow_body_is_read_from_its_root_not_from_its_attribution() {
        let body = json!({
            "contact_id": "nmFm", "id": "an-opportunity", "first_name": "Ada", "last_name": "Example",
            "phone": "+15551234567", "tags": "hot lead,Call Me", "full_address": "",
            "contact": {"attributionSource": {"medium": "manual"}}, "timezone": "America/Denver"
        });
        let contact = ghl_contact(&body, &us());
        assert_eq!(contact.id.as_ref().map(GhlContactId::as_str), Some("nmFm"));
        assert_eq!(contact.tags, Some(vec!["hot lead".to_owned(), "call me".to_owned()]));
        assert_eq!(contact.fields.first_name.as_deref(), Some("Ada"));
        assert_eq!(contact.dnd, None);
    }

    #[test]
    fn a_tag_set_is_read_in_every_shape_and_is_unknown_when_an_entry_is() {
        let both = Some(vec!["hot lead".to_owned(), "7".to_owned()]);
        for (body, wanted) in [
            (json!({"tags": ["Hot Lead", 7]}), both.clone()),
            (
                json!({"tags": [{"name": " Hot Lead"}, {"id": "t2", "name": 7}]}),
                both.clone(),
            ),
            (json!({"body": {"tags": [{"name": "Hot Lead"}, "7"]}}), both.clone()),
            (json!({"data": {"tags": ["Hot Lead", "7"]}}), both),
            (json!({"tags": []}), Some(vec![])),
            (json!({"tags": ""}), Some(vec![])),
            (json!({"tags": ["Hot Lead", {"id": "t2"}]}), None),
            (json!({"tags": ["Hot Lead", null]}), None),
            (json!({"tags": [" "]}), None),
            (json!({"tags": [["Hot Lead"]]}), None),
            (json!({"tags": {"name": "Hot Lead"}}), None),
            (json!({"tags": null}), None),
            (json!({"name": "Hot Lead"}), None),
        ] {
            assert_eq!(ghl_contact(&body, &us()).tags, wanted, "{body}");
        }
    }

    #[test]
    fn what_a_body_does_not_say_stays_unknown() {
        let contact = ghl_contact(&json!({"id": "x"}), &us());
        assert_eq!((contact.tags, contact.dnd), (None, None));
        assert_eq!(contact.fields, PersonFields::default());
    }

    #[test]
    fn an_aloware_contact_has_a_numeric_id_and_cnam_places() {
        let body = json!({
            "id": 155_000_001, "name": "Jane Example", "first_name": "Jane", "last_name": "Example",
            "phone_number": "6195550111", "cnam_city": "Austin", "cnam_state": "TX", "cnam_country": "US",
            "is_dnc": false, "is_opted_out": 1, "intake_source": "gohighlevel", "disposition_status_id": 4
        });
        let contact = aloware_contact(&body, &us());
        assert_eq!(contact.id.as_ref().map(AlowareContactId::as_str), Some("155000001"));
        assert_eq!(contact.phone.as_ref().map(Phone::as_str), Some("+16195550111"));
        assert_eq!(contact.fields.city.as_deref(), Some("Austin"));
        assert_eq!((contact.is_dnc, contact.is_opted_out), (Some(false), Some(true)));
        assert_eq!(contact.disposition, None);
        let plain = aloware_contact(&json!({"id": "7", "city": "Reno", "phone_number": "junk"}), &us());
        assert_eq!(plain.fields.city.as_deref(), Some("Reno"));
        assert_eq!((plain.phone, plain.fields.phone.as_deref()), (None, Some("junk")));
    }

    #[test]
    fn a_full_name_is_split_only_when_it_is_all_there_is() {
        let only_name = aloware_contact(&json!({"name": "Jane van Example"}), &us());
        assert_eq!(only_name.fields.first_name.as_deref(), Some("Jane"));
        assert_eq!(only_name.fields.last_name.as_deref(), Some("van Example"));
        let number = aloware_contact(&json!({"name": "+1 619 555 0111"}), &us());
        assert_eq!(number.fields.first_name, None);
    }
}
