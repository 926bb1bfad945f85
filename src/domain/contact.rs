//! A person as each system sees them, reduced to the fields we synchronise.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{AlowareContactId, GhlContactId, Phone};

/// The fields both systems hold. `None` means the system has no value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonFields {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// E-mail address as written.
    pub email: Option<String>,
    /// Phone number, E.164 where it parses, else as written.
    pub phone: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// City.
    pub city: Option<String>,
}

/// Do-not-disturb in GHL: the whole-contact switch and the channels.
/// `active` and `permanent` mean the channel is blocked (vendors/ghl.md 2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dnd {
    /// The whole-contact switch; does not follow the channels.
    pub all: Option<bool>,
    /// Channel (as written, for example `SMS`) to status (`active`, `inactive`, `permanent`).
    pub channels: BTreeMap<String, String>,
    /// The message left with the SMS channel by whoever set it.
    pub text_message: Option<String>,
    /// The same of the calls' channel.
    pub call_message: Option<String>,
}

impl Dnd {
    /// Whether texts to this contact are blocked. Fails closed: an unknown
    /// status other than `inactive` blocks.
    pub fn blocks_texts(&self) -> bool {
        self.all == Some(true) || self.channel_blocked("SMS")
    }

    /// Whether the named channel (ignoring case) is blocked.
    pub fn channel_blocked(&self, channel: &str) -> bool {
        self.channels
            .iter()
            .any(|(name, status)| name.eq_ignore_ascii_case(channel) && status != "inactive")
    }
}

/// A contact as GHL answers or delivers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GhlContact {
    /// The contact's id, when the body carried one.
    pub id: Option<GhlContactId>,
    /// The synchronised fields.
    pub fields: PersonFields,
    /// The phone, parsed.
    pub phone: Option<Phone>,
    /// The full tag set, lower-cased by GHL. `None` when the body had no `tags`.
    pub tags: Option<Vec<String>>,
    /// Do-not-disturb, when the body carried it.
    pub dnd: Option<Dnd>,
    /// Custom field values by field id.
    pub custom_fields: BTreeMap<String, serde_json::Value>,
    /// `dateUpdated`, where present (REST only).
    pub updated_at: Option<DateTime<Utc>>,
}

/// A contact as Aloware answers or delivers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlowareContact {
    /// Numeric on the wire.
    pub id: Option<AlowareContactId>,
    /// The synchronised fields (`cnam_*` on read).
    pub fields: PersonFields,
    /// The phone, parsed.
    pub phone: Option<Phone>,
    /// Do-not-call flag.
    pub is_dnc: Option<bool>,
    /// SMS opt-out flag, different from `is_dnc`.
    pub is_opted_out: Option<bool>,
    /// `lead_source`.
    pub lead_source: Option<String>,
    /// `intake_source`.
    pub intake_source: Option<String>,
    /// The contact's own disposition, when the body names it.
    pub disposition: Option<String>,
}
