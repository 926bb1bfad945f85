//! Folding: the many ways to write one word become one spelling, so that the
//! word lists stay short. Lists are folded by the same code as messages.

use std::borrow::Cow;
use std::cell::Cell;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::fold_tables::{apostrophe, boxed, invisible, look_alike, regional};

/// What stood between a word and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// A space, a hyphen, a quote: the words belong together.
    Joined,
    /// A comma, colon, bracket, dash or emoji.
    Soft,
    /// The end of a sentence.
    Hard,
    /// A new line.
    Line,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
    gap: Gap,
}

/// A message as folded words.
#[derive(Debug)]
pub struct Folded {
    text: String,
    spans: Vec<Span>,
    /// Whether only case, compatibility forms and invisible characters were
    /// folded: an opt-in is never read out of marks, look-alikes or spacing.
    pub exact: bool,
}

impl Folded {
    /// The words in order, with what stood before each.
    pub fn words(&self) -> impl Iterator<Item = (&str, Gap)> {
        self.spans
            .iter()
            .map(|s| (self.text.get(s.from..s.to).unwrap_or(""), s.gap))
    }

    /// Whether there is no letter or digit at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// Folds `raw`: NFKC, invisible characters and marks dropped, lower case,
/// squared letters and look-alikes as Latin, spaced letters joined.
pub fn fold(raw: &str) -> Folded {
    let mut words = Words {
        exact: true,
        ..Words::default()
    };
    if raw.is_ascii() {
        raw.chars()
            .filter(|c| !invisible(*c))
            .for_each(|c| words.push(c.to_ascii_lowercase()));
        words.end_word();
    } else {
        let exact = Cell::new(true);
        let plain = plain_letters(raw);
        exact.set(matches!(plain, Cow::Borrowed(_)));
        plain
            .chars()
            .filter(|c| !invisible(*c) && !apostrophe(*c))
            .nfkd()
            .filter(|c| {
                let mark = is_combining_mark(*c);
                if mark {
                    exact.set(false);
                }
                !mark
            })
            .flat_map(char::to_lowercase)
            .filter(|c| !is_combining_mark(*c))
            .nfc()
            .for_each(|c| words.push(c));
        words.end_word();
        words.exact &= exact.get();
    }
    words.join_single_letters();
    Folded {
        text: words.text,
        spans: words.spans,
        exact: words.exact,
    }
}

/// Squared and regional-indicator letters as plain ones. A pair of regional
/// indicators is a flag and becomes a gap.
fn plain_letters(raw: &str) -> Cow<'_, str> {
    if !raw.chars().any(|c| boxed(c).is_some() || regional(c).is_some()) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut run = String::new();
    for c in raw.chars() {
        if let Some(letter) = regional(c) {
            run.push(letter);
            continue;
        }
        flush(&mut out, &mut run);
        out.push(boxed(c).unwrap_or(c));
    }
    flush(&mut out, &mut run);
    Cow::Owned(out)
}

fn flush(out: &mut String, run: &mut String) {
    out.push_str(if run.len() == 2 { " " } else { run });
    run.clear();
}

#[derive(Default)]
struct Words {
    text: String,
    spans: Vec<Span>,
    from: usize,
    gap: Option<Gap>,
    spaced: bool,
    foreign: bool,
    exact: bool,
}

impl Words {
    fn push(&mut self, c: char) {
        if c.is_alphanumeric() {
            self.foreign |= !c.is_ascii();
            self.text.push(c);
            self.spaced = false;
            return;
        }
        match c {
            _ if apostrophe(c) => return,
            '&' => {
                self.end_word();
                self.text.push_str("and");
                self.end_word();
            }
            '-' if self.spaced => self.widen(Gap::Soft),
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => self.widen(Gap::Line),
            '.' | '!' | '?' | ';' | '。' | '؟' | '؛' | '।' | '¿' | '¡' => self.widen(Gap::Hard),
            ',' | ':' | '(' | ')' | '[' | ']' | '—' | '–' | '|' | '•' | '、' | '،' => self.widen(Gap::Soft),
            '"' | '“' | '”' | '„' | '«' | '»' | '‹' | '›' | '「' | '」' | '\u{fffd}' => self.end_word(),
            _ if c.is_whitespace() || c.is_ascii() => self.end_word(),
            _ => self.widen(Gap::Soft),
        }
        self.spaced = c.is_whitespace();
    }

    fn widen(&mut self, gap: Gap) {
        self.end_word();
        self.gap = Some(self.gap.map_or(gap, |old| old.max(gap)));
    }

    fn end_word(&mut self) {
        let to = self.text.len();
        if to == self.from {
            return;
        }
        let mut span = Span {
            from: self.from,
            to,
            gap: self.gap.take().unwrap_or(Gap::Joined),
        };
        if self.foreign {
            span = self.latin(span);
        }
        self.spans.push(span);
        self.from = self.text.len();
        self.foreign = false;
    }

    /// A word written wholly with Latin letters and look-alikes becomes Latin;
    /// a real Cyrillic or Greek word keeps its letters.
    fn latin(&mut self, span: Span) -> Span {
        let word = self.text.get(span.from..span.to).unwrap_or("");
        let mixed = word.chars().any(|c| c.is_ascii_alphabetic());
        let mapped: Option<String> = word
            .chars()
            .map(|c| match c {
                c if c.is_ascii() => Some(c),
                'п' | 'π' if mixed => Some('p'),
                c => look_alike(c),
            })
            .collect();
        let Some(mapped) = mapped else { return span };
        self.exact = false;
        let from = self.text.len();
        self.text.push_str(&mapped);
        Span {
            from,
            to: self.text.len(),
            gap: span.gap,
        }
    }

    /// `S T O P` and `s.t.o.p` become one word: runs of three or more single
    /// characters, at least two of them letters.
    fn join_single_letters(&mut self) {
        let single = |s: &Span| s.to - s.from == 1;
        let runs = self.spans.windows(3).any(|w| w.iter().all(single));
        if !runs {
            return;
        }
        let spans = std::mem::take(&mut self.spans);
        for run in spans.chunk_by(|a, b| single(a) && single(b)) {
            let letters: String = run.iter().filter_map(|s| self.text.get(s.from..s.to)).collect();
            let alphabetic = letters.chars().filter(|c| c.is_alphabetic()).count();
            match run.first() {
                Some(first) if run.len() >= 3 && alphabetic >= 2 => {
                    let from = self.text.len();
                    self.text.push_str(&letters);
                    self.exact = false;
                    self.spans.push(Span {
                        from,
                        to: self.text.len(),
                        gap: first.gap,
                    });
                }
                _ => self.spans.extend_from_slice(run),
            }
        }
    }
}
