//! From texts to [`Settings`]: what each key means, its bounds, and what two
//! keys must not say together.
//!
//! Each section reads all its keys before it gives up, so that one run
//! reports every problem.

use std::time::Duration;

use super::Problems;
use super::keys;
use super::quantities::{
    DAY, HOUR, MILLISECOND, MINUTE, SECOND, duration, number, rate, rate_within, size, write_duration,
};
use super::read::Reading;
use super::sections::{
    Aloware, CallSurface, Communications, Database, Ghl, Http, Jobs, LogFormat, OptOutToAloware, QuietHours,
    RecordingLinks, Server, Settings, SourceOfTruth, Sync, Texting,
};
use super::texting::{TextingProof, proofs};
use super::values;
use crate::domain::TextingVendor;

pub(super) fn settings(mut reading: Reading) -> Result<Settings, Problems> {
    let settings = all(&mut reading);
    finish(settings, reading)
}

pub(super) fn database_only(mut reading: Reading) -> Result<Database, Problems> {
    let database = database(&mut reading);
    finish(database, reading)
}

fn finish<T>(value: Option<T>, reading: Reading) -> Result<T, Problems> {
    value.filter(|_| reading.problems.is_empty()).ok_or(reading.problems)
}

fn all(r: &mut Reading) -> Option<Settings> {
    let server = server(r);
    let database = database(r);
    if let (Some(server), Some(database)) = (&server, &database)
        && server.reuse_port
        && database.url.is_none()
    {
        let why = "needs database.url (DATABASE_URL): the embedded database serves one daemon";
        r.refuse(&keys::REUSE_PORT, why, None);
    }
    let ghl = ghl(r);
    let aloware = aloware(r);
    let texting = texting(r);
    let sync = sync(r);
    let jobs = jobs(r);
    let timeout = r.need(&keys::HTTP_TIMEOUT, duration(MILLISECOND * 100..=MINUTE * 5));
    let admin_secret = r.need(&keys::ADMIN_SECRET, values::secret);
    let alert_webhook_url = r.want(&keys::ALERT_WEBHOOK_URL, values::secret_url);
    let reconcile_cron = r.need(&keys::RECONCILE_CRON, values::cron);
    let retention_done = r.need(&keys::RETENTION_DONE, duration(HOUR..=DAY * 3650));
    if let (Some(kept), Some(texting)) = (retention_done, &texting)
        && kept < texting.recipient_limit.period
    {
        let why = "is shorter than the time of texting.recipient_limit, whose texts are counted in the send records";
        r.refuse(&keys::RETENTION_DONE, why, Some(&write_duration(kept)));
    }
    Some(Settings {
        server: server?,
        database: database?,
        ghl: ghl?,
        aloware: aloware?,
        texting: texting?,
        sync: sync?,
        jobs: jobs?,
        http: Http { timeout: timeout? },
        admin_secret: admin_secret?,
        alert_webhook_url: alert_webhook_url?,
        reconcile_cron: reconcile_cron?,
        retention_done: retention_done?,
    })
}

