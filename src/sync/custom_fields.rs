//! What Aloware knows of a contact and GHL keeps in custom fields, by the field
//! ids of `ghl.custom_fields`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::CustomField;
use crate::domain::{AlowareContact, AlowareContactId, GhlContact};
use crate::wire::json::scalar;

/// The values to be written. Aloware's id is ours to keep right; where the
/// person came from is written into an empty field only, for people edit it.
pub(super) fn lacking(
    ids: &BTreeMap<CustomField, String>,
    ghl: &GhlContact,
    aloware_id: &AlowareContactId,
    aloware: Option<&AlowareContact>,
) -> BTreeMap<String, Value> {
    let fact = |field: CustomField| match field {
        CustomField::AlowareContactId => Some(aloware_id.as_str()),
        CustomField::LeadSource => aloware?.lead_source.as_deref(),
        CustomField::IntakeSource => aloware?.intake_source.as_deref(),
    };
    ids.iter()
        .filter_map(|(field, id)| {
            let value = fact(*field)?;
            let present = ghl.custom_fields.get(id);
            let wanted = match field {
                CustomField::AlowareContactId => present.and_then(scalar).as_deref() != Some(value),
                CustomField::LeadSource | CustomField::IntakeSource => present.is_none_or(is_blank),
            };
            wanted.then(|| (id.clone(), Value::from(value)))
        })
        .collect()
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(present: &[(&str, Value)]) -> Vec<(String, Value)> {
        let ids = [
            (CustomField::AlowareContactId, "f1"),
            (CustomField::LeadSource, "f2"),
            (CustomField::IntakeSource, "f3"),
        ];
        let ids = ids.map(|(field, id)| (field, id.to_owned())).into();
        let ghl = GhlContact {
            custom_fields: present
                .iter()
                .map(|(id, value)| ((*id).to_owned(), value.clone()))
                .collect(),
            ..GhlContact::default()
        };
        let aloware = AlowareContact {
            lead_source: Some("Fair".to_owned()),
            ..AlowareContact::default()
        };
        let id = AlowareContactId::new("77").unwrap();
        lacking(&ids, &ghl, &id, Some(&aloware)).into_iter().collect()
    }

    #[test]
    fn what_is_known_fills_empty_fields() {
        let both = [("f1".to_owned(), json!("77")), ("f2".to_owned(), json!("Fair"))];
        assert_eq!(written(&[]), both);
        assert_eq!(written(&[("f1", json!("")), ("f2", json!(" "))]), both);
    }

    #[test]
    fn a_person_s_lead_source_stays_and_a_wrong_id_is_set_right() {
        let present = [("f1", json!("76")), ("f2", json!("Referral"))];
        assert_eq!(written(&present), [("f1".to_owned(), json!("77"))]);
        assert_eq!(written(&[("f1", json!(77)), ("f2", json!("Fair"))]), []);
    }
}
