//! The pattern language of `words/phrases_*.txt`: a row of words and word
//! classes, some optional or repeated, matched inside one clause.

use super::keywords::{Lists, Word};

/// What a pattern says about the clause it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// A revocation, unless its clause is negated, past, about others or limited.
    Stop,
    /// The same, where "I" before it is the person asking ("I want to …").
    StopSelf,
    /// The same, where something other than texting may be named after it.
    StopObject,
    /// A person must look.
    Review,
    /// A person must look, even where an everyday phrase covers the words.
    Firm,
    /// An everyday phrase; its words count for nothing.
    Innocent,
    /// A person must look if the message is this short and says no more.
    Short,
    /// Our own instructions quoted back: not the sender's words.
    Footer,
    /// Takes back or makes light of a keyword in the same message.
    Retract,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Maybe,
    Many,
}

/// One place of a pattern.
#[derive(Debug)]
pub(super) struct Elem {
    mask: u64,
    ids: Vec<u16>,
    any: bool,
    repeat: Repeat,
}

impl Elem {
    /// Whether this place takes the word.
    pub(super) fn takes(&self, id: u16, mask: u64) -> bool {
        self.any || self.mask & mask != 0 || (id != 0 && self.ids.contains(&id))
    }
}

/// A row of places with the rule it stands for.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) rule: &'static str,
    pub(super) effect: Effect,
    pub(super) elems: Vec<Elem>,
    opens: bool,
    closes: bool,
}

/// Longest run a repeated place takes; keeps matching linear.
const MANY: usize = 6;

impl Pattern {
    /// Where the pattern ends if it matches `clause` at `at`. `steps` is the
    /// work still allowed for the message.
    pub(super) fn end(&self, clause: &[Word], at: usize, marks: Marks, steps: &mut u32) -> Option<usize> {
        if self.opens && !clause.iter().take(at).all(|w| w.is(marks.filler)) {
            return None;
        }
        let tail = self.closes.then_some(marks.tail);
        walk(&self.elems, clause, at, tail, steps)
    }
}

/// The classes the anchors need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    /// Words that may stand before a pattern that opens a clause.
    pub(super) filler: u64,
    /// Words that may follow a pattern that closes a clause.
    pub(super) tail: u64,
}

fn walk(elems: &[Elem], clause: &[Word], at: usize, tail: Option<u64>, steps: &mut u32) -> Option<usize> {
    *steps = steps.checked_sub(1)?;
    let Some((elem, rest)) = elems.split_first() else {
        let closed = tail.is_none_or(|t| clause.iter().skip(at).all(|w| w.is(t)));
        return closed.then_some(at);
    };
    let takes = |n: usize| clause.get(at + n).is_some_and(|w| elem.takes(w.id, w.mask));
    let most = match elem.repeat {
        Repeat::Once | Repeat::Maybe => usize::from(takes(0)),
        Repeat::Many if elem.any => clause.len().saturating_sub(at).min(3),
        Repeat::Many => (0..MANY).take_while(|n| takes(*n)).count(),
    };
    let least = usize::from(elem.repeat == Repeat::Once);
    (least..=most)
        .rev()
        .find_map(|n| walk(rest, clause, at + n, tail, steps))
}

/// Reads `effect rule: place place …`; a macro (`%me`) makes several patterns.
pub(super) fn parse_pattern(line: &'static str, lists: &mut Lists) -> Option<Vec<Pattern>> {
    let (head, body) = line.split_once(": ")?;
    let (effect, rule) = head.split_once(' ')?;
    let effect = match effect {
        "stop" => Effect::Stop,
        "stop+self" => Effect::StopSelf,
        "stop+object" => Effect::StopObject,
        "review" => Effect::Review,
        "firm" => Effect::Firm,
        "innocent" => Effect::Innocent,
        "short" => Effect::Short,
        "footer" => Effect::Footer,
        "retract" => Effect::Retract,
        _ => return None,
    };
    let mut rows: Vec<Vec<&'static str>> = vec![Vec::new()];
    for item in body.split_whitespace() {
        let (name, optional) = item.strip_suffix('?').map_or((item, false), |n| (n, true));
        let Some(ways) = name.starts_with('%').then_some(name) else {
            rows.iter_mut().for_each(|r| r.push(item));
            continue;
        };
        let mut ways = lists.macros.get(ways)?.clone();
        if optional {
            ways.push(Vec::new());
        }
        rows = rows
            .iter()
            .flat_map(|r| ways.iter().map(|w| [r.as_slice(), w].concat()))
            .collect();
    }
    rows.iter().map(|row| row_pattern(rule, effect, row, lists)).collect()
}

fn row_pattern(rule: &'static str, effect: Effect, row: &[&'static str], lists: &mut Lists) -> Option<Pattern> {
    let opens = row.first() == Some(&"^");
    let closes = row.last() == Some(&"$");
    let places = row.iter().filter(|i| !matches!(**i, "^" | "$"));
    let elems: Option<Vec<Elem>> = places.map(|item| place(item, lists)).collect();
    let elems = elems.filter(|e| e.first().is_some_and(|f| f.repeat == Repeat::Once && !f.any))?;
    Some(Pattern {
        rule,
        effect,
        elems,
        opens,
        closes,
    })
}

fn place(item: &str, lists: &mut Lists) -> Option<Elem> {
    let (names, repeat) = match item.strip_suffix('?') {
        Some(names) => (names, Repeat::Maybe),
        None => item
            .strip_suffix('*')
            .map_or((item, Repeat::Once), |n| (n, Repeat::Many)),
    };
    let mut elem = Elem {
        mask: 0,
        ids: Vec::new(),
        any: names == "_",
        repeat,
    };
    for name in names.split('|').filter(|n| *n != "_") {
        if name.starts_with('@') {
            let class = lists.class(name);
            elem.mask |= (class != 0).then_some(class)?;
        } else {
            elem.ids.push(lists.intern(name, 0));
        }
    }
    Some(elem)
}
