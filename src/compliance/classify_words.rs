//! Each folded word looked up in the lists, past stretching, digits for letters
//! and the commonest misspellings.

use std::sync::LazyLock;

use super::fold::{Folded, Gap};
use super::fold_tables::leet;
use super::keywords::{Word, words};

/// Brands whose name after a keyword changes nothing ("STOP ACME").
static BRANDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let file = include_str!("words/brands.txt");
    file.lines()
        .filter(|l| !l.is_empty() && !l.starts_with(['#']) && !l.starts_with("version "))
        .collect()
});

static TIME: LazyLock<u64> = LazyLock::new(|| words().class("@time"));

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
                out.last_mut().into_iter().for_each(|w| (w.id, w.mask) = (id, mask));
                continue;
            }
            before = text;
            let mut word = known(text, gap);
            let digits_before = out.last().is_some_and(|w| w.is(EXTRA));
            if clock(text) || (digits_before && matches!(text, "am" | "pm")) {
                word.mask |= *TIME;
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
    let extra = if digits || BRANDS.contains(&text) { EXTRA } else { 0 };
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
    let longest = text.as_bytes().chunk_by(|a, b| a == b).map(<[u8]>::len).max()?;
    if !text.is_ascii() || longest < 2 || text.len() > 64 {
        return None;
    }
    let squeeze = |keep: usize| -> String {
        let runs = text.as_bytes().chunk_by(|a, b| a == b);
        runs.flat_map(|r| r.iter().take(keep).map(|b| char::from(*b))).collect()
    };
    let keyword =
        |w: String| Some(w).filter(|w| matches!(w.as_str(), "stop" | "unsubscribe" | "cancel" | "quit" | "unsub"));
    let knows = |w: &String| words().look_up(w).is_some();
    if longest >= 3 {
        let known = keyword(squeeze(1)).or_else(|| Some(squeeze(2)).filter(knows));
        return known.or_else(|| Some(squeeze(1)).filter(knows));
    }
    keyword(squeeze(1))
}

/// A known word under digits for letters: `st0p`, `un5ubscribe`.
fn unsigned(text: &str) -> Option<String> {
    let mixed =
        text.len() >= 3 && text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().any(|b| b.is_ascii_alphabetic());
    mixed.then(|| text.chars().map(|c| leet(c).unwrap_or(c)).collect())
}

/// Long words a letter or two away from "unsubscribe" or a word of messaging.
fn misspelt(text: &str) -> Option<String> {
    if !(8..=14).contains(&text.len()) || !text.is_ascii() {
        return None;
    }
    let unsubscribe = text.starts_with('u') && text.contains("sub") && distance(text, "unsubscribe") <= 2;
    if unsubscribe {
        return Some("unsubscribe".to_owned());
    }
    ["messaging", "contacting", "messages"]
        .into_iter()
        .find(|w| distance(text, w) <= 1)
        .map(str::to_owned)
}

/// Edits (a swap of neighbours counts one) between two short ASCII words.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<u8>, Vec<u8>) = (a.bytes().collect(), b.bytes().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let cell = |rows: &Vec<Vec<usize>>, i: usize, j: usize| {
        rows.get(i).and_then(|r| r.get(j)).copied().unwrap_or(usize::MAX / 2)
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
