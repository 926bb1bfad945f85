//! The source files, and the module each of them is: found as the compiler
//! finds them, from the targets of Cargo.toml along the `mod` declarations.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::Finding;
use super::tokens::Tokens;

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the project's folder, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// Without comments.
    pub(crate) tokens: Tokens,
    /// Its place in the crate, empty for a target's root; `None` when no
    /// target declares it.
    pub(crate) module: Option<Vec<String>>,
}

impl Source {
    /// A file that is not on disk.
    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        let module = Some(room(path).map(str::to_owned).into_iter().collect());
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens: Tokens::of(text),
            module,
        }
    }

    /// The room below `src/` that the file stands in; `None` for tests and benches.
    pub(crate) fn room(&self) -> Option<&str> {
        room(&self.path)
    }

    /// A finding of `rule` on `line`.
    pub(crate) fn finding(&self, line: usize, rule: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            rule: rule.into(),
        }
    }
}

fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    inside
        .split('/')
        .next()
        .map(|name| name.strip_suffix(".rs").unwrap_or(name))
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Sorted by path.
    pub(crate) sources: Vec<Source>,
}

impl Tree {
    /// Reads `src`, `tests` and `benches`.
    pub(crate) fn load() -> io::Result<Self> {
        let mut found = Vec::new();
        for folder in ["src", "tests", "benches"] {
            collect(&top().join(folder), &mut found)?;
        }
        let mut tokens = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for path in found {
            let name = path.strip_prefix(top()).unwrap_or(&path).to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            tokens.insert(name.clone(), Tokens::of(&text));
            texts.insert(name, text);
        }
        let modules = modules(&roots(&read("Cargo.toml")?), &tokens);
        let sources = texts.into_iter().map(|(path, text)| Source {
            tokens: tokens.remove(&path).unwrap_or_default(),
            module: modules.get(&path).cloned(),
            path,
            text,
        });
        Ok(Self {
            sources: sources.collect(),
        })
    }

    /// Files that no target declares: they are not compiled, their tests never run.
    pub(crate) fn orphans(&self) -> Vec<Finding> {
        let orphan = |source: &&Source| source.module.is_none();
        self.sources
            .iter()
            .filter(orphan)
            .map(|source| source.finding(1, "no `mod` declares this file"))
            .collect()
    }
}

/// The project's folder.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project.
pub(crate) fn read(name: &str) -> io::Result<String> {
    fs::read_to_string(top().join(name))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The files that targets begin with.
fn roots(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let mut roots = vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()];
    for (section, folder) in [("test", "tests"), ("bench", "benches")] {
        let targets = manifest.get(section).and_then(toml::Value::as_array);
        for target in targets.into_iter().flatten() {
            let text = |key| target.get(key).and_then(toml::Value::as_str);
            let usual = text("name").map(|name| format!("{folder}/{name}.rs"));
            roots.extend(text("path").map(str::to_owned).or(usual));
        }
    }
    roots
}

/// File to module path, for every file that is reached from `roots`.
fn modules(roots: &[String], files: &BTreeMap<String, Tokens>) -> BTreeMap<String, Vec<String>> {
    let mut reached = BTreeMap::new();
    let mut waiting: Vec<(String, Vec<String>)> = roots.iter().map(|root| (root.clone(), Vec::new())).collect();
    while let Some((path, module)) = waiting.pop() {
        let Some(tokens) = files.get(&path) else { continue };
        if reached.contains_key(&path) {
            continue;
        }
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        let stem = Path::new(&path).file_stem().unwrap_or_default();
        let owns_folder = module.is_empty() || stem == "mod";
        let below = if owns_folder {
            folder.to_owned()
        } else {
            folder.join(stem)
        };
        for declared in declarations(tokens) {
            let below = declared
                .inline
                .iter()
                .fold(below.clone(), |folder, name| folder.join(name));
            let places = match &declared.path {
                Some(given) => vec![folder.join(given)],
                None => vec![
                    below.join(format!("{}.rs", declared.name)),
                    below.join(&declared.name).join("mod.rs"),
                ],
            };
            let mut inner = module.clone();
            inner.extend(declared.inline);
            inner.push(declared.name);
            waiting.extend(places.iter().map(|place| (plain(place), inner.clone())));
        }
        reached.insert(path, module);
    }
    reached
}

