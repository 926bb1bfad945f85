//! One table for people, one JSON file for machines.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Rows in groups, collected while the bench runs.
pub(crate) struct Table {
    machine: Vec<(String, String)>,
    groups: Vec<(String, Vec<Row>)>,
    notes: Vec<String>,
}

struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    goals: Goals,
}

/// What a number should be: now, and when the engine is at its best.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Goals {
    more_is_better: bool,
    now: Option<f64>,
    later: Option<f64>,
}

/// A number without a target.
pub(crate) fn fact() -> Goals {
    Goals::default()
}

/// A number that should be at least `now`; negative infinity stands for "no target yet".
pub(crate) fn at_least(now: f64, later: Option<f64>) -> Goals {
    Goals {
        more_is_better: true,
        now: now.is_finite().then_some(now),
        later,
    }
}

/// A number that should be at most that.
pub(crate) fn at_most(now: Option<f64>, later: f64) -> Goals {
    Goals {
        more_is_better: false,
        now,
        later: Some(later),
    }
}

impl Goals {
    fn shown(self, goal: Option<f64>, value: f64) -> String {
        let Some(goal) = goal else {
            return String::new();
        };
        let met = if self.more_is_better {
            value >= goal
        } else {
            value <= goal
        };
        let sign = if self.more_is_better { '≥' } else { '≤' };
        format!("{sign} {} {}", figure(goal), if met { "met" } else { "MISSED" })
    }
}

impl Table {
    pub(crate) fn new(machine: Vec<(String, String)>) -> Self {
        Self {
            machine,
            groups: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn group(&mut self, title: &str) {
        self.groups.push((title.to_owned(), Vec::new()));
    }

    pub(crate) fn row(&mut self, name: &str, value: f64, unit: &'static str, goals: Goals) {
        let (_, rows) = self.groups.last_mut().expect("a group before its rows");
        rows.push(Row {
            name: name.to_owned(),
            value,
            unit,
            goals,
        });
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    pub(crate) fn print(&self) {
        println!();
        for (name, value) in &self.machine {
            println!("{name:<20} {value}");
        }
        println!("\n{:<42} {:>10} {:<8} {:<18} later", "", "measured", "", "target");
        for (title, rows) in &self.groups {
            println!("{title}");
            for row in rows {
                let (now, later) = (
                    row.goals.shown(row.goals.now, row.value),
                    row.goals.shown(row.goals.later, row.value),
                );
                println!(
                    "  {:<40} {:>10} {:<8} {now:<18} {later}",
                    row.name,
                    figure(row.value),
                    row.unit
                );
            }
        }
        for note in &self.notes {
            println!("\n{note}");
        }
    }

    /// Writes `target/bench/<bench>.json`.
    pub(crate) fn save(&self, bench: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{bench}.json"));
        std::fs::write(&path, serde_json::to_string_pretty(&self.json()).unwrap()).unwrap();
        path
    }

    fn json(&self) -> Value {
        let rows = self.groups.iter().flat_map(|(title, rows)| {
            rows.iter().map(move |row| {
                json!({"group": title, "name": row.name, "value": row.value, "unit": row.unit,
                    "target": row.goals.now, "later": row.goals.later, "more_is_better": row.goals.more_is_better})
            })
        });
        let machine: serde_json::Map<String, Value> = self
            .machine
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({"machine": machine, "rows": rows.collect::<Vec<_>>(), "notes": self.notes})
    }
}

/// Three digits that matter; thousands apart.
fn figure(value: f64) -> String {
    if value.abs() < 100.0 {
        let digits = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.digits$}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}
