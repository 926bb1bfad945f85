//! The settings as types, one struct per section of `df-middleware.toml`.
//! Meanings, defaults and environment names: `df-middleware.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use secrecy::SecretString;
use url::Url;

use super::texting::TextingProof;
use crate::domain::TextingVendor;

/// Every setting of the daemon.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listener.
    pub server: Server,
    /// PostgreSQL, ours or somebody's.
    pub database: Database,
    /// GoHighLevel.
    pub ghl: Ghl,
    /// Aloware.
    pub aloware: Aloware,
    /// The texting vendor.
    pub texting: Texting,
    /// Synchronisation rules.
    pub sync: Sync,
    /// The task pool.
    pub jobs: Jobs,
    /// Outgoing HTTP.
    pub http: Http,
    /// `admin.secret`: guards `/api/admin`, `/api/sync`, `/api/messages`.
    pub admin_secret: SecretString,
    /// `alerts.webhook_url`, an http(s) URL; whoever has it can post, so it is
    /// kept as a secret.
    pub alert_webhook_url: Option<SecretString>,
    /// `reconcile.cron`: six fields, UTC; `None` is `off`.
    pub reconcile_cron: Option<String>,
    /// `retention.done_events`.
    pub retention_done: Duration,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Whether another daemon may listen on the same address, to hand over to.
    pub reuse_port: bool,
    /// Largest accepted body in bytes.
    pub body_limit: usize,
    /// How long a stop waits for work in flight.
    pub shutdown_grace: Duration,
    /// Tracing filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// `[database]`
#[derive(Clone, Debug)]
pub struct Database {
    /// A server to use; `None` starts the embedded one.
    pub url: Option<SecretString>,
    /// Connections in the one pool.
    pub pool_size: usize,
    /// Embedded cluster and spool.
    pub data_dir: PathBuf,
    /// Most bytes of the spool.
    pub spool_limit: u64,
    /// Where `initdb` and `postgres` are.
    pub postgres_bin_dir: Option<PathBuf>,
}

/// `count` requests per `period`, as in `80/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub count: u32,
    /// In this time.
    pub period: Duration,
}

/// `[ghl]`
#[derive(Clone, Debug)]
pub struct Ghl {
    /// API root without a trailing slash, except the one `Url` gives an empty path.
    pub base_url: Url,
    /// Private Integration Token.
    pub api_key: SecretString,
    /// Tried when `api_key` answers 401, during rotation.
    pub api_key_next: Option<SecretString>,
    /// The sub-account.
    pub location_id: String,
    /// Shared secret of HMAC-signed and path-secret webhooks.
    pub webhook_secret: Option<SecretString>,
    /// Raw 32-byte Ed25519 public keys.
    pub webhook_public_keys: Vec<[u8; 32]>,
    /// Whether an unsigned delivery without the path secret is refused.
    pub webhook_require_signature: bool,
    /// Burst budget.
    pub rate_limit: Rate,
    /// Requests a day.
    pub daily_limit: u32,
    /// Set: texts go into conversations; unset: notes.
    pub conversation_provider_id: Option<String>,
    /// Set: calls also appear in conversations, under this call provider.
    pub call_provider_id: Option<String>,
    /// The GHL custom field id of each fact that is to be kept there.
    pub custom_fields: BTreeMap<CustomField, String>,
}

/// What Aloware knows of a contact and GHL can keep in a custom field only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CustomField {
    /// `alowareContactId`.
    AlowareContactId,
    /// `leadSource`.
    LeadSource,
    /// `intakeSource`.
    IntakeSource,
}

impl CustomField {
    /// Its name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlowareContactId => "alowareContactId",
            Self::LeadSource => "leadSource",
            Self::IntakeSource => "intakeSource",
        }
    }
}

/// `[aloware]`
#[derive(Clone, Debug)]
pub struct Aloware {
    /// API root without a trailing slash, except the one `Url` gives an empty path.
    pub base_url: Url,
    /// Query on GET, JSON body on POST.
    pub api_token: SecretString,
    /// Basic user of the webhook.
    pub webhook_user: SecretString,
    /// Basic password of the webhook; may contain `:`.
    pub webhook_pass: SecretString,
    /// Bearer token of the webhook, an alternative to Basic.
    pub webhook_bearer: Option<SecretString>,
    /// Event names let in; empty means all.
    pub allowed_events: Vec<String>,
    /// Burst budget.
    pub rate_limit: Rate,
    /// GHL tag (lower case) to Aloware list id.
    pub tag_lists: BTreeMap<String, String>,
    /// Which of Aloware's paths are used.
    pub call_surface: CallSurface,
}