fn server(r: &mut Reading) -> Option<Server> {
    let formats = [("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];
    let bind = r.need(&keys::BIND, values::socket);
    let reuse_port = r.need(&keys::REUSE_PORT, values::switch);
    let body_limit = r.need(&keys::BODY_LIMIT, size(256..=64 << 20));
    let shutdown_grace = r.need(&keys::SHUTDOWN_GRACE, duration(Duration::ZERO..=MINUTE * 10));
    let log = r.need(&keys::LOG, values::log_filter);
    let log_format = r.need(&keys::LOG_FORMAT, values::one_of(&formats));
    Some(Server {
        bind: bind?,
        reuse_port: reuse_port?,
        body_limit: body_limit?,
        shutdown_grace: shutdown_grace?,
        log: log?,
        log_format: log_format?,
    })
}

fn database(r: &mut Reading) -> Option<Database> {
    let url = r.want(&keys::DATABASE_URL, values::database_url);
    let pool_size = r.need(&keys::POOL_SIZE, number(2..=1000));
    let data_dir = r.need(&keys::DATA_DIR, values::path);
    let spool_limit = r.need(&keys::SPOOL_LIMIT, size(64 << 10..=1 << 40));
    let postgres_bin_dir = r.want(&keys::POSTGRES_BIN_DIR, values::path);
    Some(Database {
        url: url?,
        pool_size: pool_size?,
        data_dir: data_dir?,
        spool_limit: u64::try_from(spool_limit?).unwrap_or(u64::MAX),
        postgres_bin_dir: postgres_bin_dir?,
    })
}

fn ghl(r: &mut Reading) -> Option<Ghl> {
    let base_url = r.need(&keys::GHL_BASE_URL, values::base_url);
    let api_key = r.need(&keys::GHL_API_KEY, values::secret);
    let api_key_next = r.want(&keys::GHL_API_KEY_NEXT, values::secret);
    let location_id = r.need(&keys::GHL_LOCATION_ID, values::text);
    let webhook_secret = r.want(&keys::GHL_WEBHOOK_SECRET, values::secret);
    let webhook_public_keys = r.list(&keys::GHL_WEBHOOK_PUBLIC_KEYS, values::public_keys);
    let webhook_require_signature = r.need(&keys::GHL_WEBHOOK_REQUIRE_SIGNATURE, values::switch);
    let rate_limit = r.need(&keys::GHL_RATE_LIMIT, rate);
    let daily_limit = r.need(&keys::GHL_DAILY_LIMIT, number(1..=100_000_000));
    let conversation_provider_id = r.want(&keys::GHL_CONVERSATION_PROVIDER_ID, values::text);
    let call_provider_id = r.want(&keys::GHL_CALL_PROVIDER_ID, values::text);
    let custom_fields = r.list(&keys::GHL_CUSTOM_FIELDS, values::custom_fields);
    Some(Ghl {
        base_url: base_url?,
        api_key: api_key?,
        api_key_next: api_key_next?,
        location_id: location_id?,
        webhook_secret: webhook_secret?,
        webhook_public_keys: webhook_public_keys?,
        webhook_require_signature: webhook_require_signature?,
        rate_limit: rate_limit?,
        daily_limit: daily_limit?,
        conversation_provider_id: conversation_provider_id?,
        call_provider_id: call_provider_id?,
        custom_fields: custom_fields?,
    })
}

fn aloware(r: &mut Reading) -> Option<Aloware> {
    let surfaces = [("documented", CallSurface::Documented), ("legacy", CallSurface::Legacy)];
    let base_url = r.need(&keys::ALOWARE_BASE_URL, values::base_url);
    let api_token = r.need(&keys::ALOWARE_API_TOKEN, values::secret);
    let webhook_user = r.need(&keys::ALOWARE_WEBHOOK_USER, values::basic_user);
    let webhook_pass = r.need(&keys::ALOWARE_WEBHOOK_PASS, values::secret);
    let webhook_bearer = r.want(&keys::ALOWARE_WEBHOOK_BEARER, values::secret);
    let allowed_events = r.list(&keys::ALOWARE_ALLOWED_EVENTS, values::items);
    let rate_limit = r.need(&keys::ALOWARE_RATE_LIMIT, rate);
    let tag_lists = r.list(&keys::ALOWARE_TAG_LISTS, values::lowercase_map);
    let call_surface = r.need(&keys::ALOWARE_CALL_SURFACE, values::one_of(&surfaces));
    Some(Aloware {
        base_url: base_url?,
        api_token: api_token?,
        webhook_user: webhook_user?,
        webhook_pass: webhook_pass?,
        webhook_bearer: webhook_bearer?,
        allowed_events: allowed_events?,
        rate_limit: rate_limit?,
        tag_lists: tag_lists?,
        call_surface: call_surface?,
    })
}

fn texting(r: &mut Reading) -> Option<Texting> {
    let base_url = r.want(&keys::TEXTING_BASE_URL, values::base_url);
    let api_key = r.want(&keys::TEXTING_API_KEY, values::secret);
    let vendors: Vec<_> = TextingVendor::ALL
        .iter()
        .map(|vendor| (vendor.as_str(), *vendor))
        .collect();
    let vendor = r.need(&keys::TEXTING_VENDOR, values::one_of(&vendors));
    let meant = vendor.unwrap_or(TextingVendor::Generic);
    let webhook_secrets = r.list(&keys::TEXTING_WEBHOOK_SECRET, proofs(meant));
    let public_url = r.want(&keys::TEXTING_PUBLIC_URL, values::called_url);
    let is_shared = |proof: &TextingProof| matches!(proof, TextingProof::Shared(_));
    if let (Some(secrets), Some(None)) = (&webhook_secrets, &public_url)
        && Texting::signs_url(meant)
        && secrets.iter().any(is_shared)
    {
        let why = format!("required: {meant} signs the URL it calls; set TEXTING_PUBLIC_URL to that URL");
        r.refuse(&keys::TEXTING_PUBLIC_URL, &why, None);
    }
    let from_numbers = r.list(&keys::TEXTING_FROM_NUMBER, values::own_numbers);
    let location_id = r.want(&keys::TEXTING_LOCATION_ID, values::text);
    let sync_to_aloware = r.need(&keys::TEXTING_SYNC_TO_ALOWARE, values::switch);
    let laws = [
        ("state", QuietHours::State),
        ("federal", QuietHours::Federal),
        ("off", QuietHours::Off),
    ];
    let quiet_hours = r.need(&keys::TEXTING_QUIET_HOURS, values::one_of(&laws));
    let answer_window = r.need(&keys::TEXTING_ANSWER_WINDOW, duration(Duration::ZERO..=DAY * 7));
    let recipient_limit = r.need(&keys::TEXTING_RECIPIENT_LIMIT, rate_within(DAY * 31));
    let rate_limit = r.need(&keys::TEXTING_RATE_LIMIT, rate);
    let max_segments = r.need(&keys::TEXTING_MAX_SEGMENTS, number(1..=100));
    let stop_reply = r.want(&keys::TEXTING_STOP_REPLY, values::stop_reply);
    if let (Some(Some(_)), Some(vendor)) = (&stop_reply, vendor)
        && vendor.answers_stop()
    {
        let why = "must be unset: this vendor answers a STOP itself, and only one answer is allowed";
        r.refuse(&keys::TEXTING_STOP_REPLY, why, None);
    }
    Some(Texting {
        base_url: base_url?,
        api_key: api_key?,
        webhook_secrets: webhook_secrets?,
        public_url: public_url?,
        from_numbers: from_numbers?,
        location_id: location_id?,
        sync_to_aloware: sync_to_aloware?,
        vendor: vendor?,
        quiet_hours: quiet_hours?,
        answer_window: answer_window?,
        recipient_limit: recipient_limit?,
        rate_limit: rate_limit?,
        max_segments: max_segments?,
        stop_reply: stop_reply?,
    })
}

fn sync(r: &mut Reading) -> Option<Sync> {
    let sources = [
        ("ghl", SourceOfTruth::Ghl),
        ("aloware", SourceOfTruth::Aloware),
        ("merge", SourceOfTruth::Merge),
    ];
    let links = [("note", RecordingLinks::Note), ("omit", RecordingLinks::Omit)];
    let treatments = [("skip", Communications::Skip), ("note", Communications::Note)];
    let contact_source_of_truth = r.need(&keys::SOURCE_OF_TRUTH, values::one_of(&sources));
    let recording_links = r.need(&keys::RECORDING_LINKS, values::one_of(&links));
    let communications = r.need(&keys::COMMUNICATIONS, values::one_of(&treatments));
    let reaches = [
        ("dnc", OptOutToAloware::Dnc),
        ("lists", OptOutToAloware::Lists),
        ("off", OptOutToAloware::Off),
    ];
    let opt_out_to_aloware = r.need(&keys::OPT_OUT_TO_ALOWARE, values::one_of(&reaches));
    let time_zone = r.need(&keys::TIME_ZONE, values::time_zone);
    let default_region = r.need(&keys::DEFAULT_REGION, values::region);
    Some(Sync {
        contact_source_of_truth: contact_source_of_truth?,
        recording_links: recording_links?,
        communications: communications?,
        opt_out_to_aloware: opt_out_to_aloware?,
        time_zone: time_zone?,
        default_region: default_region?,
    })
}

fn jobs(r: &mut Reading) -> Option<Jobs> {
    let secret = r.need(&keys::JOBS_SECRET, values::secret);
    let batch_size = r.need(&keys::JOBS_BATCH_SIZE, number(1..=1000));
    let concurrency = r.need(&keys::JOBS_CONCURRENCY, number(1..=1024));
    let retry_limit = r.need(&keys::JOBS_RETRY_LIMIT, number(1..=1000));
    let retry_delay = r.need(&keys::JOBS_RETRY_DELAY, duration(MILLISECOND * 10..=DAY));
    let retry_max_delay = r.need(&keys::JOBS_RETRY_MAX_DELAY, duration(MILLISECOND * 10..=DAY * 7));
    let max_head_age = r.need(&keys::JOBS_MAX_HEAD_AGE, duration(SECOND..=DAY * 365));
    let lease = r.need(&keys::JOBS_LEASE, duration(MILLISECOND * 500..=HOUR));
    let poll_interval = r.need(&keys::JOBS_POLL_INTERVAL, duration(MILLISECOND * 10..=MINUTE * 5));
    if let (Some(first), Some(longest)) = (retry_delay, retry_max_delay)
        && longest < first
    {
        let why = format!("is shorter than jobs.retry_delay, which is {}", write_duration(first));
        r.refuse(&keys::JOBS_RETRY_MAX_DELAY, &why, Some(&write_duration(longest)));
    }
    Some(Jobs {
        secret: secret?,
        batch_size: batch_size?,
        concurrency: concurrency?,
        retry_limit: retry_limit?,
        retry_delay: retry_delay?,
        retry_max_delay: retry_max_delay?,
        max_head_age: max_head_age?,
        lease: lease?,
        poll_interval: poll_interval?,
    })
}
