//! The word lists, read once from `words/*.txt`: classes of words, whole-message
//! keywords and phrase patterns. The files say how they are written.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::fold::{Gap, fold};
use super::keywords_pattern::{Pattern, parse_pattern};

/// What a keyword means when it is the whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Stops anywhere it stands alone.
    Strong,
    /// A per-se word with everyday uses: stops when nothing else is said.
    Weak,
    /// Stops only as the whole message.
    Solo,
    /// The instruction of our own footer sent back, as the whole message.
    Carrier,
    /// A person must look.
    Review,
    /// Opts in.
    Start,
    /// Asks for help.
    Help,
}

/// One word of a message as the patterns see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) id: u16,
    pub(super) mask: u64,
    pub(super) gap: Gap,
    /// Found as written, not by undoing stretching or a typo.
    pub(super) exact: bool,
}

impl Word {
    pub(super) fn is(&self, class: u64) -> bool {
        self.mask & class != 0
    }
}

/// Everything the word files say.
pub(super) struct Lists {
    pub(super) version: &'static str,
    vocabulary: HashMap<Box<str>, (u16, u64)>,
    classes: HashMap<&'static str, u64>,
    pub(super) macros: HashMap<&'static str, Vec<Vec<&'static str>>>,
    keywords: HashMap<Vec<u16>, Key>,
    longest: usize,
    joined: HashMap<String, Key>,
    pub(super) within: Vec<String>,
    pub(super) reactions: HashSet<String>,
    pub(super) everyday: HashSet<&'static str>,
    pub(super) signatures: Vec<&'static str>,
    pub(super) patterns: Vec<Pattern>,
    first: Vec<Vec<u16>>,
    pub(super) problems: Vec<String>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(Lists::read);

/// The word lists.
pub(super) fn words() -> &'static Lists {
    &LISTS
}

/// The version line of the word lists, to be stored beside a verdict.
pub fn words_version() -> &'static str {
    words().version
}

impl Lists {
    fn read() -> Self {
        let keywords = include_str!("words/keywords.txt");
        let mut lists = Self {
            version: keywords
                .lines()
                .find_map(|l| l.strip_prefix("version "))
                .unwrap_or("none"),
            vocabulary: HashMap::new(),
            classes: HashMap::new(),
            macros: HashMap::new(),
            keywords: HashMap::new(),
            longest: 1,
            joined: HashMap::new(),
            within: Vec::new(),
            reactions: HashSet::new(),
            everyday: HashSet::new(),
            signatures: Vec::new(),
            patterns: Vec::new(),
            first: Vec::new(),
            problems: Vec::new(),
        };
        lines(include_str!("words/classes.txt")).for_each(|l| lists.class_line(l));
        lists.keyword_file(keywords);
        for file in [
            include_str!("words/phrases_stop.txt"),
            include_str!("words/phrases_review.txt"),
            include_str!("words/phrases_other.txt"),
        ] {
            for line in lines(file) {
                match parse_pattern(line, &mut lists) {
                    Some(parsed) => lists.patterns.extend(parsed),
                    None => lists.problems.push(line.to_owned()),
                }
            }
        }
        lists.index();
        lists
    }

    /// `@name = word word @other` or `%name = one two / three`.
    fn class_line(&mut self, line: &'static str) {
        let Some((name, body)) = line.split_once('=') else {
            return self.problems.push(line.to_owned());
        };
        let name = name.trim();
        if name.starts_with('%') {
            let ways = body.split('/').map(|w| w.split_whitespace().collect()).collect();
            self.macros.insert(name, ways);
            return;
        }
        let taken = self.classes.len();
        // The highest bit is not a class: see `EXTRA`.
        let fresh = (taken < 63).then(|| 1_u64 << taken);
        let Some(bit) = self.classes.get(name).copied().or(fresh) else {
            return self.problems.push(format!("too many classes: {name}"));
        };
        self.classes.insert(name, bit);
        for item in body.split_whitespace() {
            if item.starts_with('@') {
                let other = self.class(item);
                if other == 0 {
                    self.problems.push(line.to_owned());
                }
                self.vocabulary
                    .values_mut()
                    .filter(|(_, m)| m & other != 0)
                    .for_each(|(_, m)| *m |= bit);
            } else {
                self.intern(item, bit);
            }
        }
    }

