//! The house rules, checked: doors between rooms, sizes, and what may stand where.
//!
//! Each rule is a function from text to findings with its own tests on samples;
//! here they are run over the real tree. A finding names file, line and rule.

#[path = "tidy/closed_sets.rs"]
mod closed_sets;
#[path = "tidy/doors.rs"]
mod doors;
#[path = "tidy/hygiene.rs"]
mod hygiene;
#[path = "tidy/placement.rs"]
mod placement;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/tokens.rs"]
mod tokens;
#[path = "tidy/tree.rs"]
mod tree;

use std::sync::LazyLock;
use std::{fmt, io};

use tree::{Source, Tree};

static TREE: LazyLock<io::Result<Tree>> = LazyLock::new(Tree::load);

/// One broken rule.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

/// Fails with every finding on a line of its own.
fn expect_none(found: &[Finding]) {
    let lines: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert!(found.is_empty(), "{} broken:\n{}\n", found.len(), lines.join("\n"));
}

/// Runs one rule over every source file.
fn expect_kept(rule: impl Fn(&Source) -> Vec<Finding>) {
    assert!(TREE.is_ok(), "the source tree cannot be read: {:?}", *TREE);
    let found: Vec<Finding> = TREE.iter().flat_map(|tree| &tree.sources).flat_map(rule).collect();
    expect_none(&found);
}

#[test]
fn rooms_use_only_the_rooms_their_doors_lead_to() {
    let tree = TREE.as_ref().expect("the source tree can be read");
    expect_none(&doors::findings(tree));
}

#[test]
fn the_doors_make_no_circle() {
    assert_eq!(doors::circle(&doors::edges()), Vec::<String>::new());
}

#[test]
fn the_architecture_page_shows_the_same_doors() {
    let page = tree::read("ARCHITECTURE.md").expect("ARCHITECTURE.md can be read");
    assert_eq!(doors::of_page(&page), doors::rows());
}

#[test]
fn every_source_file_belongs_to_a_target() {
    let tree = TREE.as_ref().expect("the source tree can be read");
    expect_none(&tree.orphans());
}

#[test]
fn files_are_neither_too_long_nor_too_short() {
    expect_kept(size::length);
}

#[test]
fn files_begin_by_saying_what_they_are_for() {
    expect_kept(size::opening);
}

#[test]
fn sql_stands_only_in_the_store_and_the_queue() {
    expect_kept(placement::sql);
}

#[test]
fn actix_is_known_only_to_the_rooms_that_speak_http() {
    expect_kept(placement::actix);
}

#[test]
fn the_environment_is_read_only_in_config() {
    expect_kept(placement::environment);
}

#[test]
fn the_engine_goes_by_no_clock_that_can_be_set() {
    expect_kept(placement::clock);
}

#[test]
fn nothing_unfinished_is_left_in_the_code() {
    expect_kept(hygiene::unfinished);
}

#[test]
fn exceptions_to_lints_are_expected_and_reasoned() {
    expect_kept(hygiene::exceptions);
}

#[test]
fn tests_all_run_prove_something_and_do_not_sleep() {
    expect_kept(hygiene::tests);
}
