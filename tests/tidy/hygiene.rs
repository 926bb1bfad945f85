//! What may stand nowhere: unfinished code, silent exceptions, empty tests.

use super::Finding;
use super::tree::Source;

/// `todo!`, `unimplemented!`, `dbg!`.
pub(crate) fn unfinished(source: &Source) -> Vec<Finding> {
    let tokens = &source.tokens;
    let named = |at: usize| tokens.word(at).filter(|_| tokens.sign(at + 1, '!'));
    let banned = |at: usize| named(at).filter(|name| matches!(*name, "todo" | "unimplemented" | "dbg"));
    (0..tokens.len())
        .filter_map(|at| Some(source.finding(tokens.line(at), format!("`{}!`", banned(at)?))))
        .collect()
}

/// `#[allow(…)]`, and `#[expect(…)]` without a reason.
pub(crate) fn exceptions(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for attribute in attributes(source) {
        let called = |name| {
            attribute
                .clone()
                .find(|at| source.tokens.word(*at) == Some(name) && source.tokens.sign(at + 1, '('))
        };
        let reasoned = attribute.clone().any(|at| source.tokens.word(at) == Some("reason"));
        if let Some(at) = called("allow") {
            found.push(source.finding(
                source.tokens.line(at),
                "`#[allow]`; mend it, or `#[expect(…, reason = …)]`",
            ));
        }
        if let Some(at) = called("expect").filter(|_| !reasoned) {
            found.push(source.finding(source.tokens.line(at), "`#[expect]` without a reason"));
        }
    }
    found
}

/// `#[ignore]`, except on a test that another starts as a process of its own;
/// `assert!(true)`; and in tests and benches a sleeping thread.
pub(crate) fn tests(source: &Source) -> Vec<Finding> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for attribute in attributes(source) {
        let started = attribute
            .clone()
            .any(|at| tokens.text(at).is_some_and(|why| why.starts_with("started by ")));
        if attribute.clone().any(|at| tokens.word(at) == Some("ignore")) && !started {
            found.push(source.finding(tokens.line(attribute.start), "`#[ignore]`; run it or remove it"));
        }
    }
    for at in 0..tokens.len() {
        let word = |steps| tokens.word(at + steps);
        if word(0) == Some("assert") && word(3) == Some("true") && tokens.sign(at + 4, ')') {
            found.push(source.finding(tokens.line(at), "`assert!(true)` proves nothing"));
        }
        if source.room().is_none() && word(0) == Some("thread") && tokens.path(at + 1) && word(2) == Some("sleep") {
            found.push(source.finding(tokens.line(at), "a sleeping test; wait on the condition"));
        }
    }
    found
}

/// The insides of `#[…]` and `#![…]`, as places of tokens.
fn attributes(source: &Source) -> Vec<std::ops::Range<usize>> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(|at| tokens.sign(*at, '#')) {
        let open = if tokens.sign(at + 1, '!') { at + 2 } else { at + 1 };
        if !tokens.sign(open, '[') {
            continue;
        }
        let mut depth = 0_usize;
        let close = (open..tokens.len()).find(|place| {
            depth += usize::from(tokens.sign(*place, '['));
            depth -= usize::from(tokens.sign(*place, ']'));
            depth == 0
        });
        found.push(open + 1..close.unwrap_or(tokens.len()));
    }
    found
}

#[cfg(test)]
mod samples {
    use super::{exceptions, tests, unfinished};
    use crate::Finding;
    use crate::tree::Source;

    fn lines(rule: fn(&Source) -> Vec<Finding>, text: &str) -> Vec<usize> {
        rule(&Source::sample("tests/it/a.rs", text))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(
            lines(
                unfinished,
                "fn a() {\n todo!()\n}\nfn b() { unimplemented!(); dbg!(1); }"
            ),
            [2, 4, 4]
        );
        assert!(lines(unfinished, "// todo!()\nlet todo = !done; f(\"dbg!\");").is_empty());
    }

    #[test]
    fn silent_exceptions_are_found() {
        assert_eq!(lines(exceptions, "\n#[allow(dead_code)]\nfn a() {}"), [2]);
        assert_eq!(lines(exceptions, "#![cfg_attr(test, allow(unused))]"), [1]);
        assert_eq!(lines(exceptions, "#[expect(dead_code)]\nfn a() {}"), [1]);
        assert!(
            lines(
                exceptions,
                "#[expect(dead_code, reason = \"read by tests\")]\nfn a() {}"
            )
            .is_empty()
        );
        assert!(lines(exceptions, "limiter.allow(1); fn allow(x: u8) {} a.expect(\"b\");").is_empty());
    }

    #[test]
    fn tests_that_prove_nothing_are_found() {
        assert_eq!(lines(tests, "#[test]\n#[ignore = \"slow\"]\nfn a() {}"), [2]);
        assert_eq!(lines(tests, "assert!(true);\nstd::thread::sleep(a);"), [1, 2]);
        assert!(lines(tests, "#[ignore = \"started by b as a process\"]\nfn a() {}").is_empty());
        assert!(lines(tests, "assert!(true == a); tokio::time::sleep(a);").is_empty());
    }
}
