//! The field rules. First contact: the seed's rules. Afterwards three-way
//! against the fields as last synchronised, so that a correction made in one
//! system is not undone by an older, longer value in the other.

use serde::Serialize;
use serde_json::Value;

use crate::domain::PersonFields;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// GHL's values as they are.
    Ghl,
    /// Aloware's values as they are.
    Aloware,
    /// Field by field.
    Merge,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Winner {
    /// GHL.
    Ghl,
    /// Aloware.
    Aloware,
}

/// Why a field has the value it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// Whose value it is.
    pub source: Winner,
    /// Why.
    pub reason: &'static str,
}

/// A merged person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// The values both systems should have.
    pub fields: PersonFields,
    /// One entry per field that has a value.
    pub decisions: Vec<Decision>,
}

impl Merge {
    /// Takes the e-mail's decision back: GHL keeps the address it has.
    pub fn leave_email(&mut self, present: Option<String>) {
        self.fields.email = present;
        self.decisions.retain(|decision| decision.field != "email");
    }

    /// The decisions as `sync_log.decisions` holds them.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.decisions).unwrap_or(Value::Null)
    }
}

type Pick = fn(&PersonFields) -> &Option<String>;
type PickMut = fn(&mut PersonFields) -> &mut Option<String>;

/// A field's name and how to reach it.
struct Field {
    name: &'static str,
    get: Pick,
    get_mut: PickMut,
}

macro_rules! field {
    ($name:ident) => {
        Field {
            name: stringify!($name),
            get: |p| &p.$name,
            get_mut: |p| &mut p.$name,
        }
    };
}

const FIELDS: [Field; 8] = [
    field!(first_name),
    field!(last_name),
    field!(email),
    field!(phone),
    field!(timezone),
    field!(country),
    field!(state),
    field!(city),
];

/// Merges what both systems hold. `base` is the state as last synchronised.
pub fn merge(mode: Mode, base: Option<&PersonFields>, ghl: &PersonFields, aloware: &PersonFields) -> Merge {
    let names = name_rule(ghl, aloware);
    let mut merged = Merge::default();
    for field in &FIELDS {
        let (ours, theirs) = (value((field.get)(ghl)), value((field.get)(aloware)));
        let before = base.and_then(|base| value((field.get)(base)));
        let choice = match mode {
            Mode::Ghl => prefer(ours, theirs, Winner::Ghl, "source of truth is ghl"),
            Mode::Aloware => prefer(ours, theirs, Winner::Aloware, "source of truth is aloware"),
            Mode::Merge => three_way(field.name, base.is_some(), before, ours, theirs)
                .or_else(|| first_contact(field.name, ours, theirs, names)),
        };
        if let Some((winner, reason)) = choice {
            let picked = match winner {
                Winner::Ghl => ours,
                Winner::Aloware => theirs,
            };
            if let Some(text) = picked {
                *(field.get_mut)(&mut merged.fields) = Some(text.to_owned());
                merged.decisions.push(Decision {
                    field: field.name,
                    value: text.to_owned(),
                    source: winner,
                    reason,
                });
            }
        }
    }
    merged
}

/// The fields of `wanted` that `present` lacks or has otherwise; the rest `None`.
pub fn differing(wanted: &PersonFields, present: &PersonFields) -> PersonFields {
    let mut changes = PersonFields::default();
    for field in &FIELDS {
        let target = value((field.get)(wanted));
        if target.is_some() && !same(field.name, target, value((field.get)(present))) {
            *(field.get_mut)(&mut changes) = target.map(str::to_owned);
        }
    }
    changes
}

fn value(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn same(field: &str, a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) if field == "email" => a.to_lowercase() == b.to_lowercase(),
        _ => a == b,
    }
}

fn prefer(
    ghl: Option<&str>,
    aloware: Option<&str>,
    winner: Winner,
    reason: &'static str,
) -> Option<(Winner, &'static str)> {
    match (ghl, aloware) {
        (Some(_), Some(_)) => Some((winner, reason)),
        (Some(_), None) => Some((Winner::Ghl, "only source")),
        (None, Some(_)) => Some((Winner::Aloware, "only source")),
        (None, None) => None,
    }
}

/// The side that changed since the base wins; when none or both did, the
/// first-contact rules decide.
fn three_way(
    field: &str,
    has_base: bool,
    base: Option<&str>,
    ghl: Option<&str>,
    aloware: Option<&str>,
) -> Option<(Winner, &'static str)> {
    if !has_base || ghl.is_none() || aloware.is_none() {
        return None;
    }
    match (same(field, ghl, base), same(field, aloware, base)) {
        (false, true) => Some((Winner::Ghl, "changed in ghl")),
        (true, false) => Some((Winner::Aloware, "changed in aloware")),
        (false, false) if !same(field, ghl, aloware) => Some((Winner::Ghl, "changed in both - prefer GHL")),
        _ => None,
    }
}

