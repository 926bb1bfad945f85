//! How `optout` prints what it found: lines for people, times in UTC.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::admin::opt_outs::{Review, Shown, Text};
use crate::store::opt_out_views::{Block, Effective, Past, Told};

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A stranger's words on one line, without anything a terminal would obey.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", plain.trim())
}

fn or_none(text: Option<&String>) -> &str {
    text.map_or("-", String::as_str)
}

/// One number.
pub(super) fn shown(number: &Shown) -> String {
    let mut out = String::new();
    let causes = number.causes.join(", ");
    let causes = if causes.is_empty() {
        String::new()
    } else {
        format!(" ({causes})")
    };
    line(&mut out, format_args!("{}: {}{causes}", number.phone, number.status));
    if number.history.is_empty() && number.blocks.is_empty() {
        line(&mut out, format_args!("nothing is known of this number"));
    }
    for block in &number.blocks {
        line(&mut out, format_args!("  {}", of_block(block, &number.history)));
    }
    for text in &number.reviews {
        line(&mut out, format_args!("  waits for a decision: {}", of_text(text)));
    }
    match (number.deliveries.is_empty(), number.status) {
        (true, "blocked") => line(&mut out, format_args!("told: nobody yet")),
        (true, _) => {}
        (false, _) => line(&mut out, format_args!("told:")),
    }
    for told in &number.deliveries {
        line(&mut out, format_args!("  {}", of_told(told)));
    }
    if !number.history.is_empty() {
        line(&mut out, format_args!("history:"));
    }
    for past in &number.history {
        line(&mut out, format_args!("  {}", of_past(past)));
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // What others wrote must not steer the operator's screen, nor look like a line of ours.
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    out.push_str(&text.to_string().replace(steers, " "));
    out.push('\n');
}

fn of_block(block: &Block, history: &[Past]) -> String {
    let at = time(block.changed_at);
    let reason = or_none(block.reason.as_ref());
    let Some(by) = block.lifted_by.as_ref().filter(|_| !block.active) else {
        let same = |past: &&Past| {
            (&past.cause, &past.source, past.occurred_at) == (&block.cause, &block.source, block.changed_at)
        };
        let words = history.iter().find(same).and_then(|past| past.evidence.as_deref());
        let words = words.map(|words| format!(", {}", quoted(words))).unwrap_or_default();
        return format!("{} by {} since {at}: {reason}{words}", block.cause, block.source);
    };
    format!(
        "{} by {} was lifted by {by} at {at}: {reason}",
        block.cause, block.source
    )
}

fn of_text(text: &Text) -> String {
    let words = text.text.as_deref().map(quoted).unwrap_or_default();
    let (source, rule) = (&text.source, or_none(text.rule.as_ref()));
    format!(
        "{words} by {source} at {} (rule {rule}), a STOP by itself at {}",
        time(text.at),
        time(text.due)
    )
}

fn of_told(told: &Told) -> String {
    let action = if told.action == "block" { "opt-out" } else { "opt-in" };
    let begin = format!("{:8}{action:8}", told.system);
    match (told.confirmed_at, &told.waived) {
        (Some(at), _) => {
            let proof = told.confirmation.as_ref().map(of_proof).unwrap_or_default();
            format!("{begin}confirmed {}{proof}", time(at))
        }
        (None, Some(why)) => format!("{begin}not needed: {why}"),
        (None, None) => format!("{begin}NOT CONFIRMED since {}", time(told.requested_at)),
    }
}

/// `, key value` for each part of the proof.
fn of_proof(proof: &Value) -> String {
    let parts = proof.as_object().into_iter().flatten();
    parts
        .map(|(name, value)| format!(", {name} {}", plain(value)))
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("+"),
        other => other.to_string(),
    }
}

fn of_past(past: &Past) -> String {
    let mut text = format!(
        "{} {} {} by {}",
        time(past.occurred_at),
        past.action,
        past.cause,
        past.source
    );
    if let Some(reason) = &past.reason {
        text += &format!(": {reason}");
    }
    if let Some(words) = &past.evidence {
        text += &format!(", {}", quoted(words));
    }
    if let Some(by) = &past.decided_by {
        text += &format!(", decided by {by}");
    }
    text
}

/// The numbers that are opted out.
pub(super) fn listed(rows: &[Effective]) -> String {
    let mut out = String::new();
    for row in rows {
        let reason = or_none(row.reason.as_ref());
        let (phone, at) = (&row.phone, time(row.last_event_at));
        line(
            &mut out,
            format_args!("{phone:17} since {at} by {}: {reason}", row.source),
        );
    }
    line(&mut out, format_args!("{} opted out", rows.len()));
    out
}

/// The texts that wait.
pub(super) fn waiting(queue: &[Review]) -> String {
    let mut out = String::new();
    for review in queue {
        line(
            &mut out,
            format_args!("{}: to be decided by {}", review.phone, time(review.due)),
        );
        for text in &review.texts {
            line(&mut out, format_args!("  {}", of_text(text)));
        }
    }
    line(&mut out, format_args!("{} to be decided", queue.len()));
    out
}
