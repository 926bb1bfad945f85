//! Steps 3 and 4: the whole message, or one sentence of it, is a keyword.

use std::sync::LazyLock;

use super::classify::{Kind, Verdict, unleet};
use super::fold::{Folded, Gap, fold};
use super::fold_tables::leet;
use super::keywords::{Key, Word, words};

/// Brands whose name after a keyword changes nothing ("STOP ACME").
static BRANDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let file = include_str!("words/brands.txt");
    file.lines()
        .filter(|l| !l.is_empty() && !l.starts_with(['#']) && !l.starts_with("version "))
        .collect()
});

struct Marks {
    filler: u64,
    yesno: u64,
    courtesy: u64,
    time: u64,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let class = |name| words().class(name);
    Marks {
        filler: class("@filler"),
        yesno: class("@yesno"),
        courtesy: class("@courtesy"),
        time: class("@time"),
    }
});

/// Bit of words that are digits only, or a brand: they may follow a keyword.
pub(super) const EXTRA: u64 = 1 << 63;

/// A message as words the lists know, or do not.
pub(super) struct Text {
    pub(super) words: Vec<Word>,
}

impl Text {
    /// Looks every folded word up, undoing stretching and misspelling.
    pub(super) fn of(folded: &Folded) -> Self {
        let mut out: Vec<Word> = Vec::with_capacity(16);
        let mut before = "";
        for (text, gap) in folded.words() {
            let apostrophe_lost = text == "t" && gap == Gap::Joined;
            if let Some((id, mask)) = contraction(before).filter(|_| apostrophe_lost) {
                before = text;
                out.last_mut()
                    .into_iter()
                    .for_each(|w| (w.id, w.mask) = (id, mask));
                continue;
            }
            before = text;
            let mut word = known(text, gap);
            let digits_before = out.last().is_some_and(|w| w.is(EXTRA));
            if clock(text) || (digits_before && matches!(text, "am" | "pm")) {
                word.mask |= MARKS.time;
            }
            out.push(word);
        }
        Self { words: out }
    }
}

/// `don t`, `won t`: a contraction whose apostrophe became a space.
fn contraction(before: &str) -> Option<(u16, u64)> {
    let whole = match before {
        "don" => "dont",
        "won" => "wont",
        "can" => "cant",
        "didn" => "didnt",
        "doesn" => "doesnt",
        _ => return None,
    };
    words().look_up(whole)
}

fn known(text: &str, gap: Gap) -> Word {
    let lists = words();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let extra = if digits || BRANDS.contains(&text) {
        EXTRA
    } else {
        0
    };
    let found = lists.look_up(text);
    if extra != 0 || found.is_some() {
        let (id, mask) = found.unwrap_or((0, 0));
        return Word {
            id,
            mask: mask | extra,
            gap,
            exact: true,
        };
    }
    let guess = unstretched(text)
        .or_else(|| misspelt(text))
        .or_else(|| unsigned(text))
        .and_then(|w| lists.look_up(&w));
    let (id, mask) = guess.unwrap_or((0, 0));
    Word {
        id,
        mask,
        gap,
        exact: false,
    }
}

/// `9am`, `8pm`, `930pm`.
fn clock(text: &str) -> bool {
    let hour = text.strip_suffix("am").or_else(|| text.strip_suffix("pm"));
    hour.is_some_and(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_digit()))
}

/// A known word under stretched letters: `stooop`, `meeee`, `offff`.
fn unstretched(text: &str) -> Option<String> {
    let longest = text
        .as_bytes()
        .chunk_by(|a, b| a == b)
        .map(<[u8]>::len)
        .max()?;
    if !text.is_ascii() || longest < 2 || text.len() > 64 {
        return None;
    }
    let squeeze = |keep: usize| -> String {
        let runs = text.as_bytes().chunk_by(|a, b| a == b);
        runs.flat_map(|r| r.iter().take(keep).map(|b| char::from(*b)))
            .collect()
    };
    let keyword = |w: String| {
        Some(w).filter(|w| {
            matches!(
                w.as_str(),
                "stop" | "unsubscribe" | "cancel" | "quit" | "unsub"
            )
        })
    };
    let knows = |w: &String| words().look_up(w).is_some();
    if longest >= 3 {
        let known = keyword(squeeze(1)).or_else(|| Some(squeeze(2)).filter(knows));
        return known.or_else(|| Some(squeeze(1)).filter(knows));
    }
    keyword(squeeze(1))
}

/// A known word under digits for letters: `st0p`, `un5ubscribe`.
fn unsigned(text: &str) -> Option<String> {
    let mixed = text.len() >= 3
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().any(|b| b.is_ascii_alphabetic());
    mixed.then(|| text.chars().map(|c| leet(c).unwrap_or(c)).collect())
}

/// Long words a letter or two away from "unsubscribe" or a word of messaging.
fn misspelt(text: &str) -> Option<String> {
    if !(8..=14).contains(&text.len()) || !text.is_ascii() {
        return None;
    }
    let unsubscribe =
        text.starts_with('u') && text.contains("sub") && distance(text, "unsubscribe") <= 2;
    if unsubscribe {
        return Some("unsubscribe".to_owned());
    }
    ["messaging", "contacting", "messages"]
        .into_iter()
        .find(|w| distance(text, w) <= 1)
        .map(str::to_owned)
}

/// Edits (a swap of neighbours counts one) between two short ASCII words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<u8>, Vec<u8>) = (a.bytes().collect(), b.bytes().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let cell = |rows: &Vec<Vec<usize>>, i: usize, j: usize| {
        rows.get(i)
            .and_then(|r| r.get(j))
            .copied()
            .unwrap_or(usize::MAX / 2)
    };
    for i in 1..=a.len() {
        rows.push(vec![i]);
        for j in 1..=b.len() {
            let same = usize::from(a.get(i - 1) != b.get(j - 1));
            let mut best = (cell(&rows, i - 1, j) + 1)
                .min(cell(&rows, i, j - 1) + 1)
                .min(cell(&rows, i - 1, j - 1) + same);
            if i > 1 && j > 1 && a.get(i - 1) == b.get(j - 2) && a.get(i - 2) == b.get(j - 1) {
                best = best.min(cell(&rows, i - 2, j - 2) + 1);
            }
            if let Some(row) = rows.last_mut() {
                row.push(best);
            }
        }
    }
    cell(&rows, a.len(), b.len())
}

/// The verdict of steps 3 and 4 for a whole message.
pub(super) fn whole(text: &Text, folded: &Folded, own: &str) -> Option<Verdict> {
    let all = &text.words;
    if all.len() <= 12 {
        if let Some(verdict) = opt_in(all, folded.exact) {
            return Some(verdict);
        }
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
    let key =
        exactly(first).or_else(|| exactly(all.iter().filter(|w| !w.is(MARKS.filler | EXTRA))));
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
    order
        .into_iter()
        .find(|k| keys.contains(k))
        .map(|k| (k, at))
}

/// The key of one sentence or line that is nothing but a keyword.
pub(super) fn alone(clause: &[Word]) -> Option<Key> {
    if clause.len() > 8 || clause.iter().all(|w| w.is(MARKS.filler | EXTRA)) {
        return None;
    }
    let key =
        exactly(clause.iter()).or_else(|| exactly(clause.iter().filter(|w| !w.is(MARKS.filler))));
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
