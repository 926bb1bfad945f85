//! What an operator says when deciding about a number, read and checked.

use serde::Deserialize;

use super::AdminError;
use crate::domain::Cause;
use crate::ingest::decided;

/// Longest text an operator may give, in characters.
const LONGEST: usize = 1000;

/// How a text that waits is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It was a revocation.
    Stop,
    /// It was none.
    Clear,
}

impl Choice {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Clear => "clear",
        }
    }
}

/// The body of a request, also what the command's flags come to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Said {
    /// `stop` or `clear`.
    pub decision: Option<String>,
    /// Which block.
    pub cause: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What proves it.
    pub evidence: Option<String>,
    /// Who says so.
    pub decided_by: Option<String>,
    /// Who agreed.
    pub approved_by: Option<String>,
}

impl Said {
    /// Reads a body.
    ///
    /// # Errors
    /// [`AdminError::Invalid`].
    pub fn read(body: &[u8]) -> Result<Self, AdminError> {
        let detail = "the body must be a JSON object with decision or cause, reason, decidedBy, evidence, approvedBy";
        serde_json::from_slice(body).map_err(|_| AdminError::Invalid(detail.to_owned()))
    }

    /// The decision.
    ///
    /// # Errors
    /// [`AdminError::Invalid`].
    pub fn choice(&self) -> Result<Choice, AdminError> {
        let given = self.decision.as_deref().unwrap_or_default();
        [Choice::Stop, Choice::Clear]
            .into_iter()
            .find(|choice| choice.as_str() == given)
            .ok_or_else(|| AdminError::Invalid("decision must be stop or clear".to_owned()))
    }

    /// The cause.
    ///
    /// # Errors
    /// [`AdminError::Invalid`].
    pub fn cause(&self) -> Result<Cause, AdminError> {
        let given = self.cause.as_deref().unwrap_or_default();
        Cause::parse(given).ok_or_else(|| {
            let known: Vec<&str> = Cause::ALL.iter().copied().map(Cause::as_str).collect();
            AdminError::Invalid(format!("cause must be one of {}", known.join(", ")))
        })
    }

    /// Why, and by whom.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] without a reason or a name.
    pub fn grounds(&self) -> Result<Grounds, AdminError> {
        let needed = |name: &str, given: &Option<String>| {
            clean(given.as_deref()).ok_or_else(|| AdminError::Invalid(format!("{name} must be given")))
        };
        Ok(Grounds {
            reason: needed("reason", &self.reason)?,
            decided_by: needed("decidedBy", &self.decided_by)?,
            evidence: clean(self.evidence.as_deref()),
            approved_by: clean(self.approved_by.as_deref()),
        })
    }
}

fn clean(text: Option<&str>) -> Option<String> {
    let text: String = text?.replace('\0', "").trim().chars().take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

/// Why something was decided, and by whom.
#[derive(Clone, Debug)]
pub struct Grounds {
    reason: String,
    decided_by: String,
    evidence: Option<String>,
    approved_by: Option<String>,
}

impl Grounds {
    /// In short.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The person, or both of them.
    pub fn decided_by(&self) -> String {
        match &self.approved_by {
            Some(second) => format!("{}, approved by {second}", self.decided_by),
            None => self.decided_by.clone(),
        }
    }

    /// Whether this is enough to lift a block; a grave one wants two people.
    pub(super) fn carry_a_lift(&self, grave: bool) -> Result<(), AdminError> {
        let missing = |what: &str| Err(AdminError::Invalid(what.to_owned()));
        if self.evidence.is_none() {
            return missing("evidence must be given");
        }
        let same = |second: &String| second.to_lowercase() == self.decided_by.to_lowercase();
        match &self.approved_by {
            None if grave => missing("approvedBy must be given: a second person has to agree"),
            Some(second) if same(second) => missing("approvedBy must be somebody else than decidedBy"),
            _ => Ok(()),
        }
    }

    /// As the registry takes it; `decided_by` is [`Self::decided_by`].
    pub(super) fn registry<'a>(&'a self, decided_by: &'a str) -> decided::Grounds<'a> {
        decided::Grounds {
            reason: &self.reason,
            evidence: self.evidence.as_deref(),
            decided_by: Some(decided_by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grounds(evidence: Option<&str>, approved_by: Option<&str>) -> Grounds {
        let text = |text: &str| Some(text.to_owned());
        let said = Said {
            reason: text("signed form"),
            decided_by: text(" Ann "),
            evidence: evidence.and_then(text),
            approved_by: approved_by.and_then(text),
            ..Said::default()
        };
        said.grounds().unwrap()
    }

    #[test]
    fn a_lift_wants_evidence_and_a_grave_one_a_second_person() {
        assert!(grounds(None, Some("Bo")).carry_a_lift(false).is_err());
        assert!(grounds(Some("form 7"), None).carry_a_lift(false).is_ok());
        assert!(grounds(Some("form 7"), None).carry_a_lift(true).is_err());
        assert!(grounds(Some("form 7"), Some("ann")).carry_a_lift(true).is_err());
        assert!(grounds(Some("form 7"), Some("ANN")).carry_a_lift(false).is_err());
        assert!(grounds(Some("form 7"), Some("Bo")).carry_a_lift(true).is_ok());
        assert_eq!(grounds(None, Some("Bo")).decided_by(), "Ann, approved by Bo");
    }

    #[test]
    fn a_body_with_a_word_nobody_knows_is_refused() {
        assert!(Said::read(br#"{"decision":"stop","reason":"x","decidedBy":"Ann"}"#).is_ok());
        for body in ["", "[]", "7", r#"{"desision":"stop"}"#, r#"{"decision":1}"#] {
            assert!(Said::read(body.as_bytes()).is_err(), "{body}");
        }
        let blank = Said::read(br#"{"decision":"maybe","cause":"x","reason":" ","decidedBy":"Ann"}"#).unwrap();
        assert!(blank.choice().is_err() && blank.cause().is_err() && blank.grounds().is_err());
    }
}