fn first_contact(
    field: &str,
    ghl: Option<&str>,
    aloware: Option<&str>,
    names: (Winner, &'static str),
) -> Option<(Winner, &'static str)> {
    let (Some(ours), Some(theirs)) = (ghl, aloware) else {
        return prefer(ghl, aloware, Winner::Ghl, "only source");
    };
    Some(match field {
        "first_name" | "last_name" => names,
        "email" if same(field, ghl, aloware) => (Winner::Ghl, "match"),
        "email" => (Winner::Ghl, "conflict - prefer GHL"),
        "phone" => match (is_e164(ours), is_e164(theirs)) {
            (true, false) => (Winner::Ghl, "E.164 valid"),
            (false, true) => (Winner::Aloware, "E.164 valid"),
            _ => (Winner::Ghl, "first available"),
        },
        _ => (Winner::Ghl, "prefer GHL"),
    })
}

/// The longer full name wins; GHL on a tie.
fn name_rule(ghl: &PersonFields, aloware: &PersonFields) -> (Winner, &'static str) {
    let length = |p: &PersonFields| {
        let (first, last) = (value(&p.first_name).unwrap_or(""), value(&p.last_name).unwrap_or(""));
        format!("{first} {last}").trim().chars().count()
    };
    if length(ghl) >= length(aloware) {
        (Winner::Ghl, "longer")
    } else {
        (Winner::Aloware, "longer")
    }
}

/// `^\+[1-9]\d{1,14}$`
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(first: &str, last: &str, email: &str, phone: &str) -> PersonFields {
        let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        PersonFields {
            first_name: text(first),
            last_name: text(last),
            email: text(email),
            phone: text(phone),
            ..PersonFields::default()
        }
    }

    fn reason<'m>(merge: &'m Merge, field: &str) -> &'m str {
        merge
            .decisions
            .iter()
            .find(|d| d.field == field)
            .map_or("", |d| d.reason)
    }

    #[test]
    fn at_first_contact_the_longer_name_and_the_valid_phone_win() {
        let ghl = person("Jo", "Lee", "Jo@x.test", "619-555-0111");
        let aloware = person("Joanna", "Lee", "jo@X.test", "+16195550111");
        let merged = merge(Mode::Merge, None, &ghl, &aloware);
        assert_eq!(merged.fields, person("Joanna", "Lee", "Jo@x.test", "+16195550111"));
        assert_eq!(reason(&merged, "first_name"), "longer");
        assert_eq!(reason(&merged, "email"), "match");
        assert_eq!(reason(&merged, "phone"), "E.164 valid");
    }

    #[test]
    fn a_name_shortened_in_ghl_stays_short() {
        let before = person("Joanna", "Lee", "", "");
        let merged = merge(Mode::Merge, Some(&before), &person("Jo", "Lee", "", ""), &before);
        assert_eq!(merged.fields.first_name.as_deref(), Some("Jo"));
        assert_eq!(reason(&merged, "first_name"), "changed in ghl");
    }

    #[test]
    fn a_name_corrected_in_aloware_is_taken_over() {
        let before = person("Joanna", "Lee", "", "");
        let merged = merge(Mode::Merge, Some(&before), &before, &person("Ann", "Lee", "", ""));
        assert_eq!(merged.fields.first_name.as_deref(), Some("Ann"));
    }

    #[test]
    fn the_mode_decides_alone_when_it_names_one_system() {
        let (ghl, aloware) = (
            person("Jo", "", "a@x.test", ""),
            person("Joanna", "Lee", "b@x.test", ""),
        );
        assert_eq!(
            merge(Mode::Ghl, None, &ghl, &aloware).fields,
            person("Jo", "Lee", "a@x.test", "")
        );
        assert_eq!(merge(Mode::Aloware, None, &ghl, &aloware).fields, aloware);
    }

    fn any_person() -> impl Strategy<Value = PersonFields> {
        ("[a-c]{0,2}", "[a-c]{0,2}", "[a-bA-B]{0,2}", "(\\+1[0-9]{3})?")
            .prop_map(|(first, last, email, phone)| person(&first, &last, &email, &phone))
    }

    proptest! {
        #[test]
        fn a_merge_of_its_own_result_changes_nothing(ghl in any_person(), aloware in any_person(), base in proptest::option::of(any_person())) {
            let once = merge(Mode::Merge, base.as_ref(), &ghl, &aloware).fields;
            let again = merge(Mode::Merge, Some(&once), &once, &once);
            prop_assert_eq!(&again.fields, &once);
            prop_assert_eq!(differing(&again.fields, &once), PersonFields::default());
        }

        #[test]
        fn no_value_is_invented_and_none_is_lost(ghl in any_person(), aloware in any_person()) {
            let merged = merge(Mode::Merge, None, &ghl, &aloware).fields;
            for (m, g, a) in [(&merged.first_name, &ghl.first_name, &aloware.first_name), (&merged.email, &ghl.email, &aloware.email)] {
                prop_assert!(m == g || m == a);
                prop_assert_eq!(m.is_none(), g.is_none() && a.is_none());
            }
        }
    }
}
