//! `optout`: looking at consent and deciding about it, straight on the database.

use std::fs::OpenOptions;
use std::io::{Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use super::{doctor, optout_text};
use crate::admin::AdminError;
use crate::admin::decisions::Said;
use crate::admin::evidence::Export;
use crate::admin::opt_outs::OptOuts;
use crate::app::DatabaseUnreachable;
use crate::config::Settings;
use crate::domain::{Phone, PhoneHint};
use crate::store::Db;

/// How the audit log names whoever uses the command.
const ACTOR: &str = "cli";
/// The request made no sense, or there was nothing to do.
const REFUSED: u8 = 1;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Show why a number is blocked, its evidence, and who was told of it when.
    Show {
        /// The number, with + or as people of the configured region write it.
        phone: String,
    },
    /// List the numbers that are opted out, the latest first.
    List {
        /// Most numbers to list.
        #[arg(long, default_value_t = 100)]
        limit: u16,
    },
    /// List the texts that wait for a decision, the most urgent first.
    ///
    /// What nobody decides becomes a STOP by itself five business days after it came.
    Reviews,
    /// Decide whether a text that waits was a STOP.
    Decide {
        /// The number.
        phone: String,
        /// The decision.
        #[arg(value_parser = ["stop", "clear"])]
        decision: String,
        #[command(flatten)]
        grounds: Grounds,
    },
    /// Record that somebody asked to stop some other way, or must not be contacted.
    ///
    /// The CRM and the dialer are told as of any STOP.
    Block {
        /// The number.
        phone: String,
        /// Why it is blocked.
        #[arg(long, value_parser = ["consumer_stop", "legal", "manual"])]
        cause: String,
        #[command(flatten)]
        grounds: Grounds,
    },
    /// Lift a block, with what proves that it may be.
    Lift {
        /// The number.
        phone: String,
        /// Which block: as `show` names it.
        #[arg(long)]
        cause: String,
        #[command(flatten)]
        grounds: Grounds,
        /// A second person who agreed; needed for consumer_stop and legal.
        #[arg(long, value_name = "NAME")]
        approved_by: Option<String>,
    },
    /// Write all evidence as CSV.
    Export {
        /// A new file, readable by its owner only; else standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Grounds {
    /// Why, in short.
    #[arg(long)]
    reason: String,
    /// Who decides.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// What proves it: a ticket, a letter, a form.
    #[arg(long)]
    evidence: Option<String>,
}

impl Grounds {
    fn said(self) -> Said {
        Said {
            reason: Some(self.reason),
            decided_by: Some(self.by),
            evidence: self.evidence,
            ..Said::default()
        }
    }
}

/// Runs the action. 0 when it was done, 1 when it makes no sense here, 69 when the
/// database is away.
pub(super) async fn optout(settings: Settings, action: Action) -> anyhow::Result<ExitCode> {
    let db = match doctor::database(&settings.database).await? {
        Ok(db) => db,
        Err(finding) => return Err(anyhow::Error::new(DatabaseUnreachable).context(finding.to_string())),
    };
    if let Err(error) = db.client().await {
        return Err(anyhow::Error::new(DatabaseUnreachable).context(error));
    }
    let hint = PhoneHint::region(&settings.sync.default_region);
    let desk = OptOuts::new(db.clone(), ACTOR);
    match carry_out(&db, &desk, &hint, action).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Refusal::Admin(AdminError::Store(error))) => Err(error.into()),
        Err(Refusal::Admin(refused)) => {
            eprintln!("{refused}");
            Ok(ExitCode::from(REFUSED))
        }
        Err(Refusal::Other(error)) => Err(error),
    }
}

/// Why nothing was done.
enum Refusal {
    Admin(AdminError),
    Other(anyhow::Error),
}

impl<E: Into<AdminError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Admin(error.into())
    }
}

async fn carry_out(db: &Db, desk: &OptOuts, hint: &PhoneHint, action: Action) -> Result<(), Refusal> {
    match action {
        Action::Show { phone } => print!("{}", optout_text::shown(&desk.show(&number(&phone, hint)?).await?)),
        Action::List { limit } => print!("{}", optout_text::listed(&desk.list(limit).await?)),
        Action::Reviews => print!("{}", optout_text::waiting(&desk.reviews().await?)),
        Action::Decide {
            phone,
            decision,
            grounds,
        } => {
            let said = Said {
                decision: Some(decision),
                ..grounds.said()
            };
            desk.decide(&number(&phone, hint)?, said.choice()?, &said.grounds()?)
                .await?;
            println!("decided; the daemon carries it on");
        }
        Action::Block { phone, cause, grounds } => {
            let said = Said {
                cause: Some(cause),
                ..grounds.said()
            };
            desk.block(&number(&phone, hint)?, said.cause()?, &said.grounds()?)
                .await?;
            println!("blocked; the daemon tells the other systems");
        }
        Action::Lift {
            phone,
            cause,
            grounds,
            approved_by,
        } => {
            let said = Said {
                cause: Some(cause),
                approved_by,
                ..grounds.said()
            };
            desk.lift(&number(&phone, hint)?, said.cause()?, &said.grounds()?)
                .await?;
            println!("lifted; the daemon tells the other systems");
        }
        Action::Export { out } => export(db, out).await?,
    }
    Ok(())
}

fn number(text: &str, hint: &PhoneHint) -> Result<Phone, AdminError> {
    Phone::parse(text, hint).ok_or_else(|| AdminError::Invalid("this is no phone number".to_owned()))
}

async fn export(db: &Db, out: Option<PathBuf>) -> Result<(), Refusal> {
    let mut target: Box<dyn Write + Send> = match &out {
        None => Box::new(stdout()),
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let file = file.with_context(|| format!("{} cannot be made", path.display()));
            Box::new(file.map_err(Refusal::Other)?)
        }
    };
    let mut pieces = Export::begin(db.clone(), ACTOR).await?;
    while let Some(piece) = pieces.next().await? {
        let written = target.write_all(&piece);
        written.map_err(|error| Refusal::Other(anyhow!(error).context("writing the evidence")))?;
    }
    let flushed = target.flush();
    flushed.map_err(|error| Refusal::Other(anyhow!(error).context("writing the evidence")))
}
