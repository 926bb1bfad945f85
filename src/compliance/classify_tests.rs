//! The decision procedure against the labelled sets, and its properties.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde::Deserialize;

use super::keywords::words;
use super::{Kind, classify, decide};
use crate::domain::VendorSignal;

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
    let cases: Vec<Case> = text
        .lines()
        .map(|l| serde_json::from_str(l).expect("labelled line"))
        .collect();
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
        None => println!(
            "skipped: no optout-corpus.jsonl beside the repository (looked in ../shared/data, ../../shared/data)"
        ),
    }
}

#[test]
fn every_line_of_the_word_files_is_understood() {
    assert!(words().problems.is_empty(), "{:#?}", words().problems);
    assert_ne!(super::words_version(), "none");
}

#[test]
fn own_set_is_well_formed() {
    let text = std::fs::read_to_string(root().join("tests/fixtures/optout-own.jsonl")).expect("own set");
    let cases: Vec<Case> = text
        .lines()
        .map(|l| serde_json::from_str(l).expect("labelled line"))
        .collect();
    let bodies: std::collections::BTreeSet<&str> = cases.iter().map(|c| c.body.as_str()).collect();
    assert!(cases.len() >= 220);
    assert_eq!(bodies.len(), cases.len(), "a message is listed twice");
    let known = ["stop", "none", "review", "start", "help"];
    assert!(cases.iter().all(|c| known.contains(&c.label.as_str())));
}

#[test]
fn the_vendor_stop_wins_and_its_start_needs_the_word() {
    let with = |body, signal| decide(body, Some(signal)).kind;
    for body in ["START", "see you Friday", "help", "", "don't stop texting me"] {
        assert_eq!(with(body, VendorSignal::Stop), Kind::Stop, "{body}");
    }
    assert_eq!(with("START", VendorSignal::Start), Kind::Start);
    assert_eq!(with("yes", VendorSignal::Start), Kind::Review);
    assert_eq!(with("go", VendorSignal::Start), Kind::Review);
    assert_eq!(with("stop texting me", VendorSignal::Start), Kind::Stop);
    assert_eq!(with("yes", VendorSignal::Help), Kind::Help);
    assert_eq!(with("STOP", VendorSignal::Help), Kind::Stop);
    assert_eq!(with("START", VendorSignal::Help), Kind::Review);
    assert_eq!(decide("START", None).kind, Kind::Start);
    assert_eq!(decide("yes", None).kind, Kind::None);
}

#[test]
fn a_reaction_hides_its_quotation_but_not_what_follows_it() {
    let kind = |body: &str| classify(body).kind;
    assert_eq!(kind("Loved “Reply STOP to end”"), Kind::None);
    assert_eq!(kind("Loved “Reply STOP to end” now stop texting me"), Kind::Stop);
    assert_eq!(kind("Liked \"Reply STOP to end\"\nSTOP"), Kind::Stop);
    assert_eq!(kind("Liked \"that\" stop texting me \"now\""), Kind::Review);
    assert_eq!(kind("I said “stop texting me”"), Kind::Stop);
}

#[test]
fn an_opt_in_is_never_read_into_an_odd_spelling() {
    for body in [
        "ST4RT",
        "S T A R T",
        "stárt",
        "STАRT",
        "🆂🆃🅰🆁🆃",
        "startt",
        "ok start",
        "START 2",
        "unst0p",
    ] {
        assert_eq!(classify(body).kind, Kind::Review, "{body}");
    }
}

#[test]
fn a_signature_may_hide_a_request_but_a_quoted_reply_does_not() {
    assert_eq!(classify("Sounds good\n--\nplease stop texting me").kind, Kind::Review);
    assert_eq!(
        classify("Sounds good\n\nOn Monday Ann wrote:\n> Reply STOP\n> stop texting me").kind,
        Kind::None
    );
}

#[test]
fn a_huge_body_is_read_at_its_head_and_never_passed_over() {
    let filler = "we looked at the house again ".repeat(40_000);
    assert_eq!(classify(&format!("STOP\n{filler}")).kind, Kind::Stop);
    assert_eq!(classify(&format!("stop texting me. {filler}")).kind, Kind::Stop);
    assert_eq!(
        classify(&format!("{}STOP", "\u{200b} ".repeat(300_000))).kind,
        Kind::Stop
    );
    assert_eq!(classify(&format!("{filler} stop texting me")).rule, "unread-tail");
}

/// Invisible characters that may be sprinkled into a word.
const SPRINKLES: [&str; 6] = ["", "\u{200b}", "\u{200d}", "\u{2060}", "\u{ad}", "\u{feff}"];
/// What may stand around a word.
const EDGES: [&str; 12] = ["", " ", ".", "!", "?!", "...", "\"", "*", "(", ")", "\n", " - "];

proptest! {
    #[test]
    fn any_text_is_classified(body in "\\PC{0,200}") {
        classify(&body);
    }

    #[test]
    fn any_bytes_are_classified(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        classify(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_row_of_listed_words_is_classified(
        picks in proptest::collection::vec(prop_oneof![
            Just("stop"), Just("don't"), Just("texting"), Just("me"), Just("“"), Just("\n"), Just("&#x"),
            Just("Liked"), Just("or"), Just("and"), Just("reply"), Just("the"), Just("s"), Just("🇸"), Just("."),
        ], 0..60),
    ) {
        classify(&picks.join(" "));
    }

    #[test]
    fn dressing_does_not_change_a_keyword(
        word in prop_oneof![
            Just("stop"), Just("quit"), Just("end"), Just("cancel"), Just("revoke"), Just("unsubscribe"),
            Just("opt out"), Just("stopall"), Just("start"), Just("unstop"), Just("help"), Just("info"),
        ],
        upper in proptest::collection::vec(any::<bool>(), 16),
        sprinkle in proptest::collection::vec(0..SPRINKLES.len(), 16),
        left in 0..EDGES.len(),
        right in 0..EDGES.len(),
    ) {
        let dressed: String = word
            .chars()
            .zip(upper.iter().zip(&sprinkle))
            .map(|(c, (up, s))| format!("{}{}", if *up { c.to_ascii_uppercase() } else { c }, SPRINKLES[*s]))
            .collect();
        let body = format!("{}{dressed}{}", EDGES[left], EDGES[right]);
        prop_assert_eq!(classify(&body).kind, classify(word).kind, "{:?}", body);
    }
}
