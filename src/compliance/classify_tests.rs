//! The decision procedure against the labelled sets, and its properties.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde::Deserialize;

use super::keywords::words;
use super::{Kind, VendorSignal, classify, decide};

#[derive(Deserialize)]
struct Case {
    body: String,
    label: String,
    #[serde(default)]
    alt: Option<String>,
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Stop => "stop",
        Kind::Start => "start",
        Kind::Help => "help",
        Kind::Review => "review",
        Kind::None => "none",
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a labelled file against the bar: no ordinary message opts out, no
/// request to stop or doubtful message passes as ordinary, start and help exact.
fn hold_to_the_bar(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).expect("labelled set");
    let cases: Vec<Case> = text.lines().map(|l| serde_json::from_str(l).expect("labelled line")).collect();
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut broken, mut inexact, mut neither) = (Vec::new(), 0, Vec::new());
    for case in &cases {
        let verdict = classify(&case.body);
        let got = name(verdict.kind);
        *table.entry((case.label.as_str(), got)).or_default() += 1;
        if got == case.label {
            continue;
        }
        inexact += 1;
        let told = format!("{:?}: {} not {} by {}", case.body, got, case.label, verdict.rule);
        if case.alt.as_deref() != Some(got) {
            neither.push(told.clone());
        } else if std::env::args().any(|a| a == "--nocapture") {
            println!("  alt  {told}");
        }
        let bad = match case.label.as_str() {
            "none" => got == "stop" || got == "start",
            "stop" | "review" => got == "none" && case.alt.as_deref() != Some("none") || got == "start",
            _ => true,
        };
        if bad {
            broken.push(told);
        }
    }
    println!("{}: {} messages, {inexact} not exact", file.display(), cases.len());
    for ((label, got), count) in &table {
        println!("  {label:>6} -> {got:<6} {count}");
    }
    neither.iter().for_each(|t| println!("  MISS {t}"));
    assert!(broken.is_empty(), "below the bar:\n{}", broken.join("\n"));
    neither.len()
}

#[test]
fn own_set_is_held_to_the_bar() {
    hold_to_the_bar(&root().join("tests/fixtures/optout-own.jsonl"));
}

#[test]
fn shared_corpus_is_held_to_the_bar_when_present() {
    let places = ["../shared", "../../shared"].map(|p| root().join(p).join("data/optout-corpus.jsonl"));
    match places.iter().find(|p| p.exists()) {
        Some(file) => {
            hold_to_the_bar(file);
        }
        None => println!("skipped: no optout-corpus.jsonl beside the repository (looked in ../shared/data, ../../shared/data)"),
    }
}

#[test]
fn scratch() {
    if Path::new("/tmp/own_b.jsonl").exists() {
        hold_to_the_bar(Path::new("/tmp/own_b.jsonl"));
    }
}

#[test]
fn every_line_of_the_word_files_is_understood() {
    assert!(words().problems.is_empty(), "{:#?}", words().problems);
    assert_ne!(super::words_version(), "none");
}
