//! PostgreSQL and what its tables say: reachable, recent enough, safe, our
//! schema, the same time as here; who works on it, what came in, what waits.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use deadpool_postgres::{Object, PoolError};
use tokio_postgres::error::SqlState;

use super::wording::{offset, span};
use super::{Finding, PATIENCE, Subject};
use crate::config::Settings;
use crate::domain::{EventTable, Source};
use crate::store::inspection::{self, Daemons, LastDelivery, Server};
use crate::store::{Db, StoreError, event_views, newest_schema, within};

/// The oldest server that will do.
const OLDEST: i32 = 140_000;
/// Clocks that differ by more deserve a word: event times are compared.
const APART: TimeDelta = TimeDelta::seconds(5);
/// What waits longer than this deserves one.
const LONG: Duration = Duration::from_secs(600);

/// What was found, and what else may be asked of the tables.
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// PostgreSQL answered.
    pub(super) up: bool,
    /// Its tables are those this program knows.
    pub(super) current: bool,
}

/// Looks at the database, if there is one to be asked.
pub(super) async fn look(db: Result<&Db, &Finding>, settings: &Settings) -> Looked {
    let mut looked = Looked {
        findings: Vec::new(),
        up: false,
        current: false,
    };
    let db = match db {
        Ok(db) => db,
        Err(why) => {
            looked.findings.push(why.clone());
            return looked;
        }
    };
    if let Err(error) = within(PATIENCE, examine(db, settings, &mut looked)).await {
        let text = if looked.up {
            format!("{error} while it was asked")
        } else {
            format!(
                "cannot be reached: {}; check DATABASE_URL and the server",
                reason(&error)
            )
        };
        looked.findings.push(Finding::problem(Subject::Database, text));
    }
    looked
}

async fn examine(db: &Db, settings: &Settings, looked: &mut Looked) -> Result<(), StoreError> {
    let client = db.client().await?;
    let before = Utc::now();
    let server = inspection::server(&client).await?;
    let after = Utc::now();
    looked.up = true;
    looked.findings.extend(about(&server, after - before));
    looked.findings.push(clock(server.now, before + (after - before) / 2));
    let (schema, finding) = schema(inspection::schema(&client).await?, newest_schema());
    looked.findings.push(finding);
    if schema {
        looked.findings.push(daemons(inspection::daemons(&client).await?));
        looked.findings.extend(events(&client, settings).await?);
    }
    looked.current = schema;
    Ok(())
}

/// Why there is no connection. The server's own words may quote data.
fn reason(error: &StoreError) -> String {
    let StoreError::Pool(PoolError::Backend(refusal)) = error else {
        return error.to_string();
    };
    match refusal.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the server refuses the user or the password".to_owned()
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "the server has no such database".to_owned(),
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => "the server has no connection left".to_owned(),
        Some(code) => format!("the server refuses with {}", code.code()),
        None => "no connection".to_owned(),
    }
}

fn about(server: &Server, took: TimeDelta) -> Vec<Finding> {
    let (version, took) = (&server.version, took.num_milliseconds());
    let mut found = vec![if server.version_number < OLDEST {
        Finding::problem(
            Subject::Database,
            format!("PostgreSQL {version} is too old: 14 or newer is needed"),
        )
    } else {
        Finding::ok(Subject::Database, format!("PostgreSQL {version} answered in {took} ms"))
    }];
    for setting in &server.unsafe_settings {
        found.push(Finding::warning(
            Subject::Database,
            format!("{setting} is off: deliveries answered with 200 may be lost when the server crashes; switch it on"),
        ));
    }
    found
}

