//! How the story is printed: one block a delivery, aligned, coloured only for a
//! terminal. Phone numbers and ids in paths are never printed whole.

use std::io::{self, IsTerminal, Write};

use chrono::Utc;

/// Where the content of a line begins, after number, time and label.
const LABEL: usize = 10;
const MARGIN: usize = 15;
/// Names of resources are shorter than this, the vendors' ids are not.
const SHORTEST_ID: usize = 15;

/// What a line is to look like on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// Headings.
    Strong,
    /// What matters less.
    Faint,
    /// As told.
    Good,
    /// Not as told.
    Bad,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// Standard output, one line at a time. A reader that went away is no error:
/// the daemon goes on.
pub(super) struct Timeline {
    color: bool,
    number: u32,
}

impl Timeline {
    /// Prints in colour on a terminal, unless the operator wants none.
    pub(super) fn new(no_color: bool) -> Self {
        Self {
            color: !no_color && io::stdout().is_terminal(),
            number: 0,
        }
    }

    /// A line from the left margin.
    pub(super) fn line(&self, tone: Tone, text: &str) {
        let text = self.paint(tone, text);
        writeln!(io::stdout().lock(), "{text}").ok();
    }

    /// The heading of a step.
    pub(super) fn heading(&self, title: &str) {
        self.line(Tone::Plain, "");
        self.line(Tone::Strong, title);
    }

    /// The first line of a delivery or request, numbered and timed.
    pub(super) fn delivery(&mut self, from: &str, what: &str) {
        self.number += 1;
        let (number, time) = (self.number, Utc::now().format("%H:%M:%S"));
        let from = self.paint(Tone::Strong, &format!("{from:<LABEL$}"));
        self.line(Tone::Plain, &format!("{number:>3}  {time}  {from}{what}"));
    }

    /// A line below it.
    pub(super) fn detail(&self, label: &str, tone: Tone, text: &str) {
        let label = self.paint(Tone::Faint, &format!("{label:<LABEL$}"));
        let text = self.paint(tone, text);
        self.line(Tone::Plain, &format!("{:MARGIN$}{label}{text}", ""));
    }

    /// Lines below it; equal neighbours become one with their number.
    pub(super) fn details(&self, tone: Tone, lines: &[(String, String)]) {
        for run in lines.chunk_by(|one, next| one == next) {
            if let Some((label, text)) = run.first() {
                let times = if run.len() > 1 {
                    format!("  ×{}", run.len())
                } else {
                    String::new()
                };
                self.detail(label, tone, &format!("{text}{times}"));
            }
        }
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.code() {
            Some(code) if self.color && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// A number, all but its beginning hidden.
pub(super) fn masked(phone: &str) -> String {
    let shown: String = phone.chars().take(4).collect();
    format!("{shown}***")
}

/// A path with its ids hidden.
pub(super) fn pattern(path: &str) -> String {
    let is_id = |part: &str| {
        let plain = part.chars().all(|c| c.is_ascii_alphanumeric());
        let number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        number || (plain && part.len() >= SHORTEST_ID)
    };
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if is_id(part) { "{id}" } else { part })
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers_are_hidden() {
        assert_eq!(
            pattern("/contacts/3f2a9c0e1b7d4e5f8a6b/notes/0123456789abcdef0123"),
            "/contacts/{id}/notes/{id}"
        );
        assert_eq!(pattern("/contacts/search/duplicate"), "/contacts/search/duplicate");
        assert_eq!(
            pattern("/api/v1/webhook/contact/phone-number"),
            "/api/v1/webhook/contact/phone-number"
        );
        assert_eq!(pattern("/api/calls/9001"), "/api/calls/{id}");
        assert_eq!(masked("+16195550122"), "+161***");
    }

    #[test]
    fn without_a_terminal_there_is_no_colour() {
        let plain = Timeline {
            color: false,
            number: 0,
        };
        assert_eq!(plain.paint(Tone::Bad, "x"), "x");
        let coloured = Timeline { color: true, number: 0 };
        assert_eq!(coloured.paint(Tone::Good, "x"), "\x1b[32mx\x1b[0m");
    }
}
