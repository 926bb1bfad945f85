//! The table of keys: name, environment, kind and default of every setting.
//! Reading, refusing unknown keys and `df-middleware config` all follow it.
//!
//! Meanings and bounds are in `df-middleware.toml`; conversions in `assemble`.

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.key` in the file.
    pub(super) name: &'static str,
    /// Environment variables, the first one that is set wins.
    pub(super) env: &'static [&'static str],
    /// What may be written in the file, and how it is shown.
    pub(super) kind: Kind,
    /// The value when neither file nor environment has one.
    pub(super) fallback: Fallback,
}

/// What may be written in the file, and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string or an integer.
    Integer,
    /// A string or a boolean.
    Switch,
    /// A comma-separated string or an array of strings.
    List,
    /// A string that is never shown; `NAME_FILE` reads it from a file.
    Secret,
    /// A list that is never shown; `NAME_FILE` reads it from a file.
    Secrets,
    /// A secret of which only the password is hidden.
    SecretUrl,
}

impl Kind {
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets | Self::SecretUrl)
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Secrets)
    }
}

/// The value when neither file nor environment has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// This text.
    Is(&'static str),
    /// Nothing.
    Unset,
    /// Nothing, and that is a problem.
    Required,
    /// [`super::Defaults::bind`].
    Bind,
    /// [`super::Defaults::data_dir`].
    DataDir,
}

/// Variables with our prefix that are no setting.
pub(super) const NOT_SETTINGS: &[&str] = &["DF_CONFIG", "DF_CONTAINER"];

/// GHL's published Ed25519 key (Base64 of the SPKI DER).
const GHL_PUBLIC_KEY: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";

macro_rules! table {
    ($($id:ident: $kind:ident $name:literal $env:expr, $fallback:expr;)+) => {
        $(pub(super) static $id: Key = Key { name: $name, env: &$env, kind: Kind::$kind, fallback: $fallback };)+
        /// Every key, in the order of `df-middleware.toml`.
        pub(super) static TABLE: &[&Key] = &[$(&$id),+];
    };
}

use Fallback::{Bind, DataDir, Is, Required, Unset};

table! {
    BIND: Text "server.bind" ["DF_BIND"], Bind;
    REUSE_PORT: Switch "server.reuse_port" ["DF_REUSE_PORT"], Is("false");
    BODY_LIMIT: Integer "server.body_limit" ["DF_BODY_LIMIT"], Is("1MiB");
    SHUTDOWN_GRACE: Text "server.shutdown_grace" ["DF_SHUTDOWN_GRACE"], Is("10s");
    LOG: Text "server.log" ["DF_LOG"], Is("info");
    LOG_FORMAT: Text "server.log_format" ["DF_LOG_FORMAT"], Is("json");

    DATABASE_URL: SecretUrl "database.url" ["DATABASE_URL"], Unset;
    POOL_SIZE: Integer "database.pool_size" ["DF_DATABASE_POOL_SIZE"], Is("16");
    DATA_DIR: Text "database.data_dir" ["DF_DATA_DIR"], DataDir;
    SPOOL_LIMIT: Integer "database.spool_limit" ["DF_SPOOL_LIMIT"], Is("1GiB");
    POSTGRES_BIN_DIR: Text "database.postgres_bin_dir" ["DF_POSTGRES_BIN_DIR"], Unset;

    GHL_BASE_URL: Text "ghl.base_url" ["GHL_BASE_URL"], Is("https://services.leadconnectorhq.com");
    GHL_API_KEY: Secret "ghl.api_key" ["GHL_API_KEY"], Required;
    GHL_API_KEY_NEXT: Secret "ghl.api_key_next" ["GHL_API_KEY_NEXT"], Unset;
    GHL_LOCATION_ID: Text "ghl.location_id" ["GHL_LOCATION_ID"], Required;
    GHL_WEBHOOK_SECRET: Secret "ghl.webhook_secret" ["GHL_WEBHOOK_SECRET"], Unset;
    GHL_WEBHOOK_PUBLIC_KEYS: List "ghl.webhook_public_keys" ["GHL_WEBHOOK_PUBLIC_KEYS"], Is(GHL_PUBLIC_KEY);
    GHL_WEBHOOK_REQUIRE_SIGNATURE: Switch "ghl.webhook_require_signature" ["GHL_WEBHOOK_REQUIRE_SIGNATURE"], Is("true");
    GHL_RATE_LIMIT: Text "ghl.rate_limit" ["GHL_RATE_LIMIT"], Is("80/10s");
    GHL_DAILY_LIMIT: Integer "ghl.daily_limit" ["GHL_DAILY_LIMIT"], Is("200000");
    GHL_CONVERSATION_PROVIDER_ID: Text "ghl.conversation_provider_id" ["GHL_CONVERSATION_PROVIDER_ID"], Unset;
    GHL_CALL_PROVIDER_ID: Text "ghl.call_provider_id" ["GHL_CALL_PROVIDER_ID"], Unset;
    GHL_CUSTOM_FIELDS: List "ghl.custom_fields" ["GHL_CUSTOM_FIELDS"], Unset;

    ALOWARE_BASE_URL: Text "aloware.base_url" ["ALOWARE_BASE_URL"], Is("https://app.aloware.io");
    ALOWARE_API_TOKEN: Secret "aloware.api_token" ["ALOWARE_API_TOKEN"], Required;
    ALOWARE_WEBHOOK_USER: Secret "aloware.webhook_user" ["ALOWARE_WEBHOOK_BASIC_USER"], Required;
    ALOWARE_WEBHOOK_PASS: Secret "aloware.webhook_pass" ["ALOWARE_WEBHOOK_BASIC_PASS"], Required;
    ALOWARE_WEBHOOK_BEARER: Secret "aloware.webhook_bearer" ["ALOWARE_WEBHOOK_BEARER"], Unset;
    ALOWARE_ALLOWED_EVENTS: List "aloware.allowed_events" ["ALOWARE_WEBHOOK_ALLOWED_EVENTS"], Unset;
    ALOWARE_RATE_LIMIT: Text "aloware.rate_limit" ["ALOWARE_RATE_LIMIT"], Is("20/1s");
    ALOWARE_TAG_LISTS: List "aloware.tag_lists" ["ALOWARE_TAG_LISTS"], Unset;
    ALOWARE_CALL_SURFACE: Text "aloware.call_surface" ["ALOWARE_SURFACE"], Is("documented");

    TEXTING_BASE_URL: Text "texting.base_url" ["TEXTING_BASE_URL", "VERITY_BASE_URL"], Unset;
    TEXTING_API_KEY: Secret "texting.api_key" ["TEXTING_API_KEY", "VERITY_API_KEY"], Unset;
    TEXTING_WEBHOOK_SECRET: Secrets "texting.webhook_secret" ["TEXTING_WEBHOOK_SECRET", "VERITY_WEBHOOK_SECRET"], Unset;
    TEXTING_PUBLIC_URL: Text "texting.public_url" ["TEXTING_PUBLIC_URL"], Unset;
    TEXTING_FROM_NUMBER: List "texting.from_number" ["TEXTING_FROM_NUMBER"], Unset;
    TEXTING_LOCATION_ID: Text "texting.location_id" ["TEXTING_LOCATION_ID"], Unset;
    TEXTING_SYNC_TO_ALOWARE: Switch "texting.sync_to_aloware" ["TEXTING_SYNC_TO_ALOWARE"], Is("false");
    TEXTING_VENDOR: Text "texting.vendor" ["TEXTING_VENDOR"], Is("generic");
    TEXTING_QUIET_HOURS: Text "texting.quiet_hours" ["TEXTING_QUIET_HOURS"], Is("state");
    TEXTING_ANSWER_WINDOW: Text "texting.answer_window" ["TEXTING_ANSWER_WINDOW"], Is("24h");
    TEXTING_RECIPIENT_LIMIT: Text "texting.recipient_limit" ["TEXTING_RECIPIENT_LIMIT"], Is("20/24h");
    TEXTING_RATE_LIMIT: Text "texting.rate_limit" ["TEXTING_RATE_LIMIT"], Is("10/1s");
    TEXTING_MAX_SEGMENTS: Integer "texting.max_segments" ["TEXTING_MAX_SEGMENTS"], Is("10");
    TEXTING_STOP_REPLY: Text "texting.stop_reply" ["TEXTING_STOP_REPLY"], Unset;

    SOURCE_OF_TRUTH: Text "sync.contact_source_of_truth" ["CONTACT_SOURCE_OF_TRUTH"], Is("merge");
    RECORDING_LINKS: Text "sync.recording_links" ["DF_RECORDING_LINKS"], Is("note");
    COMMUNICATIONS: Text "sync.communications" ["DF_COMMUNICATIONS"], Is("skip");
    OPT_OUT_TO_ALOWARE: Text "sync.opt_out_to_aloware" ["DF_OPT_OUT_TO_ALOWARE"], Is("dnc");
    TIME_ZONE: Text "sync.time_zone" ["DF_TIME_ZONE"], Is("UTC");
    DEFAULT_REGION: Text "sync.default_region" ["DF_DEFAULT_REGION"], Is("US");

    JOBS_SECRET: Secret "jobs.secret" ["X_DF_JOBS_SECRET"], Required;
    JOBS_BATCH_SIZE: Integer "jobs.batch_size" ["JOBS_BATCH_SIZE"], Is("100");
    JOBS_CONCURRENCY: Integer "jobs.concurrency" ["JOBS_CONCURRENCY"], Is("32");
    JOBS_RETRY_LIMIT: Integer "jobs.retry_limit" ["JOBS_RETRY_LIMIT"], Is("10");
    JOBS_RETRY_DELAY: Text "jobs.retry_delay" ["JOBS_RETRY_DELAY"], Is("60s");
    JOBS_RETRY_MAX_DELAY: Text "jobs.retry_max_delay" ["JOBS_RETRY_MAX_DELAY"], Is("1h");
    JOBS_MAX_HEAD_AGE: Text "jobs.max_head_age" ["JOBS_MAX_HEAD_AGE"], Is("24h");
    JOBS_LEASE: Text "jobs.lease" ["JOBS_LEASE"], Is("60s");
    JOBS_POLL_INTERVAL: Text "jobs.poll_interval" ["JOBS_POLL_INTERVAL"], Is("1s");

    HTTP_TIMEOUT: Text "http.timeout" ["DF_HTTP_TIMEOUT"], Is("15s");
    ADMIN_SECRET: Secret "admin.secret" ["DF_ADMIN_SECRET"], Required;
    ALERT_WEBHOOK_URL: Secret "alerts.webhook_url" ["ALERT_WEBHOOK_URL"], Unset;
    RECONCILE_CRON: Text "reconcile.cron" ["RECONCILE_CRON"], Is("0 0 3 * * *");
    RETENTION_DONE: Text "retention.done_events" ["DF_RETENTION_DONE"], Is("90d");
}

/// The key of that name, as written in the file with its section.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    TABLE.iter().copied().find(|key| key.name == name)
}

/// Whether some key stands in that section.
pub(super) fn is_section(section: &str) -> bool {
    sections().any(|known| known == section)
}

/// The section of every key, with repetitions.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .filter_map(|key| key.name.split_once('.'))
        .map(|(section, _)| section)
}

/// Whether `variable` sets some key, directly or as `NAME_FILE`.
pub(super) fn is_variable(variable: &str) -> bool {
    TABLE.iter().any(|key| {
        key.env.contains(&variable)
            || (key.kind.is_secret()
                && variable
                    .strip_suffix("_FILE")
                    .is_some_and(|name| key.env.contains(&name)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{TABLE, is_variable};

    #[test]
    fn no_name_or_variable_stands_twice() {
        let names: BTreeSet<_> = TABLE.iter().map(|key| key.name).collect();
        let variables: Vec<_> = TABLE.iter().flat_map(|key| key.env).collect();
        assert_eq!(names.len(), TABLE.len());
        assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len());
    }

    #[test]
    fn only_secrets_can_be_read_from_a_file() {
        assert!(is_variable("DF_ADMIN_SECRET_FILE"));
        assert!(is_variable("VERITY_API_KEY_FILE"));
        assert!(!is_variable("DF_LOG_FILE"));
    }
}
