//! `doctor`: what is wrong, and what to do, in one line each. Reads only; its
//! calls are added to the day's.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use secrecy::ExposeSecret;

use super::EX_UNAVAILABLE;
use crate::config::{Database, Settings};
use crate::embedded::{self, Seen};
use crate::ops::checks::{Checks, Finding, Level, Report, Subject};
use crate::store::Db;

/// Something is wrong.
const WRONG: u8 = 1;

/// Looks at everything and prints what it found. 0 when nothing is wrong
/// (warnings allowed), 1 when something is, 69 when the database is away.
pub(super) async fn doctor(settings: Settings, json: bool) -> anyhow::Result<ExitCode> {
    let db = database(&settings.database).await?;
    let checks = Checks::of_command(Arc::new(settings), db)?;
    let report = checks.look().await;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    if !report.vendors.is_empty()
        && let Err(error) = checks.write_down().await
    {
        eprintln!("the doctor's own calls were not added to the day's: {error}");
    }
    Ok(if report.database_away {
        ExitCode::from(EX_UNAVAILABLE)
    } else if report.status == Level::Problem {
        ExitCode::from(WRONG)
    } else {
        ExitCode::SUCCESS
    })
}

/// The operator's server, or the embedded one if it runs; else why not.
pub(super) async fn database(database: &Database) -> anyhow::Result<Result<Db, Finding>> {
    let config = if let Some(url) = &database.url {
        url.expose_secret().parse().context("DATABASE_URL cannot be read")?
    } else {
        let mut options = embedded::Options::new(database.data_dir.join("postgres"), std::env::vars_os());
        options.bin_dir = database.postgres_bin_dir.clone();
        match tokio::task::spawn_blocking(move || embedded::look(&options)).await? {
            Ok(Seen::Running(config)) => *config,
            Ok(Seen::Stopped { version, made }) => return Ok(Err(stopped(&version, made))),
            Err(error) => {
                let text = error.to_string();
                let line: Vec<_> = text.split_whitespace().collect();
                return Ok(Err(Finding::problem(Subject::Database, line.join(" "))));
            }
        }
    };
    Ok(Ok(Db::new(config, 2)?))
}

fn stopped(version: &str, made: bool) -> Finding {
    let text = if made {
        format!(
            "the embedded PostgreSQL {version} runs only while the daemon does: start it to have its tables looked at"
        )
    } else {
        format!("none yet: the first start of the daemon makes one with the PostgreSQL {version} found here")
    };
    Finding::warning(Subject::Database, text)
}

fn print(report: &Report) {
    for finding in &report.findings {
        println!("{finding}");
    }
    let count = |level| report.findings.iter().filter(|found| found.level == level).count();
    println!(
        "\n{} wrong, {} to be known, {} in order",
        count(Level::Problem),
        count(Level::Warning),
        count(Level::Ok)
    );
}
