//! Steps 3 and 4: the whole message, or one sentence of it, is a keyword.

use std::sync::LazyLock;

use super::classify::{Kind, Verdict, unleet};
use super::classify_words::{EXTRA, Text, distance};
use super::fold::{Folded, fold};
use super::keywords::{Key, Word, words};

struct Marks {
    filler: u64,
    yesno: u64,
    courtesy: u64,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let class = |name| words().class(name);
    Marks {
        filler: class("@filler"),
        yesno: class("@yesno"),
        courtesy: class("@courtesy"),
    }
});

/// The verdict of steps 3 and 4 for a whole message.
pub(super) fn whole(text: &Text, folded: &Folded, own: &str) -> Option<Verdict> {
    let all = &text.words;
    let opts_in = || opt_in(all, folded.exact);
    if let Some(verdict) = (all.len() <= 12).then(opts_in).flatten() {
        return Some(verdict);
    }
    if let Some(verdict) = keywords_only(all) {
        return Some(verdict);
    }
    if folded
        .words()
        .any(|(w, _)| !w.is_ascii() && words().within.iter().any(|k| w.contains(k.as_str())))
    {
        return Some(Verdict::new(Kind::Stop, "keyword-within"));
    }
    if all.len() > 6 {
        return None;
    }
    split_up(folded)
        .or_else(|| spelled_oddly(own))
        .or_else(|| near_miss(text, folded))
}

fn opt_in(all: &[Word], exact: bool) -> Option<Verdict> {
    let mut rest = all.iter().filter(|w| !w.is(MARKS.courtesy)).peekable();
    rest.peek()?;
    let start = |w: &Word| words().keyword_at(&[w.id]) == Some((Key::Start, 1));
    let mut exact = exact;
    for word in rest {
        if !start(word) {
            return None;
        }
        exact &= word.exact;
    }
    Some(match exact {
        true => Verdict::new(Kind::Start, "keyword-start"),
        false => Verdict::new(Kind::Review, "start-doubtful"),
    })
}

/// What the words say once courtesies are taken out, if they are all keywords.
fn keywords_only(all: &[Word]) -> Option<Verdict> {
    // As written first: listed phrases may contain words that are courtesies.
    let first = all.iter().filter(|w| !w.is(EXTRA));
    let key = exactly(first).or_else(|| exactly(all.iter().filter(|w| !w.is(MARKS.filler | EXTRA))));
    let (key, _) = key.or_else(|| sequence(all))?;
    let digits = all.iter().any(|w| w.is(EXTRA));
    let yesno = all.iter().any(|w| w.is(MARKS.yesno));
    Some(match key {
        Key::Strong => Verdict::new(Kind::Stop, "keyword"),
        Key::Carrier => Verdict::new(Kind::Stop, "keyword-carrier"),
        Key::Weak | Key::Solo if digits => Verdict::new(Kind::Review, "keyword-and-digits"),
        Key::Weak if yesno => Verdict::new(Kind::Review, "keyword-and-answer"),
        Key::Weak | Key::Solo => Verdict::new(Kind::Stop, "keyword"),
        Key::Help if digits => return None,
        Key::Help => Verdict::new(Kind::Help, "keyword-help"),
        Key::Review => Verdict::new(Kind::Review, "keyword-doubtful"),
        Key::Start => Verdict::new(Kind::Review, "start-doubtful"),
    })
}

fn exactly<'a>(list: impl Iterator<Item = &'a Word>) -> Option<(Key, usize)> {
    let ids: Vec<u16> = list.map(|w| w.id).take(12).collect();
    words().keyword_at(&ids).filter(|(_, n)| *n == ids.len())
}

/// Several keywords in a row; a stop among them wins.
fn sequence(all: &[Word]) -> Option<(Key, usize)> {
    let ids: Vec<u16> = all
        .iter()
        .filter(|w| !w.is(MARKS.filler | EXTRA))
        .map(|w| w.id)
        .collect();
    let mut at = 0;
    let mut keys = Vec::new();
    while at < ids.len() {
        let (key, n) = words().keyword_at(ids.get(at..)?)?;
        keys.push(key);
        at += n;
    }
    let order = [
        Key::Strong,
        Key::Carrier,
        Key::Weak,
        Key::Solo,
        Key::Review,
        Key::Start,
        Key::Help,
    ];
    order.into_iter().find(|k| keys.contains(k)).map(|k| (k, at))
}

/// The key of one sentence or line that is nothing but a keyword.
pub(super) fn alone(clause: &[Word]) -> Option<Key> {
    if clause.len() > 8 || clause.iter().all(|w| w.is(MARKS.filler | EXTRA)) {
        return None;
    }
    let key = exactly(clause.iter()).or_else(|| exactly(clause.iter().filter(|w| !w.is(MARKS.filler))));
    key.or_else(|| sequence(clause)).map(|(k, _)| k)
}

/// `ST OP`, `un sub scribe`: a keyword with spaces inside.
fn split_up(folded: &Folded) -> Option<Verdict> {
    let mut joined = String::new();
    let mut pieces = 0;
    for (word, _) in folded.words() {
        joined.push_str(word);
        pieces += 1;
    }
    if pieces < 2 || joined.len() > 16 {
        return None;
    }
    match words().keyword_joined(&joined)? {
        Key::Strong => Some(Verdict::new(Kind::Stop, "keyword-split")),
        Key::Weak | Key::Start => Some(Verdict::new(Kind::Review, "keyword-split")),
        _ => None,
    }
}

/// Digits and signs for letters.
fn spelled_oddly(own: &str) -> Option<Verdict> {
    let plain = unleet(own)?;
    let folded = fold(&plain);
    let all = Text::of(&folded).words;
    let verdict = keywords_only(&all)?;
    let end = all
        .iter()
        .any(|w| words().look_up("end").is_some_and(|(id, _)| id == w.id));
    match verdict.kind {
        Kind::Stop if !end => Some(Verdict::new(Kind::Stop, "keyword-digits")),
        Kind::Help => None,
        _ => Some(Verdict::new(Kind::Review, "keyword-digits")),
    }
}

/// A single unknown word one edit away from "stop" or "start".
fn near_miss(text: &Text, folded: &Folded) -> Option<Verdict> {
    let mut rest = text
        .words
        .iter()
        .zip(folded.words())
        .filter(|(w, _)| !w.is(MARKS.filler));
    let (word, (spelled, _)) = rest.next()?;
    let unknown = word.id == 0 && !word.is(EXTRA) && (3..=6).contains(&spelled.len());
    let near = || distance(spelled, "stop") <= 1 || distance(spelled, "start") <= 1;
    let close = unknown && rest.next().is_none() && spelled.is_ascii() && near();
    let everyday = words().everyday.contains(spelled);
    (close && !everyday).then_some(Verdict::new(Kind::Review, "near-miss"))
}
