//! Lays file and environment over the defaults, and refuses whatever matches
//! no key of the table.
//!
//! Knows nothing of what a value means; that is `assemble`'s.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use toml::Value;

use super::keys::{self, Key, Kind};
use super::problems::did_you_mean;
use super::read::{Found, Origin, Reading, present};

impl Reading {
    pub(super) fn overlay_file(&mut self, text: &str) {
        let sections = match text.parse::<toml::Table>() {
            Ok(sections) => sections,
            Err(error) => return self.problems.add(syntax(text, &error)),
        };
        for (section, value) in sections {
            match value {
                Value::Table(entries) if keys::is_section(&section) => {
                    for (name, value) in entries {
                        self.overlay_entry(&format!("{section}.{name}"), value);
                    }
                }
                _ if keys::is_section(&section) => {
                    self.problems.add(format!(
                        "{section}: is a section; write [{section}] with its keys below"
                    ));
                }
                Value::Table(_) => {
                    let hint = did_you_mean(&section, keys::sections());
                    self.problems.add(format!("{section}: unknown section{hint}"));
                }
                _ => self
                    .problems
                    .add(format!("{section}: unknown key; every key stands in a [section]")),
            }
        }
    }

    fn overlay_entry(&mut self, name: &str, value: Value) {
        let Some(key) = keys::find(name) else {
            let hint = did_you_mean(name, keys::TABLE.iter().map(|key| key.name));
            return self.problems.add(format!("{name}: unknown key{hint}"));
        };
        let found = written(key.kind, value).unwrap_or_else(|why| {
            self.problems.add(format!("{name}: {why}"));
            Found::Refused
        });
        if found != Found::Unset {
            self.set(key, found, Origin::File);
        }
    }

    pub(super) fn overlay_environment(
        &mut self,
        env: BTreeMap<String, String>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) {
        for key in keys::TABLE {
            let hit = key
                .env
                .iter()
                .find_map(|variable| self.variable(key, variable, &env, &read));
            if let Some((found, origin)) = hit {
                self.set(key, found, origin);
            }
        }
        for (name, value) in &env {
            let known = keys::is_variable(name) || keys::NOT_SETTINGS.contains(&name.as_str());
            if name.starts_with("DF_") && !known && !is_foreign(name, value) {
                let hint = did_you_mean(name, keys::TABLE.iter().flat_map(|key| key.env.iter().copied()));
                self.problems
                    .add(format!("{name}: unknown setting in the environment{hint}"));
            }
        }
    }

    /// What `variable` or its `_FILE` says about `key`, if anything. The path
    /// is never repeated: people put the secret itself there.
    fn variable(
        &mut self,
        key: &Key,
        variable: &str,
        env: &BTreeMap<String, String>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Option<(Found, Origin)> {
        let direct = env.get(variable).and_then(|value| present(value));
        let file_variable = format!("{variable}_FILE");
        let path = env
            .get(&file_variable)
            .filter(|_| key.kind.is_secret())
            .and_then(|value| present(value));
        let Some(path) = path else {
            return direct.map(|text| (Found::One(text), Origin::Environment(variable.to_owned())));
        };
        let text = match (direct, read(Path::new(&path))) {
            (Some(_), _) => Err(format!("set either {variable} or {file_variable}, not both")),
            (None, Err(error)) => Err(format!("the file it names cannot be read: {error}")),
            (None, Ok(text)) => present(&text).ok_or_else(|| "the file it names is empty".to_owned()),
        };
        let found = text.map(Found::One).unwrap_or_else(|why| {
            self.problems.add(format!("{} ({file_variable}): {why}", key.name));
            Found::Refused
        });
        Some((found, Origin::Environment(file_variable)))
    }
}

fn written(kind: Kind, value: Value) -> Result<Found, String> {
    let expected = match kind {
        Kind::Integer => "a string or an integer",
        Kind::Switch => "true or false",
        Kind::List | Kind::Secrets => "a string or an array of strings",
        Kind::Text | Kind::Secret | Kind::SecretUrl => "a string",
    };
    let refused = |what: &str| Err(format!("expected {expected}, found {what}"));
    match value {
        Value::String(text) => Ok(present(&text).map_or(Found::Unset, Found::One)),
        Value::Integer(number) if kind == Kind::Integer => Ok(Found::One(number.to_string())),
        Value::Boolean(switch) if kind == Kind::Switch => Ok(Found::One(switch.to_string())),
        Value::Array(items) if kind.is_list() => {
            let texts: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            let Some(texts) = texts else {
                return refused("an array of something else");
            };
            let items: Vec<_> = texts.into_iter().filter_map(present).collect();
            Ok(if items.is_empty() {
                Found::Unset
            } else {
                Found::Many(items)
            })
        }
        Value::Integer(_) => refused("an integer"),
        Value::Float(_) => refused("a float"),
        Value::Boolean(_) => refused("a boolean"),
        Value::Datetime(_) => refused("a date"),
        Value::Array(_) => refused("an array"),
        Value::Table(_) => refused("a table"),
    }
}

/// Line and reason only: the parser's own report quotes the line, secrets
/// included.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!(
        "df-middleware.toml: line {line} is no TOML: {}",
        error.message().replace('\n', ", ")
    )
}

/// Variables with our prefix that others set: our tests, and Kubernetes or
/// Docker for a service whose name starts with `df-`.
fn is_foreign(name: &str, value: &str) -> bool {
    let linked = |scheme| value.starts_with(scheme);
    name.starts_with("DF_TEST_")
        || name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && ["tcp://", "udp://", "sctp://"].into_iter().any(linked))
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}
