//! What surrounds the words of a message: HTML left by an upstream hop,
//! reaction wrappers around our own text, links, signatures and quoted replies.

use std::borrow::Cow;

use super::fold::fold;
use super::keywords::words as word_list;

const ENTITIES: [(&str, char); 34] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("shy", '\u{ad}'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("aacute", 'á'),
    ("eacute", 'é'),
    ("iacute", 'í'),
    ("oacute", 'ó'),
    ("uacute", 'ú'),
    ("ntilde", 'ñ'),
    ("agrave", 'à'),
    ("egrave", 'è'),
    ("ecirc", 'ê'),
    ("acirc", 'â'),
    ("icirc", 'î'),
    ("ccedil", 'ç'),
    ("Eacute", 'É'),
    ("Ecirc", 'Ê'),
];

/// Undoes one round of HTML escaping and drops bare tags such as `<p>`.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    if raw.contains("â€™") {
        return Cow::Owned(unescape(&raw.replace("â€™", "'")).into_owned());
    }
    if !raw.contains(['&', '<']) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let found = entity(from).or_else(|| tag(from));
        let (c, len) = found.unwrap_or_else(|| (from.chars().next(), 1));
        out.extend(c);
        rest = from.get(len..).unwrap_or("");
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The first bytes of `text`, at most `max`, ending on a character.
fn head(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

fn entity(from: &str) -> Option<(Option<char>, usize)> {
    let body = head(from.strip_prefix('&')?, 10);
    let name = body.split_once(';')?.0;
    let len = name.len() + 2;
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return Some((Some(char::from_u32(code)?), len));
    }
    let (_, c) = ENTITIES.iter().find(|(known, _)| *known == name)?;
    Some((Some(*c), len))
}

fn tag(from: &str) -> Option<(Option<char>, usize)> {
    let body = head(from.strip_prefix('<')?, 12);
    let inner = body.split_once('>')?.0;
    let name = inner.trim_matches('/').trim().to_ascii_lowercase();
    let blank = match name.as_str() {
        "p" | "br" | "div" | "li" | "ul" | "tr" | "td" | "body" | "html" => Some('\n'),
        "b" | "i" | "u" | "em" | "strong" | "span" | "font" => None,
        _ => return None,
    };
    Some((blank, inner.len() + 2))
}

/// Drops links and mail addresses, whose words are nobody's request.
pub(super) fn without_links(text: &str) -> Cow<'_, str> {
    if !text.contains(['@', '/']) && !text.contains("www.") {
        return Cow::Borrowed(text);
    }
    let link = |w: &str| {
        let w = w.trim_start_matches(['(', '<', '"', '“']);
        ["http://", "https://", "www."]
            .iter()
            .any(|p| head(w, p.len()).eq_ignore_ascii_case(p))
            || w.split_once('@')
                .is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
    };
    Cow::Owned(text.split_inclusive(char::is_whitespace).filter(|w| !link(w)).collect())
}

/// What is left of a message once a reaction wrapper (`Liked “…”`) is taken
/// off: `None` when there is no wrapper.
pub(super) fn after_reaction(text: &str) -> Option<Reaction<'_>> {
    let open_at = text.find(['“', '"', '«', '„', '”'])?;
    let (before, quoted) = text.split_at(open_at);
    if before.len() > 60 || !reacts(before) {
        return None;
    }
    let open = quoted.chars().next()?;
    let mut depth = 0_usize;
    let mut inner_quotes = 0_usize;
    let mut end = None;
    for (at, c) in quoted.char_indices() {
        match (open, c) {
            ('"', '"') => {
                inner_quotes += 1;
                end = (at > 0).then_some(at + 1).or(end);
            }
            ('“' | '„', '“' | '„') | ('«', '«') => depth += 1,
            ('“' | '„', '”') | ('«', '»') => {
                depth = depth.saturating_sub(1);
                if depth == 0 && end.is_none() {
                    end = Some(at + c.len_utf8());
                }
            }
            ('”', '”') if at > 0 => end = Some(at + c.len_utf8()),
            _ => {}
        }
    }
    if end.is_none() {
        let cut_short = text.trim_end().ends_with(['…']) || text.trim_end().ends_with("...");
        return cut_short.then_some(Reaction {
            rest: "",
            doubtful: None,
        });
    }
    let end = end?;
    let doubtful = (inner_quotes > 2).then(|| quoted.get(..end).unwrap_or(""));
    Some(Reaction {
        rest: quoted.get(end..).unwrap_or(""),
        doubtful,
    })
}

/// A reaction wrapper taken apart.
pub(super) struct Reaction<'a> {
    /// What follows the quotation; classified as a message of its own.
    pub(super) rest: &'a str,
    /// The quotation, when straight quotes inside it leave its end in doubt.
    pub(super) doubtful: Option<&'a str>,
}

impl Reaction<'_> {
    /// The words of a doubtful quotation that stand outside every second pair
    /// of quotes.
    pub(super) fn outside(&self) -> Option<String> {
        let parts = self.doubtful?.split('"');
        Some(parts.step_by(2).collect::<Vec<_>>().join("\n"))
    }
}

fn reacts(before: &str) -> bool {
    let folded = fold(before);
    let words: Vec<&str> = folded.words().map(|(w, _)| w).collect();
    let sign = before
        .chars()
        .any(|c| !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace());
    let phrase = words.join(" ");
    word_list().reactions.contains(phrase.as_str()) || (sign && matches!(phrase.as_str(), "to" | "a"))
}

/// Splits a message from its mail signature or the text it quotes.
pub(super) fn signature(text: &str) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && signs(line.trim()) && !text.get(..at).unwrap_or("").trim().is_empty() {
            return text.split_at(at);
        }
        at += line.len();
    }
    (text, "")
}

fn signs(line: &str) -> bool {
    let lower = head(line, 64).to_lowercase();
    let starts = word_list().signatures.iter().any(|s| lower.starts_with(s));
    matches!(lower.as_str(), "--" | "—" | "__" | "---")
        || starts
        || lower.starts_with('>')
        || (lower.starts_with("on ") && line.ends_with("wrote:"))
}
