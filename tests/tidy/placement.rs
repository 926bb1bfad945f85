//! What may stand only in some rooms: SQL, the web framework, the environment, the
//! wall clock.

use super::Finding;
use super::tree::{Inline, Source};

/// The rooms that hold statements.
const SQL: [&str; 2] = ["store", "queue"];
/// The rooms that speak HTTP as a server, and those that put them together.
const ACTIX: [&str; 6] = ["http", "admin", "ops", "app", "sandbox", "cli"];
/// What reads or changes the environment.
const ENVIRONMENT: [&str; 6] = ["var", "var_os", "vars", "vars_os", "set_var", "remove_var"];
/// The rooms that may take the whole environment along, unread: `cli` hands it
/// to `embedded`, which gives it to the server's programs.
const CARRIERS: [&str; 2] = ["embedded", "cli"];

/// Clocks that can be set.
const CLOCKS: [&str; 3] = ["Utc", "Local", "SystemTime"];

/// Statements outside `store` and `queue`. `embedded` may ask the server about
/// itself and make databases; tests, also those in `src`, may look into tables.
pub(crate) fn sql(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room().filter(|room| !SQL.contains(room)) else {
        return Vec::new();
    };
    if source.module.iter().flatten().any(|name| name == "tests") {
        return Vec::new();
    }
    let (mut inline, mut found) = (Inline::default(), Vec::new());
    for at in 0..source.tokens.len() {
        inline.pass(&source.tokens, at);
        let Some(text) = source.tokens.text(at) else { continue };
        let at_home = room == "embedded" && is_about_the_server(text);
        if is_statement(text) && !at_home && !inline.names().iter().any(|name| name == "tests") {
            found.push(source.finding(source.tokens.line(at), "SQL outside `store` and `queue`"));
        }
    }
    found
}

fn is_statement(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c == '\\' || c.is_whitespace());
    let mut words = text.split_whitespace();
    let (Some(verb), Some(object)) = (words.next(), words.next()) else {
        return false;
    };
    match verb {
        "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH" | "TRUNCATE" => true,
        "CREATE" | "DROP" | "ALTER" => object.chars().all(char::is_uppercase),
        "select" | "with" | "delete" => words.any(|word| word == "from"),
        "update" => words.any(|word| word == "set"),
        "insert" => object == "into",
        _ => false,
    }
}

fn is_about_the_server(text: &str) -> bool {
    ["DATABASE ", "pg_", "current_setting("]
        .iter()
        .any(|word| text.contains(word))
}

/// The web framework outside the rooms that speak HTTP.
pub(crate) fn actix(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room().filter(|room| !ACTIX.contains(room)) else {
        return Vec::new();
    };
    let named = |at: &usize| source.tokens.word(*at).is_some_and(|word| word.starts_with("actix"));
    let finding = |at| source.finding(source.tokens.line(at), format!("actix in `{room}`"));
    (0..source.tokens.len()).filter(named).map(finding).collect()
}

/// `std::env` outside `config`. Arguments and folders are no settings.
pub(crate) fn environment(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room().filter(|room| *room != "config") else {
        return Vec::new();
    };
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if tokens.word(at) != Some("env") || !tokens.path(at + 1) {
            continue;
        }
        for place in tokens.branches(at + 2) {
            let Some(name) = tokens.word(place).filter(|name| ENVIRONMENT.contains(name)) else {
                continue;
            };
            if !(name == "vars_os" && CARRIERS.contains(&room)) {
                found.push(source.finding(tokens.line(place), format!("`env::{name}` outside `config`")));
            }
        }
    }
    found
}

