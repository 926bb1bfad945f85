//! Rust source as a row of tokens: comments gone, texts kept apart from code.
//!
//! Not a parser: it knows just enough to tell a word from the inside of a text.

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A keyword, name, lifetime or number.
    Word(String),
    /// The inside of a text literal, escapes as written.
    Text(String),
    /// `::`
    Path,
    /// Any other character.
    Sign(char),
}

/// One token and the line it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) kind: Kind,
}

/// A row of tokens with safe look-ahead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens(pub(crate) Vec<Token>);

impl Tokens {
    /// Reads `source`.
    pub(crate) fn of(source: &str) -> Self {
        let mut lexer = Lexer {
            rest: source,
            line: 1,
            out: Vec::new(),
        };
        while !lexer.rest.is_empty() {
            lexer.step();
        }
        Self(lexer.out)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The line of token `at`.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, |token| token.line)
    }

    /// The word at `at`, if a word stands there.
    pub(crate) fn word(&self, at: usize) -> Option<&str> {
        match self.0.get(at).map(|token| &token.kind) {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The text at `at`, if a text literal stands there.
    pub(crate) fn text(&self, at: usize) -> Option<&str> {
        match self.0.get(at).map(|token| &token.kind) {
            Some(Kind::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the sign `sign` stands at `at`.
    pub(crate) fn sign(&self, at: usize, sign: char) -> bool {
        self.0.get(at).is_some_and(|token| token.kind == Kind::Sign(sign))
    }

    /// Whether `::` stands at `at`.
    pub(crate) fn path(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|token| token.kind == Kind::Path)
    }

    /// The places where the words of `{a::b, c}` or of a lone `a` begin.
    pub(crate) fn branches(&self, at: usize) -> Vec<usize> {
        if !self.sign(at, '{') {
            return vec![at];
        }
        let (mut depth, mut fresh, mut found) = (0_usize, false, Vec::new());
        for place in at..self.len() {
            if self.sign(place, '{') {
                depth += 1;
                fresh = depth == 1;
            } else if self.sign(place, '}') {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            } else if self.sign(place, ',') {
                fresh = depth == 1;
            } else if fresh {
                found.push(place);
                fresh = false;
            }
        }
        found
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    out: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let Some(first) = self.rest.chars().next() else { return };
        let word: usize = self
            .rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .map(char::len_utf8)
            .sum();
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment(self.rest));
        } else if let Some((opening, inside, closing)) = text_literal(self.rest) {
            let text = self.rest.get(opening..opening + inside).unwrap_or_default().to_owned();
            self.push(Kind::Text(text), opening + inside + closing);
        } else if let Some(length) = char_literal(self.rest) {
            self.skip(length);
        } else if let Some(raw) = self
            .rest
            .strip_prefix("r#")
            .filter(|raw| raw.starts_with(char::is_alphabetic))
        {
            self.skip(self.rest.len() - raw.len());
        } else if word > 0 {
            let text = self.rest.get(..word).unwrap_or_default().to_owned();
            self.push(Kind::Word(text), word);
        } else if self.rest.starts_with("::") {
            self.push(Kind::Path, 2);
        } else if first.is_whitespace() || first == '\'' {
            self.skip(first.len_utf8());
        } else {
            self.push(Kind::Sign(first), first.len_utf8());
        }
    }

    fn push(&mut self, kind: Kind, length: usize) {
        self.out.push(Token { line: self.line, kind });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += gone.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the nested comment that `rest` begins with.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..) {
        if tail.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            match tail.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => break,
            }
        }
    }
    rest.len()
}

/// Opening, inside and closing lengths of the text literal `rest` begins with.
fn text_literal(rest: &str) -> Option<(usize, usize, usize)> {
    let unprefixed = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw.trim_start_matches('#').strip_prefix('"')?;
        let closing = format!("\"{}", "#".repeat(hashes));
        let length = inside.find(&closing).unwrap_or(inside.len());
        return Some((rest.len() - inside.len(), length, closing.len()));
    }
    let inside = unprefixed.strip_prefix('"')?;
    let mut escaped = false;
    let length = inside.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some((rest.len() - inside.len(), length.unwrap_or(inside.len()), 1))
}

/// The length of the character literal `rest` begins with; `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('\'')?;
    let skipped = rest.len() - inside.len();
    let first = inside.chars().next()?;
    let from = first.len_utf8();
    if first != '\\' {
        return inside.get(from..)?.starts_with('\'').then_some(skipped + from + 1);
    }
    let escape = from + inside.get(from..)?.chars().next()?.len_utf8();
    Some(skipped + escape + inside.get(escape..)?.find('\'')? + 1)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Tokens};

    fn words(source: &str) -> Vec<String> {
        let word = |kind| if let Kind::Word(word) = kind { Some(word) } else { None };
        Tokens::of(source)
            .0
            .into_iter()
            .filter_map(|token| word(token.kind))
            .collect()
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        assert_eq!(words("a /* x /* y */ z */ b // c\n \"d\\\" d\" e"), ["a", "b", "e"]);
        assert_eq!(words("r#\"a \" b\"# c b\"d\" '\\'' '\"' f"), ["c", "f"]);
        assert_eq!(words("fn a<'b>(r#c: &'b str) {}"), ["fn", "a", "b", "c", "b", "str"]);
    }

    #[test]
    fn lines_are_counted_through_texts_and_comments() {
        let tokens = Tokens::of("\"a\nb\"\n/*\n*/ x");
        assert_eq!(tokens.text(0), Some("a\nb"));
        assert_eq!((tokens.line(0), tokens.word(1), tokens.line(1)), (1, Some("x"), 4));
    }

    #[test]
    fn a_group_has_one_branch_for_each_of_its_paths() {
        let tokens = Tokens::of("{a::{b, c}, d, e as f}");
        let found: Vec<_> = tokens
            .branches(0)
            .into_iter()
            .filter_map(|at| tokens.word(at))
            .collect();
        assert_eq!(found, ["a", "d", "e"]);
    }
}
