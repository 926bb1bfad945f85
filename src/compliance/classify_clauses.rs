//! Steps 5 and 6: free text, clause by clause, and the net under it.

use super::classify_guard::{CLASSES, Guard, REACH, guard};
use super::classify_whole::alone;
use super::fold::Gap;
use super::keywords::{Key, Word, words};
use super::keywords_pattern::{Effect, Pattern};

/// What the stop rules made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A clear revocation.
    Stop(&'static str),
    /// One that is about others, or limited: at least a person must look.
    Held(&'static str),
    /// None, or one that is negated or in the past.
    Nothing,
}

/// Pattern steps one message may cost; keeps the worst case linear.
const STEPS: u32 = 400_000;

/// A message cut into sentences and clauses.
pub(super) struct Clauses<'a> {
    all: &'a [Word],
    sentences: Vec<&'a [Word]>,
    /// Each clause with where it begins in `all`.
    clauses: Vec<(usize, &'a [Word])>,
}

impl<'a> Clauses<'a> {
    /// Cuts at punctuation, and for clauses at conjunctions too.
    pub(super) fn of(all: &'a [Word]) -> Self {
        let mut sentences = Vec::with_capacity(4);
        let mut clauses = Vec::with_capacity(4);
        let mut from = 0;
        for (at, word) in all.iter().enumerate() {
            if at > from && word.gap > Gap::Joined {
                sentences.extend(all.get(from..at));
                from = at;
            }
        }
        sentences.extend(all.get(from..));
        let mut base = 0;
        for sentence in &sentences {
            let mut rest = *sentence;
            while let Some(at) = conjunction(rest) {
                clauses.extend(rest.get(..at).map(|c| (base, c)));
                rest = rest.get(at + 1..).unwrap_or(&[]);
                base += at + 1;
            }
            clauses.push((base, rest));
            base += rest.len();
        }
        Self {
            all,
            sentences,
            clauses,
        }
    }

    /// Whether the message is a forwarded copy.
    pub(super) fn forwarded(&self) -> bool {
        let Some(first) = self.sentences.first() else {
            return false;
        };
        let ids = ["fwd", "fw", "forwarded"].map(|w| words().look_up(w).map_or(u16::MAX, |(id, _)| id));
        first.len() <= 2 && self.sentences.len() > 1 && first.iter().any(|w| ids.contains(&w.id))
    }

    /// Whether the message takes a stop by this rule back, or laughs it off:
    /// only a bare keyword can be laughed off.
    pub(super) fn retracted(&self, rule: &str) -> bool {
        let bare = rule.starts_with("keyword");
        self.first(|p| p.effect == Effect::Retract && (bare || p.rule == "kidding"), &[])
            .is_some()
    }

    /// The stop rules, clause by clause.
    pub(super) fn stop(&self) -> Found {
        let mut held = None;
        for (nth, sentence) in self.sentences.iter().enumerate() {
            match alone(sentence) {
                Some(Key::Strong) if nth == 0 || self.sentences.len() > 1 => {
                    return Found::Stop("keyword-sentence");
                }
                Some(Key::Weak | Key::Solo) => held = held.or(Some("keyword-sentence")),
                _ => {}
            }
        }
        if self.clauses.iter().any(|(base, clause)| self.ultimatum(*base, clause)) {
            return Found::Stop("keyword-clause");
        }
        let footer = self.covered(&[Effect::Footer]);
        let mut steps = STEPS;
        for (base, clause) in &self.clauses {
            for (at, word) in clause.iter().enumerate() {
                if footer.get(base + at).copied().unwrap_or(false) {
                    continue;
                }
                for pattern in words().starting(*word) {
                    if !matches!(pattern.effect, Effect::Stop | Effect::StopSelf | Effect::StopObject) {
                        continue;
                    }
                    let Some(end) = pattern.end(clause, at, CLASSES.marks, &mut steps) else {
                        continue;
                    };
                    match guard(pattern, clause, at, end) {
                        Guard::Clear => return Found::Stop(pattern.rule),
                        Guard::Negated => {}
                        Guard::Held(rule) => held = held.or(Some(rule)),
                    }
                }
            }
        }
        if steps == 0 {
            return Found::Held("too-involved");
        }
        held.map_or(Found::Nothing, Found::Held)
    }

    /// `… but stop`, `stop or …`, `stop because …`: a keyword that is a whole
    /// clause beside one of these conjunctions.
    fn ultimatum(&self, base: usize, clause: &[Word]) -> bool {
        let c = &*CLASSES;
        let before = base.checked_sub(1).and_then(|b| self.all.get(b));
        let after = self.all.get(base + clause.len()).filter(|w| w.gap == Gap::Joined);
        let beside = before.is_some_and(|w| w.id == c.but) || after.is_some_and(|w| w.is(c.or_else));
        beside && alone(clause) == Some(Key::Strong)
    }

    /// The net: what a person should look at once everyday phrases are out.
    pub(super) fn net(&self) -> Option<&'static str> {
        if let Some((rule, _)) = self.first(|p| p.effect == Effect::Firm, &[]) {
            return Some(rule);
        }
        let forwarded = [Effect::Innocent, Effect::Footer];
        let innocent = self.covered(if self.forwarded() {
            &forwarded
        } else {
            &[Effect::Innocent]
        });
        let review = self.first(|p| p.effect == Effect::Review, &innocent);
        let said = self.all.iter().filter(|w| !w.is(CLASSES.marks.filler)).count();
        let short = || {
            self.first(|p| p.effect == Effect::Short, &innocent)
                .filter(|_| said <= 3)
        };
        review.or_else(short).map(|(rule, _)| rule)
    }

    /// Which words patterns of these effects cover.
    fn covered(&self, effects: &[Effect]) -> Vec<bool> {
        let mut covered = vec![false; self.all.len()];
        let mut steps = STEPS;
        let mut base = 0;
        for sentence in &self.sentences {
            for (at, word) in sentence.iter().enumerate() {
                for pattern in words().starting(*word).filter(|p| effects.contains(&p.effect)) {
                    let end = pattern.end(sentence, at, CLASSES.marks, &mut steps);
                    let cells = end.and_then(|end| covered.get_mut(base + at..base + end));
                    cells.into_iter().flatten().for_each(|c| *c = true);
                }
            }
            base += sentence.len();
        }
        covered
    }

    /// The first pattern of some kind that stands clear of covered words.
    fn first(&self, wanted: impl Fn(&Pattern) -> bool, covered: &[bool]) -> Option<(&'static str, usize)> {
        let mut steps = STEPS;
        let mut base = 0;
        for sentence in &self.sentences {
            for (at, word) in sentence.iter().enumerate() {
                if covered.get(base + at).copied().unwrap_or(false) {
                    continue;
                }
                for pattern in words().starting(*word).filter(|p| wanted(p)) {
                    if let Some(end) = pattern.end(sentence, at, CLASSES.marks, &mut steps) {
                        let last = base + end.saturating_sub(1);
                        if !covered.get(last).copied().unwrap_or(false) {
                            return Some((pattern.rule, end));
                        }
                    }
                }
            }
            base += sentence.len();
        }
        (steps == 0).then_some(("too-involved", 0))
    }
}

/// Where a conjunction splits a sentence into clauses.
fn conjunction(words: &[Word]) -> Option<usize> {
    let c = &*CLASSES;
    words.iter().enumerate().position(|(at, word)| {
        let (before, after) = (at.checked_sub(1).and_then(|b| words.get(b)), words.get(at + 1));
        let (Some(before), Some(after)) = (before, after) else {
            return word.is(c.conj) && after.is_some();
        };
        if !word.is(c.conj) || after.is(c.joined | c.much) {
            return false;
        }
        let both = before.is(c.contact) && after.is(c.contact);
        let either = word.id != c.and && after.is(c.contact) && negated_before(words, at);
        !both && !either
    })
}

fn negated_before(words: &[Word], at: usize) -> bool {
    words.iter().take(at).rev().take(REACH).any(|w| w.is(CLASSES.neg))
}
