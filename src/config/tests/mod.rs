//! Behaviour of the whole room: files and environments in, settings or
//! problems out. Here: which source a setting comes from.

mod meanings;
mod proofs;
mod refusals;
mod shown;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Defaults, LogFormat, Problems, Rate, Settings, SourceOfTruth, TextingProof, parse, parse_database};

const REQUIRED: [(&str, &str); 7] = [
    ("GHL_API_KEY", "pit-1"),
    ("GHL_LOCATION_ID", "loc-1"),
    ("ALOWARE_API_TOKEN", "alo-1"),
    ("ALOWARE_WEBHOOK_BASIC_USER", "hook"),
    ("ALOWARE_WEBHOOK_BASIC_PASS", "a:b:c"),
    ("X_DF_JOBS_SECRET", "jobs-1"),
    ("DF_ADMIN_SECRET", "admin-1"),
];

fn defaults() -> Defaults {
    Defaults::new(&BTreeMap::new(), true)
}

fn owned(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn no_files(_: &Path) -> io::Result<String> {
    Err(io::ErrorKind::NotFound.into())
}

/// Parses with the required settings in the environment, `env` after them.
fn parsed(file: &str, env: &[(&str, &str)]) -> Result<Settings, Problems> {
    parse(
        Some(file),
        owned(&REQUIRED).into_iter().chain(owned(env)),
        no_files,
        &defaults(),
    )
}

fn settings(file: &str, env: &[(&str, &str)]) -> Settings {
    parsed(file, env).expect("settings")
}

/// The one problem of a configuration.
fn problem(file: &str, env: &[(&str, &str)]) -> String {
    let problems = parsed(file, env).expect_err("a problem");
    assert_eq!(problems.len(), 1, "{problems}");
    problems.to_string()
}

#[test]
fn the_required_settings_alone_give_every_default() {
    let settings = settings("", &[]);
    assert_eq!(settings.server.bind.to_string(), "127.0.0.1:8080");
    assert!(!settings.server.reuse_port);
    assert_eq!(settings.server.body_limit, 1 << 20);
    assert_eq!(settings.server.log_format, LogFormat::Json);
    assert!(settings.database.url.is_none());
    assert_eq!(settings.database.pool_size, 16);
    assert_eq!(settings.database.spool_limit, 1 << 30);
    assert_eq!(settings.database.data_dir, PathBuf::from("/var/lib/df-middleware"));
    assert_eq!(
        settings.ghl.rate_limit,
        Rate {
            count: 80,
            period: Duration::from_secs(10)
        }
    );
    assert_eq!(settings.ghl.daily_limit, 200_000);
    assert!(settings.ghl.webhook_require_signature);
    assert_eq!(settings.ghl.webhook_public_keys.len(), 1);
    assert_eq!(settings.ghl.webhook_public_keys[0][..4], [0x8b, 0x61, 0xd1, 0xd6]);
    assert!(settings.aloware.allowed_events.is_empty());
    assert_eq!(settings.aloware.webhook_pass.expose_secret(), "a:b:c");
    assert!(settings.texting.webhook_secrets.is_empty());
    assert!(!settings.texting.sync_to_aloware);
    assert_eq!(settings.sync.contact_source_of_truth, SourceOfTruth::Merge);
    assert_eq!(settings.sync.default_region, "US");
    assert_eq!(
        (
            settings.jobs.batch_size,
            settings.jobs.concurrency,
            settings.jobs.retry_limit
        ),
        (100, 32, 10)
    );
    assert_eq!(settings.jobs.retry_max_delay, Duration::from_secs(3600));
    assert_eq!(settings.jobs.max_head_age, Duration::from_secs(86_400));
    assert_eq!(settings.http.timeout, Duration::from_secs(15));
    assert_eq!(settings.reconcile_cron.as_deref(), Some("0 0 3 * * *"));
    assert_eq!(settings.retention_done, Duration::from_secs(90 * 86_400));
}

#[test]
fn the_environment_wins_over_the_file_unless_it_is_empty() {
    let file = "[jobs]\nlease = \"30s\"\nbatch_size = 7\n";
    let settings = settings(file, &[("JOBS_LEASE", " 45s\n"), ("JOBS_BATCH_SIZE", "  ")]);
    assert_eq!(settings.jobs.lease, Duration::from_secs(45));
    assert_eq!(settings.jobs.batch_size, 7);
}

#[test]
fn the_old_names_of_the_texting_vendor_still_work() {
    let settings = settings(
        "",
        &[
            ("VERITY_BASE_URL", "https://old.example/v1/"),
            ("VERITY_API_KEY", "old"),
            ("TEXTING_API_KEY", "new"),
            ("VERITY_WEBHOOK_SECRET", "one, two"),
        ],
    );
    let texting = settings.texting;
    assert_eq!(texting.base_url.expect("set").as_str(), "https://old.example/v1");
    assert_eq!(
        texting.api_key.expect("set").expose_secret(),
        "new",
        "the new name wins"
    );
    let secrets: Vec<_> = texting
        .webhook_secrets
        .iter()
        .filter_map(|proof| match proof {
            TextingProof::Shared(secret) => Some(secret.expose_secret()),
            _ => None,
        })
        .collect();
    assert_eq!(secrets, ["one", "two"]);
    assert!(problem("", &[("TEXTING_WEBHOOK_SECRET", "a,b,c")]).contains("at most two"));
}

#[test]
fn a_secret_can_come_from_a_file() {
    let read = |path: &Path| match path.to_str() {
        Some("/run/secrets/admin") => Ok("from-a-file\n".to_owned()),
        Some("/run/secrets/empty") => Ok("\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let with = |path: &str, direct: &str| {
        let env = [("DF_ADMIN_SECRET", direct), ("DF_ADMIN_SECRET_FILE", path)];
        parse(None, owned(&REQUIRED).into_iter().chain(owned(&env)), read, &defaults())
    };
    let settings = with("/run/secrets/admin", "").expect("settings");
    assert_eq!(settings.admin_secret.expose_secret(), "from-a-file");
    for (path, direct, why) in [
        ("hunter2", "", "the file it names cannot be read"),
        ("/run/secrets/empty", "", "the file it names is empty"),
        (
            "/run/secrets/admin",
            "both",
            "set either DF_ADMIN_SECRET or DF_ADMIN_SECRET_FILE",
        ),
    ] {
        let report = with(path, direct).expect_err("a problem").to_string();
        assert!(
            report.starts_with("admin.secret (DF_ADMIN_SECRET_FILE): ") && report.contains(why),
            "{report}"
        );
        assert_eq!(report.lines().count(), 1, "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }
}

#[test]
fn a_command_that_needs_the_database_requires_nothing_else() {
    let env = [("DATABASE_URL", "postgres://ann:pw@db/df")];
    let database = parse_database(None, owned(&env), no_files, &defaults()).expect("a database");
    assert_eq!(database.url.expect("set").expose_secret(), "postgres://ann:pw@db/df");
    let report = parse_database(
        Some("[jobs]\nleese = 1\n"),
        owned(&[("DATABASE_URL", "mysql://x")]),
        no_files,
        &defaults(),
    )
    .expect_err("problems");
    assert_eq!(report.len(), 2);
    assert!(report.to_string().contains("jobs.leese: unknown key"));
    assert!(
        report
            .to_string()
            .contains("database.url (DATABASE_URL): is no connection string")
    );
}

#[test]
fn the_data_folder_is_required_where_none_can_be_guessed() {
    let homeless = Defaults::new(&BTreeMap::new(), false);
    let why = parse_database(None, owned(&[]), no_files, &homeless)
        .expect_err("no folder")
        .to_string();
    assert!(why.starts_with("database.data_dir: required; set DF_DATA_DIR"), "{why}");
}
