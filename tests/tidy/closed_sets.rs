//! The closed sets: the enums of `domain` and the `CHECK`s of the migrations
//! hold the same texts, and neither side has one that the other does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, io};

use df_middleware::domain::{
    Cause, Entity, EventStatus, EventTable, Flow, Move, Source, SyncStatus, TextDirection, TextStatus, TextingVendor,
    VendorSignal,
};

use super::TREE;
use super::tokens::Tokens;
use super::tree::top;

type Texts = BTreeSet<String>;
/// `table.column` to what its `CHECK (column IN (…))` admits.
type Checks = BTreeMap<String, Texts>;

/// What each checked column must admit. The last four are small sets whose
/// texts live in `store`, beside their statements.
fn held() -> Checks {
    let words = |words: &[&str]| -> Texts { words.iter().map(|word| (*word).to_owned()).collect() };
    macro_rules! set {
        ($set:ty) => {
            <$set>::ALL
                .iter()
                .map(|member| member.as_str().to_owned())
                .collect::<Texts>()
        };
    }
    let columns = [
        ("webhook_events.status", set!(EventStatus)),
        ("texting_webhook_events.status", set!(EventStatus)),
        ("sync_log.direction", set!(Flow)),
        ("sync_log.status", set!(SyncStatus)),
        ("optout_blocks.cause", set!(Cause)),
        ("optout_history.action", set!(Move)),
        ("optout_deliveries.action", set!(Move)),
        ("optout_deliveries.system", words(&["ghl", "aloware"])),
        ("quarantine_events.event_source", set!(EventTable)),
        ("vendor_usage.vendor", set!(Source)),
        ("optout_registry.status", words(&["opted_out", "opted_in"])),
        ("reconcile_runs.status", words(&["running", "success", "error"])),
        ("effects.state", words(&["intended", "done"])),
        (
            "outbound_messages.state",
            words(&["sending", "sent", "refused", "failed", "unknown"]),
        ),
    ];
    columns
        .into_iter()
        .map(|(column, texts)| (column.to_owned(), texts))
        .collect()
}

/// Every set declared with `closed_set!`. The last six have no
/// `CHECK`: an operator may type any source, vendors have entities of their own,
/// and a status of rows that were there before must stay storable.
const SETS: [&str; 12] = [
    "EventStatus",
    "Flow",
    "SyncStatus",
    "Cause",
    "Move",
    "EventTable",
    "Source",
    "Entity",
    "TextDirection",
    "TextStatus",
    "TextingVendor",
    "VendorSignal",
];

fn migrations() -> io::Result<String> {
    let mut files: Vec<_> = fs::read_dir(top().join("migrations"))?.collect::<Result<_, _>>()?;
    let version = |name: &str| {
        name.trim_start_matches('V')
            .split("__")
            .next()
            .and_then(|n| n.parse::<u32>().ok())
    };
    files.sort_by_key(|file| version(&file.file_name().to_string_lossy()));
    files.iter().map(|file| fs::read_to_string(file.path())).collect()
}

/// Reads `CREATE TABLE` and `ALTER TABLE`; a later check on a column replaces an earlier one.
fn checks(sql: &str) -> Checks {
    let code: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let mut found = Checks::new();
    for statement in code.join("\n").split(';') {
        let mut words = statement.split_whitespace().map(|word| word.trim_end_matches('('));
        let (Some("CREATE" | "ALTER"), Some("TABLE")) = (words.next(), words.next()) else {
            continue;
        };
        let Some(table) = words.find(|word| !["IF", "NOT", "EXISTS", "ONLY"].contains(word)) else {
            continue;
        };
        for check in statement.split("CHECK").skip(1) {
            if let Some((column, texts)) = membership(check) {
                found.insert(format!("{table}.{column}"), texts);
            }
        }
    }
    found
}

/// `(column IN ('a', 'b'))…`
fn membership(check: &str) -> Option<(&str, Texts)> {
    let (column, list) = check.trim_start().strip_prefix('(')?.split_once(" IN ")?;
    let column = column.trim();
    let list = list.trim_start().strip_prefix('(')?.split_once(')')?.0;
    let named = !column.is_empty() && column.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    named.then(|| {
        (
            column,
            list.split(',')
                .map(|text| text.trim().trim_matches('\'').to_owned())
                .collect(),
        )
    })
}

/// The names that follow `closed_set! {`.
fn declared(tokens: &Tokens) -> Vec<String> {
    let begins =
        |at: &usize| tokens.word(*at) == Some("closed_set") && tokens.sign(at + 1, '!') && tokens.sign(at + 2, '{');
    (0..tokens.len())
        .filter(begins)
        .filter_map(|at| tokens.word(at + 3).map(str::to_owned))
        .collect()
}

#[test]
fn the_closed_sets_and_the_checks_of_the_tables_agree() {
    let found = checks(&migrations().expect("the migrations can be read"));
    assert_eq!(found, held());
}

#[test]
fn every_closed_set_is_known_here() {
    let tree = TREE.as_ref().expect("the source tree can be read");
    let found: BTreeSet<String> = tree
        .sources
        .iter()
        .flat_map(|source| declared(&source.tokens))
        .collect();
    assert_eq!(found, SETS.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn every_member_of_a_closed_set_is_read_back_from_its_text() {
    macro_rules! round {
        ($($set:ty),+) => {$(
            let texts: BTreeSet<&str> = <$set>::ALL.iter().map(|member| member.as_str()).collect();
            assert_eq!(texts.len(), <$set>::ALL.len(), "two members of one text");
            for member in <$set>::ALL {
                assert_eq!(<$set>::parse(member.as_str()), Some(*member));
            }
            assert_eq!(<$set>::parse("something else"), None);
        )+};
    }
    round!(
        EventStatus,
        Flow,
        SyncStatus,
        Cause,
        Move,
        EventTable,
        Source,
        Entity,
        TextDirection,
        TextStatus,
        TextingVendor,
        VendorSignal
    );
}

#[test]
fn checks_are_read_from_migrations() {
    let sql = "CREATE TABLE a (\n s text CHECK (s IN ('x', 'y')), -- CHECK (s IN ('z'))\n n int CHECK (n > 0));\n\
               ALTER TABLE ONLY b ADD CONSTRAINT c CHECK (kind IN ('k'));\n\
               ALTER TABLE a DROP CONSTRAINT d, ADD CHECK (s IN ('x', 'y', 'z'));";
    let texts = |texts: &[&str]| -> Texts { texts.iter().map(|text| (*text).to_owned()).collect() };
    let wanted = [("a.s", texts(&["x", "y", "z"])), ("b.kind", texts(&["k"]))];
    assert_eq!(
        checks(sql),
        wanted.map(|(column, texts)| (column.to_owned(), texts)).into()
    );
}
