//! When a stop pattern does not mean stop: negated, past, about other people,
//! limited in time, or about something other than texting.

use std::sync::LazyLock;

use super::keywords::{Word, words};
use super::keywords_pattern::{Effect, Marks, Pattern};

/// The word classes and words the clause rules ask for.
pub(super) struct Classes {
    pub(super) marks: Marks,
    pub(super) you: u64,
    pub(super) myself: u64,
    pub(super) third: u64,
    pub(super) neg: u64,
    pub(super) plea: u64,
    pub(super) ask: u64,
    pub(super) link: u64,
    pub(super) time: u64,
    pub(super) other: u64,
    pub(super) noun: u64,
    pub(super) junk: u64,
    pub(super) conj: u64,
    pub(super) joined: u64,
    pub(super) contact: u64,
    pub(super) much: u64,
    pub(super) article: u64,
    pub(super) span: u64,
    pub(super) r#for: u16,
    pub(super) why: u16,
    pub(super) dont: u16,
    pub(super) and: u16,
    pub(super) but: u16,
    pub(super) or_else: u64,
}

pub(super) static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let class = |name: &str| words().class(name);
    let id = |word: &str| words().look_up(word).map_or(0, |(id, _)| id);
    Classes {
        marks: Marks {
            filler: class("@filler"),
            tail: class("@tail"),
        },
        you: class("@you"),
        myself: class("@self"),
        third: class("@third"),
        neg: class("@neg"),
        plea: class("@plea"),
        ask: class("@ask"),
        link: class("@link"),
        time: class("@time"),
        other: class("@other"),
        noun: class("@noun"),
        junk: class("@junk"),
        conj: class("@conj"),
        joined: class("@joined"),
        contact: class("@contactword"),
        much: class("@much"),
        article: class("@article"),
        span: class("@span"),
        r#for: id("for"),
        why: id("why"),
        dont: id("dont"),
        and: id("and"),
        but: id("but"),
        or_else: class("@or_else"),
    }
});

/// How far a guard looks around a match.
pub(super) const REACH: usize = 12;
/// What stands in the way of a stop pattern.
pub(super) enum Guard {
    /// Nothing.
    Clear,
    /// It is negated or asked in the past.
    Negated,
    /// It is about others, or limited: a person must look.
    Held(&'static str),
}

/// Whether a stop pattern is negated, past, about others, or limited.
pub(super) fn guard(pattern: &Pattern, clause: &[Word], at: usize, end: usize) -> Guard {
    let c = &*CLASSES;
    match subject(pattern, clause, at) {
        Guard::Clear => {}
        other => return other,
    }
    let after = || clause.iter().skip(end).take(REACH * 2);
    let before = clause.iter().take(at).rev().take(REACH).any(|w| w.is(c.time));
    if before || after().any(|w| w.is(c.time)) {
        return Guard::Held("limited");
    }
    if after()
        .zip(after().skip(1))
        .any(|(a, b)| a.id == c.r#for && b.is(c.span))
    {
        return Guard::Held("limited");
    }
    let named = after().any(|w| w.is(c.noun | c.junk));
    if pattern.effect == Effect::StopObject {
        let inside = clause.iter().skip(at).take(end - at).any(|w| w.is(c.other));
        if inside || (after().any(|w| w.is(c.other)) && !named) {
            return Guard::Held("other-object");
        }
    } else if pattern.effect == Effect::Stop && after().next().is_some_and(|w| w.is(c.article)) && !named {
        return Guard::Held("other-object");
    }
    Guard::Clear
}

/// Reads backwards from a match: who is meant to stop, and is it negated?
fn subject(pattern: &Pattern, clause: &[Word], at: usize) -> Guard {
    let c = &*CLASSES;
    let starts_negative = clause.get(at).is_some_and(|w| w.is(c.neg));
    let mut addressed = false;
    for back in 0..at.min(REACH) {
        let (Some(word), next) = (clause.get(at - 1 - back), clause.get(at - back)) else {
            break;
        };
        if word.is(c.neg) {
            let person = next.is_some_and(|n| n.is(c.you | c.myself));
            let why = (at - 1 - back)
                .checked_sub(1)
                .and_then(|b| clause.get(b))
                .is_some_and(|w| w.id == c.why);
            let plea = person && (word.is(c.plea) || (word.id == c.dont && why));
            return if plea { Guard::Clear } else { Guard::Negated };
        }
        if word.is(c.you) {
            if starts_negative && back == 0 {
                return Guard::Held("about-us");
            }
            addressed = true;
        } else if word.is(c.ask) {
            return if addressed {
                Guard::Negated
            } else {
                Guard::Held("question")
            };
        } else if word.is(c.third) && !addressed {
            return Guard::Held("third-party");
        } else if word.is(c.myself) && !addressed && pattern.effect == Effect::Stop {
            return Guard::Held("about-self");
        } else if !word.is(c.link | c.marks.filler | c.myself) {
            break;
        }
    }
    Guard::Clear
}
