//! The doors: which room may use which. ARCHITECTURE.md shows the same table.
//!
//! To open a door, change both in the commit that needs it; a door that would
//! close a circle is refused.

use std::collections::BTreeMap;

use super::Finding;
use super::tokens::Tokens;
use super::tree::{Inline, Source, Tree};

enum Doors {
    To(&'static [&'static str]),
    ToAllBut(&'static [&'static str]),
}
use Doors::{To, ToAllBut};

/// Room and the rooms it may use, the undermost first.
const TABLE: &[(&str, Doors)] = &[
    ("domain", To(&[])),
    ("config", To(&["domain"])),
    ("wire", To(&["domain"])),
    ("loops", To(&["domain"])),
    ("conflicts", To(&["domain"])),
    ("store", To(&["domain", "config"])),
    ("compliance", To(&["domain", "store"])),
    ("vendors", To(&["domain", "config", "loops", "compliance", "wire"])),
    (
        "ingest",
        To(&["domain", "config", "compliance", "store", "wire", "loops"]),
    ),
    ("queue", To(&["domain", "store", "config"])),
    (
        "sync",
        To(&[
            "domain",
            "config",
            "loops",
            "conflicts",
            "store",
            "compliance",
            "vendors",
            "wire",
        ]),
    ),
    (
        "router",
        To(&["domain", "compliance", "conflicts", "sync", "queue", "vendors", "wire"]),
    ),
    ("ops", To(&["domain", "config", "store", "queue", "ingest", "vendors"])),
    (
        "admin",
        To(&["domain", "config", "compliance", "store", "queue", "ingest", "wire"]),
    ),
    (
        "http",
        To(&[
            "admin",
            "domain",
            "config",
            "ingest",
            "queue",
            "store",
            "compliance",
            "ops",
            "wire",
        ]),
    ),
    (
        "schedule",
        To(&["domain", "compliance", "store", "ingest", "vendors", "wire"]),
    ),
    ("embedded", To(&["config"])),
    ("sandbox", To(&[])),
    ("app", ToAllBut(&["cli", "sandbox"])),
    ("cli", ToAllBut(&[])),
    ("main", To(&["cli"])),
];

/// The table with every room spelt out.
pub(crate) fn edges() -> BTreeMap<&'static str, Vec<&'static str>> {
    let others = |room: &str, but: &[&str]| -> Vec<&'static str> {
        let inner = TABLE
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| *name != "main" && *name != room);
        inner.filter(|name| !but.contains(name)).collect()
    };
    let spelt = |room, doors: &Doors| match doors {
        To(rooms) => rooms.to_vec(),
        ToAllBut(but) => others(room, but),
    };
    TABLE.iter().map(|(room, doors)| (*room, spelt(room, doors))).collect()
}

/// The rooms that use each other in a circle, or stand above one; empty when all is well.
pub(crate) fn circle(edges: &BTreeMap<&str, Vec<&str>>) -> Vec<String> {
    let mut left = edges.clone();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, rooms)| !rooms.iter().any(|room| left.contains_key(room)))
            .map(|(room, _)| *room)
            .collect();
        if free.is_empty() {
            return left.into_keys().map(str::to_owned).collect();
        }
        left.retain(|room, _| !free.contains(room));
    }
}

/// The table as ARCHITECTURE.md writes it.
pub(crate) fn rows() -> Vec<(String, String)> {
    let list = |rooms: &[&str]| rooms.join(", ");
    let spelt = |doors: &Doors| match doors {
        To([]) => "nothing".to_owned(),
        To(rooms) => list(rooms),
        ToAllBut([]) => "every room".to_owned(),
        ToAllBut(but) => format!("every room but {}", list(but)),
    };
    TABLE
        .iter()
        .map(|(room, doors)| ((*room).to_owned(), spelt(doors)))
        .collect()
}

/// The rows `` | `room` | … | rooms | `` of a page.
pub(crate) fn of_page(page: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line
            .strip_prefix("| `")?
            .strip_suffix('|')?
            .split('|')
            .map(str::trim)
            .collect();
        Some((
            cells.first()?.trim_end_matches('`').to_owned(),
            (*cells.last()?).to_owned(),
        ))
    };
    page.lines().filter_map(row).collect()
}

/// Every use of a room that no door leads to.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let edges = edges();
    tree.sources
        .iter()
        .flat_map(|source| in_source(source, &edges))
        .collect()
}

