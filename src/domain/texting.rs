//! What a texting vendor can say of a text besides its words.

use super::kinds::closed_set;

closed_set! {
    /// How far a sent text got; `message_mappings.delivery_status`.
    TextStatus {
        /// The vendor took it.
        Accepted = "accepted",
        /// It waits for its turn.
        Queued = "queued",
        /// It is on its way to the carrier.
        Sending = "sending",
        /// The carrier has it; what became of it is not known.
        Sent = "sent",
        /// It is on the phone.
        Delivered = "delivered",
        /// The carrier could not deliver it.
        Undelivered = "undelivered",
        /// It was never sent.
        Failed = "failed",
        /// Its time ran out.
        Expired = "expired",
        /// The vendor or the carrier refused it.
        Rejected = "rejected",
        /// It was called back.
        Canceled = "canceled",
        /// The consumer opened it.
        Read = "read",
    }
}

impl TextStatus {
    /// Reports come late, repeated and out of order: one counts only when its
    /// rank is higher than that of what is known. No final state goes back or
    /// turns into another; only `read` says more than `delivered`.
    pub const fn rank(self) -> i32 {
        match self {
            Self::Accepted | Self::Queued => 1,
            Self::Sending => 2,
            Self::Sent => 3,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Expired | Self::Rejected | Self::Canceled => 4,
            Self::Read => 5,
        }
    }

    /// Whether the consumer did not get it and will not.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Undelivered | Self::Failed | Self::Expired | Self::Rejected)
    }
}

closed_set! {
    /// What the texting vendor itself read in a message, or knows of the number.
    VendorSignal {
        /// The vendor has blocked the number, or says it is blocked.
        Stop = "stop",
        /// The vendor has lifted its block.
        Start = "start",
        /// The vendor saw a help keyword.
        Help = "help",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_is_passed_by_read_only() {
        let finals: Vec<_> = TextStatus::ALL.iter().filter(|status| status.rank() == 4).collect();
        assert_eq!(finals.len(), 6);
        let above: Vec<_> = TextStatus::ALL.iter().filter(|status| status.rank() > 4).collect();
        assert_eq!(above, [&TextStatus::Read]);
        for failure in TextStatus::ALL.iter().filter(|status| status.is_failure()) {
            assert_eq!(failure.rank(), 4, "{failure}");
        }
    }
}
