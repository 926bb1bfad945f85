//! `df-middleware config` and the manual against the table.

use super::super::describe;
use super::super::keys::{Fallback, TABLE};
use super::super::read::{Found, Reading};
use super::{REQUIRED, defaults, no_files, owned, settings};

const MANUAL: &str = include_str!("../../../df-middleware.toml");

#[test]
fn the_effective_settings_tell_value_and_origin_of_every_key() {
    let file = "[jobs]\nbatch_size = 7\n[aloware]\nallowed_events = [\"a\", \"b\"]\n";
    let env = [
        ("DATABASE_URL", "postgres://ann:pw@db/df"),
        ("VERITY_API_KEY", "k"),
        ("DF_LOG", "debug"),
    ];
    let effective = describe(
        Some(file),
        owned(&REQUIRED).into_iter().chain(owned(&env)),
        no_files,
        &defaults(),
    );
    assert!(effective.problems.is_empty());
    let printed = effective.to_string();
    for line in [
        "server.bind = \"127.0.0.1:8080\"   # from default",
        "server.log = \"debug\"   # from environment (DF_LOG)",
        "database.url = \"postgres://ann:********@db/df\"   # from environment (DATABASE_URL)",
        "database.pool_size = 16   # from default",
        "ghl.webhook_secret = \"\"   # from default",
        "ghl.webhook_require_signature = true   # from default",
        "aloware.allowed_events = [\"a\", \"b\"]   # from file",
        "texting.api_key = \"********\"   # from environment (VERITY_API_KEY)",
        "jobs.batch_size = 7   # from file",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in\n{printed}");
    }
    let keys: Vec<_> = effective.lines.iter().map(|line| line.key).collect();
    assert_eq!(keys, TABLE.iter().map(|key| key.name).collect::<Vec<_>>());
    assert_eq!(
        settings(&printed, &[]).jobs.batch_size,
        7,
        "it is a configuration again"
    );
}

#[test]
fn the_effective_settings_are_shown_even_when_they_are_wrong() {
    let effective = describe(
        Some("[jobs]\nlease = 5\n"),
        owned(&[("DF_BIND", "here")]),
        no_files,
        &defaults(),
    );
    let printed = effective.to_string();
    assert!(printed.contains("server.bind = \"here\"   # from environment (DF_BIND)\n"));
    assert!(printed.contains("jobs.lease = \"\"   # from file, refused\n"));
    assert_eq!(effective.problems.len(), REQUIRED.len() + 2);
}

/// Key, default and comment of every setting the manual shows.
fn manual() -> Vec<(String, String, String)> {
    let mut shown = Vec::new();
    let (mut section, mut comment) = (String::new(), String::new());
    for line in MANUAL.lines() {
        let name = |(name, value): (&str, &str)| {
            let word = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            word.then(|| (name.to_owned(), value.to_owned()))
        };
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        } else if let Some((name, value)) = line.strip_prefix("# ").and_then(|l| l.split_once(" = ")).and_then(name) {
            shown.push((format!("{section}.{name}"), value, std::mem::take(&mut comment)));
        } else if line.is_empty() {
            comment.clear();
        } else {
            comment.push_str(line);
            comment.push(' ');
        }
    }
    shown
}

#[test]
fn the_manual_documents_every_key_in_the_order_of_the_table() {
    let manual = manual();
    let shown: Vec<_> = manual.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(shown, TABLE.iter().map(|key| key.name).collect::<Vec<_>>());
    for ((name, _, comment), key) in manual.iter().zip(TABLE) {
        let words: Vec<_> = comment
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        assert!(
            key.env.iter().all(|variable| words.contains(variable)),
            "{name} names {:?}",
            key.env
        );
        assert_eq!(
            comment.contains("secret)") || comment.contains("(secret"),
            key.kind.is_secret(),
            "{name}"
        );
        assert_eq!(
            comment.contains("required)"),
            key.fallback == Fallback::Required,
            "{name}"
        );
    }
}

#[test]
fn the_manual_states_the_defaults_of_the_table() {
    let uncommented: String = manual()
        .iter()
        .map(|(key, value, _)| format!("{key} = {value}\n"))
        .collect();
    let stated = Reading::of(Some(&uncommented), owned(&[]), no_files, &defaults());
    let table = Reading::of(None, owned(&[]), no_files, &defaults());
    assert!(stated.problems.is_empty(), "{}", stated.problems);
    for key in TABLE {
        assert!(stated.get(key).0 == table.get(key).0, "{}", key.name);
        assert!(
            !matches!(stated.get(key).0, Found::Refused | Found::Many(_)),
            "{}",
            key.name
        );
    }
}

#[test]
fn the_manual_is_a_configuration_that_changes_nothing() {
    assert_eq!(
        format!("{:?}", settings(MANUAL, &[])),
        format!("{:?}", settings("", &[]))
    );
}