    fn keyword_file(&mut self, file: &'static str) {
        let mut section = "";
        for line in lines(file) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                continue;
            }
            for item in line.split(',').map(str::trim).filter(|i| !i.is_empty()) {
                self.keyword(section, item);
            }
        }
    }

    fn keyword(&mut self, section: &str, item: &'static str) {
        let folded = fold(item);
        let spelled: Vec<&str> = folded.words().map(|(w, _)| w).collect();
        let key = match section {
            "strong" => Key::Strong,
            "weak" => Key::Weak,
            "solo" => Key::Solo,
            "carrier" => Key::Carrier,
            "review" => Key::Review,
            "start" => Key::Start,
            "help" => Key::Help,
            "within" => return self.within.push(spelled.concat()),
            "reaction" => {
                self.reactions.insert(spelled.join(" "));
                return;
            }
            "everyday" => {
                self.everyday.insert(item);
                return;
            }
            "signature" => return self.signatures.push(item),
            _ => return self.problems.push(item.to_owned()),
        };
        let ids: Vec<u16> = spelled.iter().map(|w| self.intern(w, 0)).collect();
        self.longest = self.longest.max(ids.len());
        self.keywords.entry(ids).or_insert(key);
        self.joined.entry(spelled.concat()).or_insert(key);
    }

    /// The number of a word, known from now on; `mask` joins its classes.
    pub(super) fn intern(&mut self, word: &str, mask: u64) -> u16 {
        let folded = fold(word);
        let folded = folded.words().next().map_or(word, |(w, _)| w);
        let next = u16::try_from(self.vocabulary.len() + 1).unwrap_or(u16::MAX);
        let entry = self.vocabulary.entry(folded.into()).or_insert((next, 0));
        entry.1 |= mask;
        entry.0
    }

    /// The bit of a class such as `@me`; 0 when there is none.
    pub(super) fn class(&self, name: &str) -> u64 {
        self.classes.get(name).copied().unwrap_or(0)
    }

    /// Number and classes of a folded word.
    pub(super) fn look_up(&self, word: &str) -> Option<(u16, u64)> {
        self.vocabulary.get(word).copied()
    }

    fn index(&mut self) {
        let mut first = vec![Vec::new(); self.vocabulary.len() + 1];
        for (id, mask) in self.vocabulary.values() {
            let begins = |p: &Pattern| p.elems.first().is_some_and(|e| e.takes(*id, *mask));
            let starting = (0_u16..)
                .zip(&self.patterns)
                .filter(|(_, p)| begins(p))
                .map(|(at, _)| at);
            if let Some(slot) = first.get_mut(usize::from(*id)) {
                slot.extend(starting);
            }
        }
        self.first = first;
    }

    /// The patterns whose first element takes `word`, in file order.
    pub(super) fn starting(&self, word: Word) -> impl Iterator<Item = &Pattern> {
        let ids = self.first.get(usize::from(word.id)).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|at| self.patterns.get(usize::from(*at)))
    }

    /// The longest keyword at the head of `ids`, and how many words it takes.
    pub(super) fn keyword_at(&self, ids: &[u16]) -> Option<(Key, usize)> {
        (1..=self.longest.min(ids.len())).rev().find_map(|n| {
            let key = self.keywords.get(ids.get(..n)?)?;
            Some((*key, n))
        })
    }

    /// The keyword a message spells once its spaces are taken out.
    pub(super) fn keyword_joined(&self, text: &str) -> Option<Key> {
        self.joined.get(text).copied()
    }
}

fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("version "))
}
