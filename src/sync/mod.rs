//! Do it: each flow brings one event to its effect, idempotently. The names say
//! the direction (`call::aloware_to_ghl`).

mod agents;
pub mod call;
pub mod communication;
pub mod contact;
mod custom_fields;
pub mod delivery;
pub mod disposition;
pub mod dnc;
mod ledger;
pub mod list;
pub mod message;
mod notes;
pub mod opt_out;
mod opt_out_aloware;
mod opt_out_ghl;
mod person;
pub mod pieces;
pub mod provider;
pub mod request;
pub mod send;
pub mod stop_reply;
mod tags;

use std::time::Duration;

use chrono_tz::Tz;
use uuid::Uuid;

use crate::compliance::guard::Policy;
use crate::compliance::quiet_hours::Law;
use crate::config::{Communications, CustomField, QuietHours, RecordingLinks, Settings, SourceOfTruth};
use crate::conflicts::Mode;
use crate::domain::{Failure, LogEntry, Phone, PhoneHint, Source};
use crate::store::announcer::Announcer;
use crate::store::spool::Spool;
use crate::store::{Db, StoreError, contact_mappings};
use crate::vendors::{Priority, VendorError, Vendors};

pub use crate::config::OptOutToAloware;
pub use agents::Agents;
pub use ledger::Ledger;

/// What every flow works with. One per process.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The tables.
    pub db: Db,
    /// Where writes are announced before they are made.
    pub announcer: Announcer,
    /// The names of the dialer's users.
    pub agents: Agents,
    /// The vendors.
    pub vendors: Vendors,
    /// While deliveries wait here, a STOP may be among them and nothing is sent.
    pub spool: Spool,
    /// The rules of `[sync]`, `[aloware]` and `[texting]` the flows ask.
    pub rules: Rules,
    /// Who may be texted when, and how often.
    pub policy: Policy,
    /// This daemon among others.
    pub daemon: Uuid,
}

impl Desk {
    /// The same desk with every call in the opt-outs' lane: a STOP is not there
    /// before the last of its calls.
    #[must_use]
    pub fn urgent(&self) -> Self {
        let mut urgent = self.clone();
        urgent.vendors.ghl = urgent.vendors.ghl.at(Priority::OptOut);
        urgent.vendors.aloware = urgent.vendors.aloware.at(Priority::OptOut);
        urgent
    }
}

/// The settings that flows depend on.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who wins for contact fields.
    pub mode: Mode,
    /// The zone of the times in notes.
    pub zone: Tz,
    /// Whether communications that are neither calls nor texts get notes.
    pub communications: bool,
    /// Whether recording links go into notes.
    pub recording_links: bool,
    /// How numbers without `+` are meant.
    pub hint: PhoneHint,
    /// Our own numbers.
    pub own: Vec<Phone>,
    /// Our GHL sub-account.
    pub location: String,
    /// GHL tag (lower case) to Aloware list id.
    pub tag_lists: std::collections::BTreeMap<String, String>,
    /// The GHL custom field id of each fact that is kept there.
    pub custom_fields: std::collections::BTreeMap<CustomField, String>,
    /// Whether texts are also mapped to Aloware contacts.
    pub texting_to_aloware: bool,
    /// How a STOP reaches the dialer.
    pub opt_out_to_aloware: OptOutToAloware,
    /// What confirms a STOP to whoever wrote it.
    pub stop_reply: Option<String>,
    /// After this long a vendor call has surely ended, whoever made it.
    pub longest_call: Duration,
}

/// What a call may take beyond its time limit until the vendor has applied it.
const AFTERMATH: Duration = Duration::from_secs(1);

impl Rules {
    /// Takes the rules out of the settings.
    pub fn from_settings(settings: &Settings) -> Self {
        let hint = PhoneHint::region(&settings.sync.default_region);
        Self {
            mode: match settings.sync.contact_source_of_truth {
                SourceOfTruth::Ghl => Mode::Ghl,
                SourceOfTruth::Aloware => Mode::Aloware,
                SourceOfTruth::Merge => Mode::Merge,
            },
            zone: settings.sync.time_zone,
            communications: settings.sync.communications == Communications::Note,
            recording_links: settings.sync.recording_links == RecordingLinks::Note,
            own: own_numbers(settings),
            hint,
            location: settings.ghl.location_id.clone(),
            tag_lists: settings.aloware.tag_lists.clone(),
            custom_fields: settings.ghl.custom_fields.clone(),
            texting_to_aloware: settings.texting.sync_to_aloware,
            opt_out_to_aloware: settings.sync.opt_out_to_aloware,
            stop_reply: settings.texting.stop_reply.clone(),
            longest_call: settings.http.timeout + AFTERMATH,
        }
    }
}

/// Takes the guard's policy out of the settings; a dangerous one does not go unsaid.
pub fn send_policy(settings: &Settings) -> Policy {
    let texting = &settings.texting;
    if texting.quiet_hours == QuietHours::Off {
        tracing::warn!("texting.quiet_hours is off: texts go out at night");
    }
    Policy {
        own: own_numbers(settings),
        law: match texting.quiet_hours {
            QuietHours::State => Law::State,
            QuietHours::Federal => Law::Federal,
            QuietHours::Off => Law::Off,
        },
        per_recipient: (texting.recipient_limit.count, texting.recipient_limit.period),
        answer_window: texting.answer_window,
        max_segments: texting.max_segments,
    }
}

fn own_numbers(settings: &Settings) -> Vec<Phone> {
    let numbers = settings.texting.from_numbers.iter();
    numbers.filter_map(|number| Phone::from_e164(number)).collect()
}

/// How a flow ends: the rows for `sync_log`, or why there is no effect yet.
pub type Flowed = Result<Vec<LogEntry>, Failure>;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::transient(error.to_string())
    }
}

/// A failed GHL call as the run's failure.
fn ghl_failed(error: VendorError) -> Failure {
    error.to_failure(Source::Ghl)
}

/// A failed Aloware call as the run's failure.
fn aloware_failed(error: VendorError) -> Failure {
    error.to_failure(Source::Aloware)
}

/// When a run failed because GHL no longer has a mapped contact, forgets the
/// mapping: the retry finds the person anew.
pub async fn forget_gone_contact(desk: &Desk, failure: &Failure) {
    let Some(id) = notes::gone_contact(failure) else {
        return;
    };
    let forgotten = match desk.db.client().await {
        Ok(client) => contact_mappings::tombstone(&client, &id).await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = forgotten {
        tracing::warn!(%error, "a contact that is gone from GHL stays mapped until the next run");
    }
}
