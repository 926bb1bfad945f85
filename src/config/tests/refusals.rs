//! What is refused, under which name, and what a refusal never shows.

use super::super::keys::{Fallback, TABLE};
use super::super::{describe, parse};
use super::{REQUIRED, defaults, no_files, owned, parsed, problem, settings};

#[test]
fn a_missing_required_setting_is_named_by_key_and_variable() {
    let problems = parse(None, owned(&[]), no_files, &defaults()).expect_err("nothing is set");
    assert_eq!(problems.len(), REQUIRED.len());
    for (variable, _) in REQUIRED {
        let key = TABLE.iter().find(|key| key.env.contains(&variable)).expect("a key");
        assert_eq!(key.fallback, Fallback::Required);
        assert!(
            problems
                .iter()
                .any(|line| line.contains(variable) && line.contains(key.name)),
            "{variable}"
        );
    }
}

#[test]
fn an_empty_required_setting_is_missing() {
    let why = problem("[admin]\nsecret = \" \"\n", &[("DF_ADMIN_SECRET", "")]);
    assert!(why.contains("admin.secret") && why.contains("DF_ADMIN_SECRET"), "{why}");
}

#[test]
fn unknown_keys_and_sections_are_refused_by_name() {
    assert_eq!(
        problem("[ghl]\napi_kee = 1\n", &[]),
        "ghl.api_kee: unknown key; did you mean ghl.api_key?"
    );
    assert_eq!(
        problem("[jobz]\nlease = 1\n", &[]),
        "jobz: unknown section; did you mean jobs?"
    );
    assert_eq!(
        problem("lease = \"5s\"\n", &[]),
        "lease: unknown key; every key stands in a [section]"
    );
    assert_eq!(
        problem("jobs = 5\n", &[]),
        "jobs: is a section; write [jobs] with its keys below"
    );
}

#[test]
fn a_variable_with_our_prefix_must_be_a_setting() {
    assert_eq!(
        problem("", &[("DF_BINDD", "x")]),
        "DF_BINDD: unknown setting in the environment; did you mean DF_BIND?"
    );
    assert!(problem("", &[("DF_JOBS_SECRET", "x")]).contains("did you mean X_DF_JOBS_SECRET?"));
}

