//! What the texts of single settings mean, and their bounds.

use std::collections::BTreeSet;

use super::{problem, settings};
use crate::config::CustomField;

#[test]
fn quantities_out_of_bounds_are_refused_with_the_bounds() {
    let cases = [
        ("JOBS_LEASE", "0s"),
        ("JOBS_LEASE", "2h"),
        ("JOBS_POLL_INTERVAL", "0ms"),
        ("JOBS_BATCH_SIZE", "0"),
        ("JOBS_BATCH_SIZE", "1001"),
        ("JOBS_CONCURRENCY", "0"),
        ("JOBS_CONCURRENCY", "1025"),
        ("JOBS_RETRY_LIMIT", "0"),
        ("DF_DATABASE_POOL_SIZE", "1"),
        ("DF_BODY_LIMIT", "0"),
        ("DF_SPOOL_LIMIT", "1KiB"),
        ("DF_HTTP_TIMEOUT", "0s"),
        ("DF_RETENTION_DONE", "1s"),
        ("GHL_DAILY_LIMIT", "-1"),
        ("GHL_RATE_LIMIT", "10/0s"),
    ];
    for (variable, value) in cases {
        let why = problem("", &[(variable, value)]);
        assert!(why.contains(variable) && why.contains("must be between"), "{why}");
    }
}

#[test]
fn a_shared_port_needs_a_database_that_can_be_shared() {
    let why = problem("", &[("DF_REUSE_PORT", "true")]);
    assert!(
        why.starts_with("server.reuse_port (DF_REUSE_PORT): needs database.url"),
        "{why}"
    );
    let shared = [("DF_REUSE_PORT", "true"), ("DATABASE_URL", "postgres://u@h/d")];
    assert!(settings("", &shared).server.reuse_port);
}

#[test]
fn the_longest_back_off_cannot_be_shorter_than_the_first() {
    let why = problem("", &[("JOBS_RETRY_DELAY", "10m"), ("JOBS_RETRY_MAX_DELAY", "1m")]);
    assert!(
        why.starts_with("jobs.retry_max_delay (JOBS_RETRY_MAX_DELAY): is shorter"),
        "{why}"
    );
    assert!(why.contains("10m") && why.contains("1m"), "{why}");
}

#[test]
fn lists_and_maps_are_read_from_text_and_arrays() {
    let file = "[ghl]\ncustom_fields = [\"alowareContactId = f1\", \"leadSource=f2\"]\n";
    let env = [
        ("ALOWARE_TAG_LISTS", "Hot=301, Call Me = 302,"),
        ("ALOWARE_WEBHOOK_ALLOWED_EVENTS", "Contact Created, ,Call Disposed"),
        ("TEXTING_FROM_NUMBER", "+12125550100,+1 212 555 0101"),
    ];
    let settings = settings(file, &env);
    assert_eq!(settings.ghl.custom_fields[&CustomField::AlowareContactId], "f1");
    assert_eq!(settings.ghl.custom_fields[&CustomField::LeadSource], "f2");
    let tags: Vec<_> = settings
        .aloware
        .tag_lists
        .iter()
        .map(|(tag, list)| (tag.as_str(), list.as_str()))
        .collect();
    assert_eq!(tags, [("call me", "302"), ("hot", "301")]);
    assert_eq!(settings.aloware.allowed_events, ["Contact Created", "Call Disposed"]);
    assert_eq!(settings.texting.from_numbers, ["+12125550100", "+12125550101"]);
    for text in ["hot", "=301", "hot=", "hot=1,HOT=2"] {
        assert!(
            problem("", &[("ALOWARE_TAG_LISTS", text)]).contains("ALOWARE_TAG_LISTS"),
            "{text}"
        );
    }
}

#[test]
fn public_keys_are_read_as_pem_der_and_raw() {
    let der = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
    let raw = "i2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    let all = format!("{der},{raw},{pem},{}", pem.replace('\n', "\\n"));
    let keys = settings("", &[("GHL_WEBHOOK_PUBLIC_KEYS", &all)])
        .ghl
        .webhook_public_keys;
    assert_eq!(keys.len(), 4);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 1);
    let why = problem("", &[("GHL_WEBHOOK_PUBLIC_KEYS", &format!("{der},bm90IGEga2V5"))]);
    assert!(why.contains("key 2 is no Ed25519 public key"), "{why}");
}

#[test]
fn addresses_must_be_http_without_credentials_or_query() {
    for url in [
        "ftp://x",
        "services.example",
        "https://",
        "https://u:hunter2@x",
        "https://x/?a=b",
        "https://x/#f",
    ] {
        let why = problem("", &[("GHL_BASE_URL", url)]);
        assert!(why.starts_with("ghl.base_url (GHL_BASE_URL): must"), "{why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    let base = settings("", &[("ALOWARE_BASE_URL", "http://127.0.0.1:9/aloware//")])
        .aloware
        .base_url;
    assert_eq!(base.as_str(), "http://127.0.0.1:9/aloware");
}

#[test]
fn the_schedule_is_six_fields_or_off() {
    assert_eq!(settings("", &[("RECONCILE_CRON", "off")]).reconcile_cron, None);
    let every = settings("", &[("RECONCILE_CRON", "0 */5 * * * *")]).reconcile_cron;
    assert_eq!(every.as_deref(), Some("0 */5 * * * *"));
    for text in ["0 3 * * *", "0 0 3 * * * 2030", "0 0 99 * * *", "never"] {
        assert!(
            problem("", &[("RECONCILE_CRON", text)]).contains("RECONCILE_CRON"),
            "{text}"
        );
    }
}

#[test]
fn the_default_region_must_have_phone_numbers() {
    assert_eq!(settings("", &[("DF_DEFAULT_REGION", "ca")]).sync.default_region, "CA");
    for text in ["XX", "ZZ", "USA", "1", "U1"] {
        assert!(
            problem("", &[("DF_DEFAULT_REGION", text)]).contains("two-letter region"),
            "{text}"
        );
    }
}

#[test]
fn the_log_filter_must_be_one() {
    assert_eq!(
        settings("", &[("DF_LOG", "warn,df_middleware=debug")]).server.log,
        "warn,df_middleware=debug"
    );
    assert!(problem("", &[("DF_LOG", "df_middleware=loud")]).contains("is no log filter"));
}

#[test]
fn a_basic_user_cannot_contain_a_colon() {
    let why = problem("", &[("ALOWARE_WEBHOOK_BASIC_USER", "us:er")]);
    assert!(why.contains("cannot contain `:`") && !why.contains("us:er"), "{why}");
}
