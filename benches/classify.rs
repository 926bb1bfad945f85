//! How long one message takes to classify: over the labelled set, and the worst
//! inputs of a mebibyte.
//!
//! ```text
//! cargo bench --bench classify                 seconds
//! cargo bench --bench classify -- --quick      a smoke run
//! ```
//! Prints one table and writes `target/bench/classify.json`. Asserts no time.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench that cannot go on ends; clippy.toml exempts test functions only"
)]

#[path = "shared/machine.rs"]
mod machine;
#[expect(dead_code, reason = "each bench sets goals of its own kind")]
#[path = "shared/table.rs"]
mod table;
#[path = "shared/times.rs"]
mod times;

use std::hint::black_box;
use std::path::Path;

use df_middleware::compliance::{classify, words_version};
use serde::Deserialize;
use table::{Table, fact};
use times::Times;

#[derive(Deserialize)]
struct Message {
    body: String,
}

const MEBIBYTE: usize = 1 << 20;

/// What may be slow, repeated up to a mebibyte.
const WORST: [(&str, &str); 7] = [
    ("plain", "and then we talked about the loan "),
    ("stops", "dont stop the these your all of "),
    ("one word", "s"),
    ("zero-width", "\u{200b}"),
    ("marks", "e\u{301}\u{302}"),
    ("escapes", "&amp;<p>"),
    ("quotes", "Liked \u{201c}"),
];

fn main() {
    let rounds = if times::is_quick() { 5 } else { 200 };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/optout-own.jsonl");
    let set = std::fs::read_to_string(path).unwrap();
    let messages: Vec<Message> = set.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut load = Times::default();
    load.time(|| black_box(classify("hello")));

    let mut times = Times::default();
    for _ in 0..rounds {
        for message in &messages {
            times.time(|| black_box(classify(black_box(&message.body))));
        }
    }
    let mut machine = machine::describe();
    machine.push(("word lists".to_owned(), words_version().to_owned()));
    let mut table = Table::new(machine);
    table.group(&format!("{} labelled messages, {rounds} times each", messages.len()));
    table.row("p50", times.p50(), "µs", fact());
    table.row("p90", times.at(900), "µs", fact());
    table.row("p99", times.p99(), "µs", fact());
    table.row("longest", times.at(1000), "µs", fact());
    table.row("loading the words, once", load.p50() / 1e3, "ms", fact());
    table.group("a mebibyte of");
    for (name, unit) in WORST {
        let body = unit.repeat(MEBIBYTE / unit.len());
        let mut once = Times::default();
        once.time(|| black_box(classify(black_box(&body))));
        table.row(name, once.p50() / 1e3, "ms", fact());
    }
    table.print();
    println!("written to {}", table.save("classify").display());
}