/// `a/./b/../c` as `a/c`.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

#[derive(Debug, PartialEq)]
struct Declaration {
    name: String,
    inline: Vec<String>,
    path: Option<String>,
}

fn declarations(tokens: &Tokens) -> Vec<Declaration> {
    let (mut inline, mut path, mut found) = (Inline::default(), None, Vec::new());
    for at in 0..tokens.len() {
        inline.pass(tokens, at);
        if tokens.sign(at, '[') && tokens.word(at + 1) == Some("path") && tokens.sign(at + 2, '=') {
            path = tokens.text(at + 3).map(str::to_owned);
        } else if tokens.word(at) == Some("mod")
            && let Some(name) = tokens.word(at + 1)
            && tokens.sign(at + 2, ';')
        {
            found.push(Declaration {
                name: name.to_owned(),
                inline: inline.names(),
                path: path.take(),
            });
        }
    }
    found
}

/// Which `mod name { … }` of a file the walk over its tokens is in.
#[derive(Debug, Default)]
pub(crate) struct Inline {
    depth: usize,
    open: Vec<(usize, String)>,
}

impl Inline {
    /// Takes note of token `at`; call it for every token in order.
    pub(crate) fn pass(&mut self, tokens: &Tokens, at: usize) {
        if tokens.sign(at, '{') {
            self.depth += 1;
        } else if tokens.sign(at, '}') {
            self.depth = self.depth.saturating_sub(1);
            self.open.retain(|(depth, _)| *depth < self.depth);
        } else if tokens.word(at) == Some("mod")
            && let Some(name) = tokens.word(at + 1)
            && tokens.sign(at + 2, '{')
        {
            self.open.push((self.depth, name.to_owned()));
        }
    }

    /// The open ones, outermost first.
    pub(crate) fn names(&self) -> Vec<String> {
        self.open.iter().map(|(_, name)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Tokens, modules, roots};

    #[test]
    fn modules_are_found_as_the_compiler_finds_them() {
        let files: BTreeMap<String, Tokens> = [
            ("src/lib.rs", "pub mod a; mod b { mod c; }"),
            (
                "src/a/mod.rs",
                "mod d; #[cfg(test)] #[path = \"e_tests.rs\"] mod tests;",
            ),
            ("src/a/d.rs", "mod f;"),
            ("src/a/d/f.rs", ""),
            ("src/a/e_tests.rs", ""),
            ("src/b/c.rs", ""),
            ("src/lost.rs", ""),
        ]
        .map(|(path, text)| (path.to_owned(), Tokens::of(text)))
        .into();
        let found = modules(&["src/lib.rs".to_owned()], &files);
        let module = |path: &str| found.get(path).map(|names| names.join("::"));
        assert_eq!(module("src/a/d/f.rs").as_deref(), Some("a::d::f"));
        assert_eq!(module("src/a/e_tests.rs").as_deref(), Some("a::tests"));
        assert_eq!(module("src/b/c.rs").as_deref(), Some("b::c"));
        assert_eq!(module("src/lost.rs"), None);
    }

    #[test]
    fn targets_are_read_from_the_manifest() {
        let manifest = "[[test]]\nname = \"it\"\npath = \"tests/it/main.rs\"\n[[bench]]\nname = \"pipeline\"\n";
        let found = roots(manifest);
        assert!(found.contains(&"tests/it/main.rs".to_owned()));
        assert!(found.contains(&"benches/pipeline.rs".to_owned()));
    }
}
