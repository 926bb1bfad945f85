//! What an inbound text asks for: stop, start, help, a person's judgement, or
//! nothing. Pure; the steps are those of the opt-out decision procedure.

use std::borrow::Cow;

use super::classify_clauses::{Clauses, Found};
use super::classify_furniture::{after_reaction, signature, unescape, without_links};
use super::classify_whole::whole;
use super::classify_words::Text;
use super::fold::fold;
use super::fold_tables::{invisible, stop_sign};
use crate::domain::VendorSignal;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Consent is revoked: no further text.
    Stop,
    /// Opts back in (START or UNSTOP, nothing else).
    Start,
    /// Asks who we are and how to stop.
    Help,
    /// May be a revocation or a complaint: hold automated texts, ask a person.
    Review,
    /// An ordinary message.
    None,
}

/// A kind and the name of the rule that found it, for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What the message asks for.
    pub kind: Kind,
    /// Which rule said so; `legal` among the reviews is urgent.
    pub rule: &'static str,
}

impl Verdict {
    pub(super) fn new(kind: Kind, rule: &'static str) -> Self {
        Self { kind, rule }
    }
}

/// Bytes of a message that are read. Far above any text message; what is cut
/// off makes an otherwise ordinary message a matter for a person.
const READ: usize = 16 * 1024;

/// Reads a message body.
pub fn classify(body: &str) -> Verdict {
    let shown = body.trim_start_matches(|c: char| c.is_whitespace() || invisible(c));
    let head = shown.get(..shown.floor_char_boundary(READ)).unwrap_or(shown);
    let verdict = read(head);
    if verdict.kind == Kind::None && head.len() < shown.len() {
        return Verdict::new(Kind::Review, "unread-tail");
    }
    verdict
}

/// Reads a message body beside what the vendor made of it: its STOP always
/// wins, its START only counts when the body says so too.
pub fn decide(body: &str, signal: Option<VendorSignal>) -> Verdict {
    if signal == Some(VendorSignal::Stop) {
        return Verdict::new(Kind::Stop, "vendor-stop");
    }
    let verdict = classify(body);
    match (signal, verdict.kind) {
        (Some(VendorSignal::Start), Kind::None | Kind::Help) => Verdict::new(Kind::Review, "vendor-start-alone"),
        (Some(VendorSignal::Help), Kind::Start) => Verdict::new(Kind::Review, "vendor-disagrees"),
        (Some(VendorSignal::Help), Kind::None) => Verdict::new(Kind::Help, "vendor-help"),
        _ => verdict,
    }
}

fn read(raw: &str) -> Verdict {
    let unescaped = unescape(raw);
    let text = without_links(&unescaped);
    let Some(reaction) = after_reaction(&text) else {
        return message(&text);
    };
    if !reaction.rest.trim().is_empty() {
        let rest = message(reaction.rest);
        if rest.kind != Kind::None {
            return rest;
        }
    }
    match reaction.outside().map(|own| message(&own).kind) {
        Some(Kind::Stop) => Verdict::new(Kind::Review, "reaction-doubtful"),
        _ => Verdict::new(Kind::None, "reaction"),
    }
}

fn message(text: &str) -> Verdict {
    let (own, tail) = signature(text);
    let verdict = own_words(own);
    if verdict.kind != Kind::None || tail.is_empty() {
        return verdict;
    }
    // What stands below a signature mark is rarely the sender's, but may be.
    let quoted = tail
        .lines()
        .any(|l| l.starts_with('>') || l.trim_end().ends_with("wrote:"));
    match own_words(tail).kind {
        Kind::Stop if !quoted => Verdict::new(Kind::Review, "below-signature"),
        _ => verdict,
    }
}

fn own_words(own: &str) -> Verdict {
    let folded = fold(own);
    if folded.is_empty() {
        let sign = own.chars().any(stop_sign);
        return match sign {
            true => Verdict::new(Kind::Review, "emoji"),
            false => Verdict::new(Kind::None, "no-words"),
        };
    }
    let text = Text::of(&folded);
    if let Some(verdict) = whole(&text, &folded, own) {
        return verdict;
    }
    let clauses = Clauses::of(&text.words);
    match clauses.stop() {
        Found::Stop(rule) if clauses.retracted(rule) => Verdict::new(Kind::Review, "joking"),
        Found::Stop(rule) if clauses.forwarded() => Verdict::new(Kind::Review, rule),
        Found::Stop(rule) => Verdict::new(Kind::Stop, rule),
        Found::Held(rule) => Verdict::new(Kind::Review, clauses.net().unwrap_or(rule)),
        Found::Nothing => clauses
            .net()
            .map_or(Verdict::new(Kind::None, "ordinary"), |r| Verdict::new(Kind::Review, r)),
    }
}

/// Lower-case letters for signs and digits, for one attempt at a short message.
pub(super) fn unleet(own: &str) -> Option<Cow<'_, str>> {
    let own = own.trim();
    let letters = own.chars().any(char::is_alphabetic);
    let signs = own.chars().any(|c| super::fold_tables::leet(c).is_some());
    if own.len() > 32 || !letters || !signs {
        return None;
    }
    Some(
        own.chars()
            .map(|c| super::fold_tables::leet(c).unwrap_or(c))
            .collect::<String>()
            .into(),
    )
}