fn clock(theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Finding {
    let ahead = theirs - ours;
    if ahead.abs() <= APART {
        return Finding::ok(Subject::Database, "its clock agrees with this machine's");
    }
    Finding::warning(
        Subject::Database,
        format!("its clock is {} this machine's: set both by NTP", offset(ahead)),
    )
}

/// Whether the tables are there, and what to say of them.
fn schema(applied: Option<i32>, known: i32) -> (bool, Finding) {
    let warning = |text| Finding::warning(Subject::Database, text);
    match applied {
        Some(version) if version == known => (true, Finding::ok(Subject::Database, format!("schema V{version}"))),
        Some(version) if version > known => (
            true,
            warning(format!(
                "schema V{version}, but this program knows V{known}: a newer one has been here; use that"
            )),
        ),
        Some(version) => (
            false,
            warning(format!(
                "schema V{version}, but this program needs V{known}: start the daemon, or run df-middleware migrate"
            )),
        ),
        None => (
            false,
            warning("no schema yet: start the daemon, or run df-middleware migrate".to_owned()),
        ),
    }
}

fn daemons(daemons: Daemons) -> Finding {
    match (daemons.alive, daemons.working) {
        (0, _) => Finding::warning(
            Subject::Daemons,
            "none runs on this database: nothing is taken in; start it",
        ),
        (alive, 0) => Finding::warning(
            Subject::Daemons,
            format!("{alive} alive, none works yet: a joining one needs some seconds; ask again"),
        ),
        (alive, working) => Finding::ok(Subject::Daemons, format!("{alive} alive, {working} working")),
    }
}

async fn events(client: &Object, settings: &Settings) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for source in Source::ALL {
        if *source == Source::Texting && settings.texting.webhook_secrets.is_empty() {
            continue;
        }
        found.push(heard(*source, inspection::last_delivery(client, *source).await?));
    }
    let mut oldest = None;
    for table in EventTable::ALL {
        oldest = event_views::backlog(client, *table)
            .await?
            .oldest_seconds()
            .into_iter()
            .chain(oldest)
            .reduce(f64::max);
    }
    found.push(waiting(oldest));
    Ok(found)
}

fn heard(source: Source, last: LastDelivery) -> Finding {
    match last {
        LastDelivery::Ago(age) => Finding::ok(Subject::Events, format!("{source} was last heard {} ago", span(age))),
        LastDelivery::NotLately => Finding::warning(
            Subject::Events,
            format!(
                "{source} is not among the last {} deliveries: look whether its webhooks are still on",
                inspection::LATEST
            ),
        ),
        LastDelivery::Never => Finding::warning(
            Subject::Events,
            format!("no webhook of {source} yet: point it at /api/webhooks/{source}"),
        ),
    }
}

fn waiting(oldest: Option<f64>) -> Finding {
    let Some(age) = oldest.map(|age| Duration::try_from_secs_f64(age).unwrap_or_default()) else {
        return Finding::ok(Subject::Events, "nothing waits");
    };
    let text = format!("the oldest unfinished event waits since {}", span(age));
    if age < LONG {
        return Finding::ok(Subject::Events, text);
    }
    Finding::warning(
        Subject::Events,
        format!("{text}: its errorMessage says why, see /api/admin/events?status=pending"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::checks::Level;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn clocks_that_differ_warn_and_say_which_is_ahead() {
        assert_eq!(clock(at(105), at(100)).level, Level::Ok);
        let ahead = clock(at(220), at(100));
        assert_eq!(ahead.level, Level::Warning);
        assert!(ahead.text.contains("2 min ahead of"), "{}", ahead.text);
        assert!(clock(at(100), at(220)).text.contains("2 min behind"));
    }

    #[test]
    fn a_schema_that_is_missing_behind_or_ahead_says_what_to_do() {
        assert_eq!((schema(Some(3), 3).0, schema(Some(3), 3).1.level), (true, Level::Ok));
        for (applied, readable) in [(None, false), (Some(2), false), (Some(4), true)] {
            let (current, found) = schema(applied, 3);
            assert_eq!((current, found.level), (readable, Level::Warning), "{applied:?}");
        }
    }

    #[test]
    fn an_old_server_is_a_problem_and_unsafe_settings_warn() {
        let mut server = Server {
            version: "13.4".to_owned(),
            version_number: 130_004,
            now: at(0),
            unsafe_settings: vec!["fsync".to_owned()],
        };
        let levels = |server: &Server| -> Vec<Level> {
            about(server, TimeDelta::zero())
                .iter()
                .map(|found| found.level)
                .collect()
        };
        assert_eq!(levels(&server), [Level::Problem, Level::Warning]);
        server.version_number = OLDEST;
        assert_eq!(levels(&server), [Level::Ok, Level::Warning]);
    }

    #[test]
    fn silence_and_long_waits_warn() {
        assert_eq!(heard(Source::Ghl, LastDelivery::Never).level, Level::Warning);
        assert_eq!(heard(Source::Ghl, LastDelivery::NotLately).level, Level::Warning);
        assert_eq!(heard(Source::Ghl, LastDelivery::Ago(LONG)).level, Level::Ok);
        assert_eq!(waiting(None).level, Level::Ok);
        assert_eq!(waiting(Some(599.0)).level, Level::Ok);
        assert_eq!(waiting(Some(600.0)).level, Level::Warning);
        let none = Daemons { alive: 0, working: 0 };
        assert_eq!(daemons(none).level, Level::Warning);
        assert_eq!(daemons(Daemons { alive: 2, working: 1 }).level, Level::Ok);
    }
}