/// Which of Aloware's paths are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSurface {
    /// Only the documented ones.
    Documented,
    /// Also the seed's reads of a call and of a contact by id, which some accounts serve.
    Legacy,
}

/// `[texting]`
#[derive(Clone, Debug)]
pub struct Texting {
    /// API root, as those above; unset: nothing can be sent.
    pub base_url: Option<Url>,
    /// Bearer token; unset: nothing can be sent.
    pub api_key: Option<SecretString>,
    /// What proves a delivery; empty: every delivery is refused.
    pub webhook_secrets: Vec<TextingProof>,
    /// The URL the vendor calls, for vendors that sign it.
    pub public_url: Option<Url>,
    /// Our own numbers as E.164, or short codes; the first is the default sender.
    pub from_numbers: Vec<String>,
    /// Passed through to the vendor.
    pub location_id: Option<String>,
    /// Whether texts are also mapped to Aloware contacts.
    pub sync_to_aloware: bool,
    /// Payload dialect and signature scheme.
    pub vendor: TextingVendor,
    /// Whose quiet hours are kept.
    pub quiet_hours: QuietHours,
    /// For how long a person may answer a consumer at any hour and pace.
    pub answer_window: Duration,
    /// Texts to one number, over all of ours.
    pub recipient_limit: Rate,
    /// Burst budget.
    pub rate_limit: Rate,
    /// The most parts of one text.
    pub max_segments: u32,
    /// What confirms a STOP, once; unset: nothing does.
    pub stop_reply: Option<String>,
}

/// Whose quiet hours are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuietHours {
    /// The federal window and the stricter ones of states.
    State,
    /// The federal window alone.
    Federal,
    /// None.
    Off,
}

/// `[sync]`
#[derive(Clone, Debug)]
pub struct Sync {
    /// Who wins for contact fields.
    pub contact_source_of_truth: SourceOfTruth,
    /// What becomes of recording links.
    pub recording_links: RecordingLinks,
    /// What becomes of communications that are neither calls nor texts.
    pub communications: Communications,
    /// How a STOP reaches the dialer.
    pub opt_out_to_aloware: OptOutToAloware,
    /// In which notes tell times.
    pub time_zone: Tz,
    /// Two-letter region for numbers without `+`.
    pub default_region: String,
}

/// Who wins for contact fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceOfTruth {
    /// GHL's values as they are.
    Ghl,
    /// Aloware's values as they are.
    Aloware,
    /// Field rules, then three-way against the last synchronised state.
    Merge,
}

/// What becomes of recording links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingLinks {
    /// Written into the note.
    Note,
    /// Left out.
    Omit,
}

/// What becomes of communications that are neither calls nor texts (e-mail, fax, WhatsApp).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Communications {
    /// Stored, and left at that.
    Skip,
    /// A note for each start and each end.
    Note,
}

/// How a STOP reaches the dialer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOutToAloware {
    /// Do-not-call is set, and the person leaves the power dialer's lists.
    Dnc,
    /// The person leaves the power dialer's lists.
    Lists,
    /// Not at all.
    Off,
}

/// `[jobs]`
#[derive(Clone, Debug)]
pub struct Jobs {
    /// `X-DF-JOBS-SECRET`.
    pub secret: SecretString,
    /// Most events one run-once call handles, 1..=1000.
    pub batch_size: u32,
    /// Events in flight per process.
    pub concurrency: usize,
    /// Failed runs before an event is dead.
    pub retry_limit: u16,
    /// First back-off.
    pub retry_delay: Duration,
    /// Longest back-off.
    pub retry_max_delay: Duration,
    /// Age at which an event that keeps failing is dead.
    pub max_head_age: Duration,
    /// How long a claim holds without renewal.
    pub lease: Duration,
    /// Fallback poll.
    pub poll_interval: Duration,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Time allowed for one vendor call.
    pub timeout: Duration,
}