#[test]
fn variables_of_others_are_left_alone() {
    let foreign = [
        ("DF_CONFIG", "/etc/df.toml"),
        ("DF_CONTAINER", "1"),
        ("DF_TEST_DATABASE_URL", "x"),
        ("DF_MIDDLEWARE_SERVICE_HOST", "10.0.0.1"),
        ("DF_MIDDLEWARE_SERVICE_PORT_HTTP", "8080"),
        ("DF_MIDDLEWARE_PORT", "tcp://10.0.0.1:8080"),
        ("DF_MIDDLEWARE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("PATH", "/bin"),
        ("GHL_SOMETHING", "x"),
    ];
    settings("", &foreign);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_name() {
    assert_eq!(
        problem("[jobs]\nlease = 60\n", &[]),
        "jobs.lease: expected a string, found an integer"
    );
    assert_eq!(
        problem("[server]\nlog = [\"info\"]\n", &[]),
        "server.log: expected a string, found an array"
    );
    assert_eq!(
        problem("[aloware]\nallowed_events = [1]\n", &[]),
        "aloware.allowed_events: expected a string or an array of strings, found an array of something else"
    );
}

#[test]
fn an_unknown_choice_is_refused_with_the_choices() {
    let why = problem("", &[("CONTACT_SOURCE_OF_TRUTH", "hubspot")]);
    assert!(
        why.starts_with("sync.contact_source_of_truth (CONTACT_SOURCE_OF_TRUTH): "),
        "{why}"
    );
    assert!(
        why.contains("ghl or aloware or merge") && why.contains("hubspot"),
        "{why}"
    );
    assert!(problem("", &[("TEXTING_SYNC_TO_ALOWARE", "yes")]).contains("true or false"));
    assert!(problem("", &[("TEXTING_VENDOR", "acme")]).contains("must be generic or telnyx"));
    assert!(problem("", &[("DF_LOG_FORMAT", "xml")]).contains("json or pretty"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let file = "[server]\nbnd = \"x\"\n[nonsense]\n[jobs]\nlease = \"0s\"\n";
    let env = [
        ("GHL_RATE_LIMIT", "many"),
        ("DF_DEFAULT_REGION", "USA"),
        ("GHL_API_KEY", ""),
    ];
    let problems = parsed(file, &env).expect_err("problems");
    let report = problems.to_string();
    for name in [
        "server.bnd",
        "nonsense",
        "jobs.lease",
        "GHL_RATE_LIMIT",
        "DF_DEFAULT_REGION",
        "ghl.api_key",
    ] {
        assert_eq!(
            report.lines().filter(|line| line.contains(name)).count(),
            1,
            "{name} in\n{report}"
        );
    }
    assert_eq!(report.lines().count(), 6);
}

#[test]
fn secrets_are_never_printed() {
    let bad = "hunter2\nhunter2:,hunter2,hunter2,hunter2";
    let secrets: Vec<_> = TABLE.iter().filter(|key| key.kind.is_secret()).collect();
    assert_eq!(secrets.len(), 13);
    let env: Vec<_> = secrets.iter().map(|key| (key.env[0], bad)).collect();
    let problems = parsed("", &env).expect_err("control characters");
    assert_eq!(problems.len(), secrets.len(), "{problems}");
    let effective = describe(None, owned(&env), no_files, &defaults());
    for text in [
        problems.to_string(),
        format!("{problems:?}"),
        effective.to_string(),
        format!("{effective:?}"),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let good: Vec<_> = secrets
        .iter()
        .map(|key| (key.env[0], "https://hunter2.example"))
        .collect();
    let good = [
        &good[..],
        &[
            ("ALOWARE_WEBHOOK_BASIC_USER", "hunter2"),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
        ],
    ];
    let settings = settings("", &good.concat());
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_file_that_is_no_toml_is_refused_without_quoting_it() {
    for line in [
        "api_key = \"hunter2",
        "api_key = hunter2",
        "hunter2",
        "api_key = 'hunter2' 'hunter2'",
    ] {
        let why = problem(&format!("[ghl]\n\n{line}\n"), &[]);
        assert!(why.starts_with("df-middleware.toml: line 3 is no TOML"), "{why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[test]
fn the_confirmation_of_a_stop_is_one_plain_part_and_the_only_one() {
    let refused = |text: &str| problem("", &[("TEXTING_STOP_REPLY", text)]);
    for link in ["See https://a.example", "Bye. www.acme.com", "bit.ly/x"] {
        assert!(refused(link).contains("must not contain a link"), "{link}");
    }
    assert!(refused(&"a".repeat(161)).contains("longer than one part"));
    assert!(refused(&"—".repeat(71)).contains("longer than one part"));
    let both = |vendor| [("TEXTING_STOP_REPLY", "You are opted out."), ("TEXTING_VENDOR", vendor)];
    for vendor in ["twilio", "telnyx", "plivo", "simpletexting"] {
        assert!(problem("", &both(vendor)).contains("answers a STOP itself"), "{vendor}");
    }
    let kept = settings("", &[("TEXTING_STOP_REPLY", "Opted out at 9 a.m. No more texts.")]);
    assert!(kept.texting.stop_reply.is_some());
}

#[test]
fn send_records_are_kept_for_as_long_as_they_are_counted() {
    let why = problem("", &[("TEXTING_RECIPIENT_LIMIT", "3/7d"), ("DF_RETENTION_DONE", "6d")]);
    assert!(
        why.contains("retention.done_events") && why.contains("recipient_limit"),
        "{why}"
    );
    assert_eq!(
        settings("", &[("TEXTING_RECIPIENT_LIMIT", "3/7d")])
            .texting
            .recipient_limit
            .count,
        3
    );
}
