//! What stays readable, and that nothing of a person does.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{REDACTED, redact, redact_text};

#[test]
fn what_an_operator_needs_stays_readable() {
    let payload = json!({
        "type": "ContactUpdate", "webhookId": "0198c0de-0000-7000-8000-000000000001", "locationId": "ve9EPM428h8vShlRW1KT",
        "id": 940_868_616, "contactId": "nmFmQEsNgz6AVpgLVUJ0", "dateAdded": "2026-08-05T20:58:44.000Z", "timestamp": 1_785_963_524,
        "tags": ["hot lead", "DNC"], "dnd": false, "timezone": "America/Los_Angeles", "disposition_status": "No Answer",
        "direction": 1, "duration": 35, "event": "OutboundPhoneCall-DispositionCompleted", "errorCode": "30007",
        "created_at": "2026-08-05 20:58:44", "dndSettings": {"SMS": {"status": "active"}},
    });
    assert_eq!(redact(&payload), payload);
}

#[test]
fn people_and_secrets_are_hidden_at_every_depth() {
    let payload = json!({
        "body": {"contact": {"first_name": "Ada", "fullNameLowerCase": "ada", "email": "ada@example.org", "phone_number": 16_195_550_111_u64,
            "address1": "1 Main St", "postal_code": "92101", "date_of_birth": "1990-01-01", "city": "San Diego"}},
        "message": {"id": "m1", "from": "+16195550111", "to": "(858) 555-0123", "body": "call me"},
        "recording": "https://app.example.org/r/abc", "recording_url": "https://x", "notes": "likes tea", "summary": "wants it",
        "customFields": [{"id": "f1", "value": "Ada"}, {"id": "f2", "fieldValue": 42}], "customData": {"my answer": "x", "age": 44},
        "How can we help?": "my roof", "api_token": "alo-1", "status": "reach me at 619-555-0111", "source": "ada@example.org",
        "contacts": {"+16195550111": true}, "authorization": "Bearer x", "externalId": "+1 619 555 0111",
    });
    let text = redact(&payload).to_string();
    for hidden in [
        "Ada",
        "ada",
        "example.org",
        "619",
        "555",
        "858",
        "Main",
        "92101",
        "1990",
        "San Diego",
        "call me",
        "https",
        "tea",
        "wants",
        "42",
        "44",
        "roof",
        "alo-1",
        "Bearer",
    ] {
        assert!(!text.contains(hidden), "{hidden} survived: {text}");
    }
    for shown in ["\"id\":\"m1\"", "\"id\":\"f1\"", "How can we help?"] {
        assert!(text.contains(shown), "{shown} is gone: {text}");
    }
}

#[test]
fn our_own_columns_show_ids_and_hide_numbers() {
    for shown in [
        "9408686161",
        "nmFmQEsNgz6AVpgLVUJ0",
        "message.received",
        "0198c0de-0000-7000-8000-000000000001",
        "ghl 422: invalid_field",
    ] {
        assert_eq!(redact_text(shown), shown);
    }
    for hidden in [
        "+16195550111",
        "619-555-0111",
        "ada@example.org",
        "failed for (619) 555 0111",
    ] {
        assert_eq!(redact_text(hidden), REDACTED, "{hidden}");
    }
}

/// Every text of a value, keys included.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, into)),
        Value::Object(map) => map.iter().for_each(|(key, item)| {
            into.push(key.clone());
            leaves(item, into);
        }),
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

const KEYS: &[&str] = &[
    "id",
    "contactId",
    "contact_id",
    "type",
    "status",
    "tags",
    "timestamp",
    "dateAdded",
    "created_at",
    "phone",
    "email",
    "to",
    "from",
    "body",
    "message",
    "note",
    "value",
    "code",
    "source",
    "name",
    "customFields",
    "event",
    "direction",
    "x",
    "Your number?",
];

fn written_phone() -> impl Strategy<Value = String> {
    let digits = ("[2-9][0-9]{2}", "[2-9][0-9]{2}", "[0-9]{4}");
    (digits, 0..6).prop_map(|((area, office, line), style)| match style {
        0 => format!("+1{area}{office}{line}"),
        1 => format!("({area}) {office}-{line}"),
        2 => format!("{area}-{office}-{line}"),
        3 => format!("{area}.{office}.{line}"),
        4 => format!("+1 {area} {office} {line}"),
        _ => format!("tel:+1-{area}-{office}-{line}"),
    })
}

fn email() -> impl Strategy<Value = String> {
    "[a-z]{2,8}[.+]?[a-z]{1,5}@[a-z]{2,8}\\.(com|org)"
}

fn tree(secret: String) -> impl Strategy<Value = Value> {
    let (plain, within) = (secret.clone(), secret);
    let leaf = prop_oneof![
        Just(json!(plain)),
        "[a-z ]{0,12}".prop_map(move |around| json!(format!("{around}{within} {around}"))),
        Just(json!("active")),
        Just(json!(35)),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..4).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_phone_and_no_email_survives(
        (secret, payload) in prop_oneof![written_phone(), email()].prop_flat_map(|secret| (Just(secret.clone()), tree(secret)))
    ) {
        let mut shown = Vec::new();
        leaves(&redact(&payload), &mut shown);
        for text in shown {
            prop_assert!(!text.contains(&secret), "{secret} in {text}");
        }
    }

    #[test]
    fn no_bare_number_survives_outside_of_ids(area in "[2-9][0-9]{2}", rest in "[2-9][0-9]{6}", key in prop::sample::select(KEYS)) {
        prop_assume!(!key.to_lowercase().ends_with("id"));
        let digits = format!("1{area}{rest}");
        let number: u64 = digits.parse().unwrap();
        let payload = json!({key: digits, "deep": {key: [number]}});
        let shown = redact(&payload).to_string();
        prop_assert!(!shown.contains(&digits), "{digits} in {shown}");
    }
}
