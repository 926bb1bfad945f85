//! The sub-commands. `df-middleware` alone serves.

mod dev;
mod doctor;
mod lent;
mod optout;
mod optout_text;
mod serve;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::DatabaseUnreachable;
use crate::config::{Problems, Surroundings};

/// Bad configuration.
const EX_CONFIG: u8 = 64;
/// Database unreachable at boot.
const EX_UNAVAILABLE: u8 = 69;
/// Internal failure.
const EX_SOFTWARE: u8 = 70;

/// One daemon between Aloware, GoHighLevel and a texting vendor.
#[derive(Debug, Parser)]
#[command(name = "df-middleware", version, about)]
struct Cli {
    /// Settings file; else DF_CONFIG, else ./df-middleware.toml where it exists.
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon (the default).
    Serve,
    /// Show the product: daemon, embedded database and vendor simulators play a short scripted day.
    Dev {
        /// Exit after the story: 0 if every step ended as told, else 1.
        #[arg(long)]
        once: bool,
    },
    /// Bring the database schema up to date and exit.
    Migrate,
    /// Print the effective settings, secrets masked.
    Config,
    /// Look at settings, database, data folder and vendors, and say what is wrong and what to do.
    ///
    /// Reads only. Exits 0 when nothing is wrong (warnings allowed), 1 when something is, 64 when the settings cannot be
    /// used, 69 when the database cannot be reached.
    Doctor {
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Look at consent to be texted, and decide about it.
    ///
    /// Works on the database of the settings, while the daemon runs. Exits 0 when it was done, 1 when there was nothing to
    /// do or the request makes no sense, 64 when flags or settings cannot be used, 69 when the database cannot be reached.
    Optout {
        #[command(subcommand)]
        action: optout::Action,
    },
}

/// Parses the command line, runs the command and answers the exit code:
/// 0 clean, 64 bad configuration, 69 database unreachable at boot, 70 internal.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let code = if error.use_stderr() { EX_CONFIG } else { 0 };
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    let command = cli.command.unwrap_or(Command::Serve);
    let lent = match &command {
        Command::Serve => lent::socket(),
        Command::Dev { .. } | Command::Migrate | Command::Config | Command::Doctor { .. } | Command::Optout { .. } => {
            Ok(None)
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot be started: {error}");
            return ExitCode::from(EX_SOFTWARE);
        }
    };
    let work = async {
        let lent = lent?;
        dispatch(command, cli.config.as_deref(), lent).await
    };
    match runtime.block_on(work) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(code_of(&error))
        }
    }
}

async fn dispatch(command: Command, config: Option<&Path>, lent: Option<TcpListener>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => serve::serve(crate::config::load(config)?, lent).await,
        Command::Migrate => serve::migrate(crate::config::load_database(config)?).await,
        Command::Dev { once } => dev::dev(config, once).await,
        Command::Doctor { json } => doctor::doctor(crate::config::load(config)?, json).await,
        Command::Optout { action } => optout::optout(crate::config::load(config)?, action).await,
        Command::Config => show(Surroundings::gather(config)?),
    }
}

/// Prints every setting, then the problems, if any.
fn show(surroundings: Surroundings) -> anyhow::Result<ExitCode> {
    let effective = surroundings.effective();
    print!("{effective}");
    if effective.problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(effective.problems.into())
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Problems>() || error.is::<lent::BadSocket>() {
        EX_CONFIG
    } else if error.is::<DatabaseUnreachable>() {
        EX_UNAVAILABLE
    } else {
        EX_SOFTWARE
    }
}