/// The wall clock in the engine. Leases and back-off go by the database's clock,
/// and by our own only as time passed (`Instant`): a clock that is set changes
/// nothing. What a log row tells for a person to read (`started_at`) is free.
pub(crate) fn clock(source: &Source) -> Vec<Finding> {
    if source.room() != Some("queue") {
        return Vec::new();
    }
    let tokens = &source.tokens;
    let read = |at: &usize| {
        let clock = tokens.word(*at).is_some_and(|word| CLOCKS.contains(&word));
        clock && tokens.path(at + 1) && tokens.word(at + 2) == Some("now")
    };
    let told = |at: &usize| *at >= 2 && tokens.word(at - 2) == Some("started_at") && tokens.sign(at - 1, '=');
    (0..tokens.len())
        .filter(|at| read(at) && !told(at))
        .map(|at| source.finding(tokens.line(at), "the wall clock in the engine"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{actix, clock, environment, sql};
    use crate::Finding;
    use crate::tree::Source;

    fn lines(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::sample(path, text))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn statements_are_found_wherever_they_hide() {
        let outside = "src/sync/a.rs";
        assert_eq!(lines(sql, outside, "\nf(\"SELECT 1\");"), [2]);
        assert_eq!(lines(sql, outside, "const A: &str = \"\nUPDATE t SET a = 1\";"), [1]);
        assert_eq!(lines(sql, outside, "f(\"\\\n  WITH a AS (SELECT 1) TABLE a\");"), [1]);
        assert_eq!(lines(sql, outside, "f(r#\"insert into t values (1)\"#);"), [1]);
        assert_eq!(
            lines(sql, outside, "f(\"DROP TABLE t\"); f(\"select a from t\");"),
            [1, 1]
        );
        assert_eq!(
            lines(sql, "src/embedded/a.rs", "f(\"SELECT a FROM webhook_events\");"),
            [1]
        );
    }

    #[test]
    fn statements_at_home_and_plain_words_are_no_finding() {
        assert!(lines(sql, "src/store/a.rs", "f(\"SELECT 1\");").is_empty());
        assert!(lines(sql, "tests/it/a.rs", "f(\"SELECT 1\");").is_empty());
        assert!(
            lines(
                sql,
                "src/embedded/a.rs",
                "f(\"CREATE DATABASE a\"); f(\"SELECT 1 FROM pg_database\");"
            )
            .is_empty()
        );
        let words =
            "f(\"update available\"); f(\"SELECTED \"); f(\"with a reason\"); f(\"Delete it\"); f(\"CREATE a\");";
        assert!(lines(sql, "src/sync/a.rs", words).is_empty());
        assert!(lines(sql, "src/sync/a.rs", "// \"SELECT 1\"").is_empty());
        let tested = "mod tests { fn a() { f(\"SELECT 1\") } }\nfn b() { f(\"SELECT 2\") }";
        assert_eq!(lines(sql, "src/sync/a.rs", tested), [2]);
    }

    #[test]
    fn the_web_framework_is_found_outside_its_rooms() {
        assert_eq!(lines(actix, "src/ingest/a.rs", "\nuse actix_web::web;"), [2]);
        assert!(lines(actix, "src/http/a.rs", "use actix_web::web;").is_empty());
        assert!(lines(actix, "tests/it/a.rs", "use actix_web::web;").is_empty());
    }

    #[test]
    fn the_wall_clock_is_found_in_the_engine_except_in_what_is_told() {
        let engine = "src/queue/a.rs";
        assert_eq!(lines(clock, engine, "\nlet now = chrono::Utc::now();"), [2]);
        assert_eq!(lines(clock, engine, "f(SystemTime::now())"), [1]);
        assert!(lines(clock, engine, "record.started_at = Utc::now(); Instant::now()").is_empty());
        assert!(lines(clock, "src/http/a.rs", "Utc::now()").is_empty());
    }

    #[test]
    fn reading_the_environment_is_found_outside_config() {
        assert_eq!(lines(environment, "src/app.rs", "\nlet a = std::env::var(\"A\");"), [2]);
        assert_eq!(lines(environment, "src/app.rs", "use std::env::{self,\nvars_os};"), [2]);
        assert_eq!(lines(environment, "src/embedded/a.rs", "std::env::var_os(\"A\")"), [1]);
        assert!(lines(environment, "src/embedded/a.rs", "std::env::vars_os()").is_empty());
        assert!(lines(environment, "src/config/a.rs", "std::env::vars_os()").is_empty());
        assert!(
            lines(
                environment,
                "src/app.rs",
                "std::env::args(); std::env::temp_dir(); env!(\"A\")"
            )
            .is_empty()
        );
    }
}
