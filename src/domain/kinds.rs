//! The closed sets of the product: each is an enum here, a text in the tables
//! and a `CHECK` in the migration; a test holds the three together.

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every member, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text stored in the tables.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the stored text back; `None` for a text that is not of the set.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_set;

closed_set! {
    /// Where a delivery came from.
    Source {
        /// The power dialer.
        Aloware = "aloware",
        /// GoHighLevel, the CRM.
        Ghl = "ghl",
        /// The texting vendor.
        Texting = "texting",
    }
}

closed_set! {
    /// The texting vendor: its payload dialect and its signature scheme.
    TextingVendor {
        /// The seed's own shape.
        Generic = "generic",
        /// Telnyx v2.
        Telnyx = "telnyx",
        /// Twilio Programmable Messaging.
        Twilio = "twilio",
        /// Bandwidth v2.
        Bandwidth = "bandwidth",
        /// Plivo.
        Plivo = "plivo",
        /// Sinch SMS.
        Sinch = "sinch",
        /// Vonage, SMS API and Messages API.
        Vonage = "vonage",
        /// MessageBird, the API before Bird.
        MessageBird = "messagebird",
        /// Infobip.
        Infobip = "infobip",
        /// SimpleTexting v2.
        SimpleTexting = "simpletexting",
        /// Textmagic v2, and its forms of before.
        Textmagic = "textmagic",
        /// ClickSend.
        ClickSend = "clicksend",
    }
}

impl TextingVendor {
    /// Whether nothing but the address proves the vendor, so that its word alone lets
    /// nobody in again (vendors/texting.md 2.1).
    pub const fn signs_nothing(self) -> bool {
        matches!(self, Self::SimpleTexting | Self::Textmagic | Self::ClickSend)
    }

    /// Whether the vendor confirms a STOP itself unless told otherwise
    /// (vendors/texting.md 3.4, 3.9).
    pub const fn answers_stop(self) -> bool {
        matches!(self, Self::Twilio | Self::Telnyx | Self::Plivo | Self::SimpleTexting)
    }
}

closed_set! {
    /// The state of a stored event (`status` of both event tables).
    EventStatus {
        /// Waiting for its lane.
        Pending = "pending",
        /// Being run by a worker right now.
        Processing = "processing",
        /// Ended as intended, skips included.
        Done = "done",
        /// Ended in failure: attempts used up or permanent.
        Error = "error",
    }
}

closed_set! {
    /// `sync_log.direction`: which way data went.
    Flow {
        /// Aloware to GHL.
        AlowareToGhl = "aloware_to_ghl",
        /// GHL to Aloware.
        GhlToAloware = "ghl_to_aloware",
        /// Texting vendor to GHL.
        TextingToGhl = "texting_to_ghl",
        /// Texting vendor to Aloware.
        TextingToAloware = "texting_to_aloware",
        /// A source that is none of ours.
        Unknown = "unknown",
    }
}

closed_set! {
    /// `sync_log.status`: how one run ended.
    SyncStatus {
        /// A write was made or was already in place.
        Success = "success",
        /// The run failed; `error_message` says why.
        Error = "error",
        /// Nothing was to be done; `error_message` says why.
        Skipped = "skipped",
    }
}

closed_set! {
    /// `sync_log.entity_type` and the event tables' `entity_type`.
    Entity {
        /// A person.
        Contact = "contact",
        /// A phone call.
        Call = "call",
        /// The written summary of a call.
        CallSummary = "call_summary",
        /// The transcript of a call.
        Transcription = "transcription",
        /// A call recording.
        Recording = "recording",
        /// A voicemail.
        Voicemail = "voicemail",
        /// A communication that is neither call nor text.
        Communication = "communication",
        /// An appointment.
        Appointment = "appointment",
        /// An Aloware list.
        List = "list",
        /// An opt-out or opt-in.
        OptOut = "optout",
        /// A text message.
        Message = "message",
        /// A conversation.
        Conversation = "conversation",
        /// A tag change.
        Tag = "tag",
        /// Not recognised.
        Unknown = "unknown",
    }
}

closed_set! {
    /// Which way a text or call went, seen from the business.
    TextDirection {
        /// From the consumer to us.
        Inbound = "inbound",
        /// From us to the consumer.
        Outbound = "outbound",
    }
}
