//! For every key of the table its text and origin, and the way to read it as
//! a type with its problem noted.
//!
//! Nothing here prints (`Debug` included): the texts may be secrets.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::keys::{self, Fallback, Key};
use super::{Defaults, Problems};

/// Values longer than this are not repeated in a problem.
const LONGEST_ECHO: usize = 60;

/// What one key holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Unset,
    /// A trimmed text that is not empty.
    One(String),
    /// A list of them, written as an array.
    Many(Vec<String>),
    /// Something unusable; its problem is noted.
    Refused,
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File,
    /// This variable.
    Environment(String),
}

/// Every key of the table with its text, and the problems so far.
pub(super) struct Reading {
    found: BTreeMap<&'static str, (Found, Origin)>,
    pub(super) problems: Problems,
}

impl Reading {
    pub(super) fn of(
        file: Option<&str>,
        env: impl IntoIterator<Item = (String, String)>,
        read: impl Fn(&Path) -> io::Result<String>,
        defaults: &Defaults,
    ) -> Self {
        let found = keys::TABLE
            .iter()
            .map(|key| (key.name, (fallback(key, defaults), Origin::Default)))
            .collect();
        let mut reading = Self {
            found,
            problems: Problems::default(),
        };
        reading.overlay_file(file.unwrap_or_default());
        reading.overlay_environment(env.into_iter().collect(), read);
        reading
    }

    /// The text of a key and where it comes from.
    pub(super) fn get(&self, key: &Key) -> (&Found, &Origin) {
        self.found
            .get(key.name)
            .map_or((&Found::Unset, &Origin::Default), |(found, origin)| (found, origin))
    }

    /// Puts a text in place of what was found before.
    pub(super) fn set(&mut self, key: &Key, found: Found, origin: Origin) {
        self.found.insert(key.name, (found, origin));
    }

    /// A value that must be there. `None` when its problem is noted.
    pub(super) fn need<T>(&mut self, key: &Key, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.want(key, read)?;
        if value.is_none() {
            let variable = key.env.first().copied().unwrap_or_default();
            self.problems.add(format!(
                "{}: required; set {variable}, or {} in df-middleware.toml",
                key.name, key.name
            ));
        }
        value
    }

    /// A value that may be unset. `None` when its problem is noted.
    pub(super) fn want<T>(&mut self, key: &Key, read: impl Fn(&str) -> Result<T, String>) -> Option<Option<T>> {
        match self.get(key).0.clone() {
            Found::Unset => Some(None),
            Found::One(text) => match read(&text) {
                Ok(value) => Some(Some(value)),
                Err(why) => {
                    self.refuse(key, &why, Some(&text));
                    None
                }
            },
            Found::Many(_) | Found::Refused => None,
        }
    }

    /// A list; unset is empty. `None` when its problem is noted.
    pub(super) fn list<T>(&mut self, key: &Key, read: impl Fn(Vec<String>) -> Result<T, String>) -> Option<T> {
        let items = match self.get(key).0.clone() {
            Found::Unset => Vec::new(),
            Found::One(text) => text.split(',').filter_map(present).collect(),
            Found::Many(items) => items,
            Found::Refused => return None,
        };
        let echo = items.join(",");
        match read(items) {
            Ok(value) => Some(value),
            Err(why) => {
                self.refuse(key, &why, Some(&echo));
                None
            }
        }
    }

    /// Notes that the value of `key` is unusable, repeating it only when it
    /// can hold no secret.
    pub(super) fn refuse(&mut self, key: &Key, why: &str, value: Option<&str>) {
        let place = match self.get(key).1 {
            Origin::Environment(variable) => format!("{} ({variable})", key.name),
            Origin::File | Origin::Default => key.name.to_owned(),
        };
        let echo = value
            .filter(|text| !key.kind.is_secret() && text.len() <= LONGEST_ECHO)
            .filter(|text| !text.contains('@') && !text.contains(char::is_control))
            .map(|text| format!(" (found {text:?})"))
            .unwrap_or_default();
        self.problems.add(format!("{place}: {why}{echo}"));
    }
}

fn fallback(key: &Key, defaults: &Defaults) -> Found {
    match key.fallback {
        Fallback::Is(text) => Found::One(text.to_owned()),
        Fallback::Bind => Found::One(defaults.bind.to_string()),
        Fallback::DataDir => defaults
            .data_dir
            .as_ref()
            .map_or(Found::Unset, |path| Found::One(path.display().to_string())),
        Fallback::Unset | Fallback::Required => Found::Unset,
    }
}

/// Trimmed, and `None` when nothing is left.
pub(super) fn present(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
