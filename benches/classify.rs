//! How long one message takes to classify: p50 and p99 over the labelled set,
//! and the worst inputs. `cargo bench --bench classify`

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use df_middleware::compliance::{classify, words_version};
use serde::Deserialize;

#[derive(Deserialize)]
struct Message {
    body: String,
}

const ROUNDS: u32 = 200;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = std::fs::read_to_string(root.join("tests/fixtures/optout-own.jsonl"))?;
    let messages: Vec<Message> = set.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let first = Instant::now();
    black_box(classify("hello"));
    let load = micros(first);

    let mut times = Vec::with_capacity(messages.len() * ROUNDS as usize);
    for _ in 0..ROUNDS {
        for message in &messages {
            let start = Instant::now();
            black_box(classify(black_box(&message.body)));
            times.push(micros(start));
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get((times.len() - 1) * share / 1000).copied().unwrap_or(0.0);
    let report = serde_json::json!({
        "messages": messages.len(),
        "rounds": ROUNDS,
        "words_version": words_version(),
        "load_us": load,
        "p50_us": at(500),
        "p90_us": at(900),
        "p99_us": at(990),
        "max_us": at(1000),
        "worst_case_us": worst(),
    });
    let folder = root.join("target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("classify.json"), serde_json::to_vec_pretty(&report)?)?;
    println!("{report:#}");
    Ok(())
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// The slowest of several one-mebibyte bodies.
fn worst() -> serde_json::Value {
    let mebibyte = 1 << 20;
    let bodies = [
        ("plain", "and then we talked about the loan "),
        ("stops", "dont stop the these your all of "),
        ("one-word", "s"),
        ("zero-width", "\u{200b}"),
        ("marks", "e\u{301}\u{302}"),
        ("escapes", "&amp;<p>"),
        ("quotes", "Liked \u{201c}"),
    ];
    let timed = bodies.map(|(name, unit)| {
        let body = unit.repeat(mebibyte / unit.len());
        let start = Instant::now();
        black_box(classify(black_box(&body)));
        (name.to_owned(), serde_json::json!(micros(start)))
    });
    serde_json::Value::Object(timed.into_iter().collect())
}
