//! Our own deliveries: what a person of ours, or the clock, decided about a number.
//! Stored like a vendor's, so that they reach the other systems in the person's
//! order and as surely; in the plain texting shape, whatever vendor is configured.

use serde_json::{Value, json};

use super::json;
use crate::domain::{Move, Phone};

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person at the operators' desk.
    Operator,
    /// Time: nobody decided while there was any.
    Clock,
}

impl By {
    const ALL: [Self; 2] = [Self::Operator, Self::Clock];

    fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Clock => "clock",
        }
    }
}

/// The delivery's name.
pub fn name(action: Move) -> &'static str {
    match action {
        Move::Block => "optout.stop",
        Move::Lift => "optout.start",
    }
}

/// The delivery's body.
pub fn body(action: Move, phone: &Phone, by: By) -> Value {
    json!({"type": name(action), "message": {"from": phone.as_str()}, "by": by.as_str()})
}

/// What a stored delivery says, if it is one of ours. A vendor that wrote the same
/// could only have the registry's own state carried on: such a body changes none.
pub fn read(payload: &Value) -> Option<(Move, Phone)> {
    let by = payload.get("by")?.as_str()?;
    By::ALL.iter().find(|known| known.as_str() == by)?;
    let kind = payload.get("type")?.as_str()?;
    let action = Move::ALL.iter().copied().find(|action| name(*action) == kind)?;
    let phone = json::text(payload, &["message.from"])?;
    Some((action, Phone::from_e164(&phone)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_a_vendor_s_report_is_not_taken_for_it() {
        let phone = Phone::from_e164("+16195550111").unwrap();
        for action in Move::ALL {
            for by in By::ALL {
                assert_eq!(read(&body(*action, &phone, by)), Some((*action, phone.clone())));
            }
        }
        let mut vendors = body(Move::Lift, &phone, By::Operator);
        vendors.as_object_mut().unwrap().remove("by");
        assert_eq!(read(&vendors), None);
        assert_eq!(read(&json!({"by": "operator", "type": "message.received"})), None);
    }
}
