//! The words the vendors have for how far a text got. They differ, but none has
//! two meanings, so one table reads them all.

use crate::domain::TextStatus;

/// The status a vendor's word means, in any case of letters.
pub(super) fn status(word: &str) -> Option<TextStatus> {
    Some(match word.to_ascii_lowercase().as_str() {
        "accepted" | "scheduled" => TextStatus::Accepted,
        "queued" | "pending" => TextStatus::Queued,
        "sending" => TextStatus::Sending,
        // Handed to the carrier. Whether the phone has it is another matter, also
        // where the vendor's word sounds better than that.
        "sent"
        | "dispatched"
        | "submitted"
        | "buffered"
        | "unknown"
        | "delivery_unconfirmed"
        | "partially_delivered" => TextStatus::Sent,
        "delivered" => TextStatus::Delivered,
        "undelivered" | "undeliverable" | "delivery_failed" => TextStatus::Undelivered,
        "failed" | "sending_failed" | "aborted" => TextStatus::Failed,
        "expired" => TextStatus::Expired,
        "rejected" | "deleted" => TextStatus::Rejected,
        "canceled" | "cancelled" => TextStatus::Canceled,
        "read" => TextStatus::Read,
        _ => return None,
    })
}

/// The event type of a status, as the seed would name it.
pub(super) fn event_type(status: TextStatus) -> String {
    format!("message.{status}")
}

/// The status that an event type of the seed's kind names.
pub(super) fn of_event_type(name: &str) -> Option<TextStatus> {
    name.strip_prefix("message.").and_then(TextStatus::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_from_its_own_word_and_back_from_its_event_type() {
        for known in TextStatus::ALL {
            assert_eq!(status(known.as_str()), Some(*known));
            assert_eq!(of_event_type(&event_type(*known)), Some(*known));
        }
        assert_eq!(status("Cancelled"), Some(TextStatus::Canceled));
        assert_eq!(status("received"), None);
    }
}