fn in_source(source: &Source, edges: &BTreeMap<&str, Vec<&str>>) -> Vec<Finding> {
    let Some(room) = source.room().filter(|room| *room != "lib") else {
        return Vec::new();
    };
    let Some(open) = edges.get(room) else {
        return vec![source.finding(1, format!("`{room}` is no room of the doors table"))];
    };
    let Some(module) = &source.module else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, target) in uses(&source.tokens, module) {
        if target == room || open.contains(&target.as_str()) {
            continue;
        }
        found.push(source.finding(
            line,
            match edges.contains_key(target.as_str()) {
                true => format!("no door from `{room}` to `{target}`"),
                false => format!("`crate::{target}` is no room"),
            },
        ));
    }
    found
}

/// Line and first name below the crate of every path that begins at the crate:
/// `crate::a`, `crate::{a, b}`, `super::super::a`, `df_middleware::a`.
fn uses(tokens: &Tokens, module: &[String]) -> Vec<(usize, String)> {
    let (mut inline, mut found) = (Inline::default(), Vec::new());
    for at in 0..tokens.len() {
        inline.pass(tokens, at);
        if at > 0 && tokens.path(at - 1) || !tokens.path(at + 1) {
            continue;
        }
        let begin = match tokens.word(at) {
            Some("crate" | "df_middleware") => at + 2,
            Some("super") => {
                let supers = (at..)
                    .step_by(2)
                    .take_while(|at| tokens.word(*at) == Some("super"))
                    .count();
                if supers < module.len() + inline.names().len() {
                    continue;
                }
                at + 2 * supers
            }
            _ => continue,
        };
        for place in tokens.branches(begin) {
            let name = tokens.word(place).unwrap_or("*");
            found.push((tokens.line(place), name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{circle, in_source, of_page};
    use crate::tree::Source;

    fn found(text: &str) -> Vec<String> {
        let edges = BTreeMap::from([("queue", vec!["store"]), ("store", vec![]), ("http", vec!["queue"])]);
        in_source(&Source::sample("src/queue/mod.rs", text), &edges)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_use_without_a_door_is_found_in_every_spelling() {
        let blamed = ["src/queue/mod.rs:2: no door from `queue` to `http`"];
        assert_eq!(found("\nuse crate::http::Server;"), blamed);
        assert_eq!(found("\nuse crate::{http::{Server, Client}, store};"), blamed);
        assert_eq!(found("use crate::{store,\nhttp};"), blamed);
        assert_eq!(found("\nfn a() { let b = crate::http::serve(); }"), blamed);
        assert_eq!(found("\nuse super::http;"), blamed);
        assert_eq!(found("\nmod tests { use super::super::http; }"), blamed);
        assert_eq!(
            found("mod tests { fn a() {} }\nuse super::http;"),
            blamed,
            "the inner module is closed"
        );
    }

    #[test]
    fn an_open_door_the_own_room_and_comments_are_no_finding() {
        assert!(found("use crate::store::Db; use crate::queue::x; pub(crate) fn a() {}").is_empty());
        assert!(
            found("mod tests { use super::http; }").is_empty(),
            "that is queue::http"
        );
        assert!(found("//! [`x`](crate::http::x)\nconst A: &str = \"crate::http::x\";").is_empty());
    }

    #[test]
    fn what_is_no_room_is_found() {
        assert_eq!(
            found("use crate::Thing;"),
            ["src/queue/mod.rs:1: `crate::Thing` is no room"]
        );
        assert_eq!(found("use crate::*;"), ["src/queue/mod.rs:1: `crate::*` is no room"]);
        let stray = in_source(&Source::sample("src/utils.rs", ""), &BTreeMap::new());
        assert_eq!(stray.len(), 1, "a room that is not in the table");
    }

    #[test]
    fn a_circle_is_found() {
        let round = BTreeMap::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"]), ("d", vec![])]);
        assert_eq!(circle(&round), ["a", "b", "c"]);
        let straight = BTreeMap::from([("a", vec!["b"]), ("b", vec!["d"]), ("d", vec![])]);
        assert!(circle(&straight).is_empty());
    }

    #[test]
    fn rows_are_read_from_a_page() {
        let page = "| room | for | may use |\n|---|---|---|\n| `a` | does it | b, c |\ntext\n";
        assert_eq!(of_page(page), [("a".to_owned(), "b, c".to_owned())]);
    }
}
