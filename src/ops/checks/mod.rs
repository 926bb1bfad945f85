//! What is wrong and what to do about it, for a person who asks: settings,
//! database, data folder, deliveries, vendors. `df-middleware doctor` and
//! `GET /api/admin/connections` show the same findings.
//!
//! This asks the vendors, a handful of cheap reads each; health, readiness and
//! the meters never do. Nothing is written anywhere but the number of calls.

mod database;
mod folder;
mod settings;
mod usage;
mod vendors;
mod wording;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::config::Settings;
use crate::domain::Source;
use crate::store::{Db, StoreError, vendor_usage, within};
use crate::vendors::{SetupError, Vendors};

use usage::Others;
pub use usage::VendorState;

/// The longest one probe may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
    Warning,
    /// Something does not work.
    Problem,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The settings.
    Settings,
    /// PostgreSQL and the schema.
    Database,
    /// The data folder and the spool in it.
    Folder,
    /// The daemons on this database.
    Daemons,
    /// What came in and what waits.
    Events,
    /// GoHighLevel.
    Ghl,
    /// Aloware.
    Aloware,
    /// The texting vendor.
    Texting,
}

impl Subject {
    fn of(vendor: Source) -> Self {
        match vendor {
            Source::Ghl => Self::Ghl,
            Source::Aloware => Self::Aloware,
            Source::Texting => Self::Texting,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Database => "database",
            Self::Folder => "folder",
            Self::Daemons => "daemons",
            Self::Events => "events",
            Self::Ghl => "ghl",
            Self::Aloware => "aloware",
            Self::Texting => "texting",
        }
    }
}

/// One line of the report. Its text holds no secret and no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// How bad it is.
    pub level: Level,
    /// What is so, and what to do.
    pub text: String,
}

impl Finding {
    /// All is well here.
    pub fn ok(subject: Subject, text: impl Into<String>) -> Self {
        Self::new(subject, Level::Ok, text)
    }

    /// Somebody should know.
    pub fn warning(subject: Subject, text: impl Into<String>) -> Self {
        Self::new(subject, Level::Warning, text)
    }

    /// Something does not work.
    pub fn problem(subject: Subject, text: impl Into<String>) -> Self {
        Self::new(subject, Level::Problem, text)
    }

    fn new(subject: Subject, level: Level, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { subject, level, text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        write!(f, "{level:<8} {:<9} {}", self.subject.as_str(), self.text)
    }
}

/// Everything found at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The worst of the findings.
    pub status: Level,
    /// When it was looked.
    pub checked_at: String,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Each vendor's breaker and budget; empty for a command without a database.
    pub vendors: Vec<VendorState>,
    /// Whether there should be a database, and it does not answer.
    #[serde(skip)]
    pub database_away: bool,
}

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// A daemon, of its own clients.
    Daemon,
    /// A command that ends with the answer.
    Command,
}

/// Looks at everything. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Checks {
    settings: Arc<Settings>,
    /// Or why there is none to be asked.
    db: Result<Db, Finding>,
    vendors: Vendors,
    asker: Asker,
}

impl Checks {
    /// For a daemon: its budgets are spent and its breakers are shown.
    pub fn of_daemon(settings: Arc<Settings>, db: Db, vendors: Vendors) -> Self {
        Self {
            settings,
            db: Ok(db),
            vendors,
            asker: Asker::Daemon,
        }
    }

    /// For a command, with clients of its own; `db`, or why there is none.
    ///
    /// # Errors
    /// [`SetupError`] when a token or base address cannot be used.
    pub fn of_command(settings: Arc<Settings>, db: Result<Db, Finding>) -> Result<Self, SetupError> {
        Ok(Self {
            vendors: Vendors::from_settings(&settings)?,
            settings,
            db,
            asker: Asker::Command,
        })
    }

    /// Looks at everything now. No part takes longer than some seconds, and
    /// none waits for another.
    pub async fn look(&self) -> Report {
        let (database, folder, vendors) = tokio::join!(
            database::look(self.db.as_ref(), &self.settings),
            folder::look(&self.settings.database),
            vendors::look(&self.vendors, &self.settings),
        );
        let mut findings = settings::look(&self.settings);
        findings.extend(database.findings);
        findings.extend(folder);
        findings.extend(vendors);
        let others = match (self.asker, &self.db) {
            // Its budgets know what is written down.
            (Asker::Daemon, _) => Ok(Others::default()),
            (Asker::Command, Ok(db)) if database.current => within(PATIENCE, usage::written(db)).await,
            (Asker::Command, _) => Err(StoreError::Unavailable),
        };
        let states = others.map_or_else(
            |_| Vec::new(),
            |others| usage::states(&self.vendors, &others, self.asker),
        );
        findings.extend(states.iter().filter_map(VendorState::finding));
        Report {
            status: findings.iter().map(|found| found.level).max().unwrap_or(Level::Ok),
            checked_at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            findings,
            vendors: states,
            database_away: self.db.is_ok() && !database.up,
        }
    }

    /// Writes down the calls a command made, for a day's calls are those of
    /// all. A daemon's are written down with its others.
    ///
    /// # Errors
    /// Any statement failure: no database, or none of our tables in it.
    pub async fn write_down(&self) -> Result<(), StoreError> {
        let Ok(db) = &self.db else {
            return Ok(());
        };
        let today = Utc::now();
        let budgets = self.vendors.budgets();
        let made: Vec<_> = budgets
            .iter()
            .map(|(vendor, budget)| {
                let (day, count) = budget.unwritten(today);
                vendor_usage::Calls {
                    vendor: *vendor,
                    day,
                    count,
                }
            })
            .collect();
        vendor_usage::add(&db.client().await?, &made).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_begins_with_how_bad_it_is() {
        let found = Finding::problem(Subject::Ghl, "no answer");
        assert_eq!(found.to_string(), "PROBLEM  ghl       no answer");
        assert!(Level::Problem > Level::Warning && Level::Warning > Level::Ok);
    }

    #[test]
    fn a_subject_has_one_name() {
        for subject in [Subject::Settings, Subject::Folder, Subject::Daemons, Subject::Texting] {
            let json = serde_json::to_value(subject).unwrap();
            assert_eq!(json.as_str(), Some(subject.as_str()));
        }
    }
}
