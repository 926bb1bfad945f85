//! Settings: one table of keys, read once from file and environment into types.
//!
//! This room alone may look at the process environment. Everything wrong is
//! reported together in one [`Problems`], and never with a secret in it.

mod assemble;
mod effective;
mod keys;
mod overlay;
mod problems;
mod quantities;
mod read;
pub mod sections;
mod surroundings;
#[cfg(test)]
mod tests;
mod texting;
mod values;

use std::io;
use std::path::Path;

pub use effective::{Effective, EffectiveLine};
pub use problems::Problems;
pub use sections::{
    Aloware, CallSurface, Communications, CustomField, Database, Ghl, Http, Jobs, LogFormat, OptOutToAloware,
    QuietHours, Rate, RecordingLinks, Server, Settings, SourceOfTruth, Sync, Texting,
};
pub use surroundings::{Defaults, Surroundings};
pub use texting::TextingProof;

use read::Reading;

/// The settings of this process: the file at `cli_path`, else `DF_CONFIG`,
/// else `./df-middleware.toml` when there is one, overlaid by the environment.
///
/// # Errors
/// Every problem found, in one report; the process exits 64 on it.
pub fn load(cli_path: Option<&Path>) -> Result<Settings, Problems> {
    Surroundings::gather(cli_path)?.settings()
}

/// As [`load`], for commands that only need the database: nothing outside
/// `[database]` is required.
///
/// # Errors
/// As [`load`].
pub fn load_database(cli_path: Option<&Path>) -> Result<Database, Problems> {
    Surroundings::gather(cli_path)?.database()
}

/// Settings from values. `file` is the text of a `df-middleware.toml`, `env`
/// the environment (of a name given twice the last counts), `read` opens the
/// files named by `NAME_FILE` variables.
///
/// # Errors
/// Every unknown key, missing setting and unusable value, together.
pub fn parse(
    file: Option<&str>,
    env: impl IntoIterator<Item = (String, String)>,
    read: impl Fn(&Path) -> io::Result<String>,
    defaults: &Defaults,
) -> Result<Settings, Problems> {
    assemble::settings(Reading::of(file, env, read, defaults))
}

/// As [`parse`], but only `[database]` is required and returned. Unknown keys
/// are refused wherever they stand.
///
/// # Errors
/// As [`parse`].
pub fn parse_database(
    file: Option<&str>,
    env: impl IntoIterator<Item = (String, String)>,
    read: impl Fn(&Path) -> io::Result<String>,
    defaults: &Defaults,
) -> Result<Database, Problems> {
    assemble::database_only(Reading::of(file, env, read, defaults))
}

/// Every key with its effective value and where that comes from, secrets
/// masked, and the problems [`parse`] would report (the lines are complete
/// even then).
pub fn describe(
    file: Option<&str>,
    env: impl IntoIterator<Item = (String, String)>,
    read: impl Fn(&Path) -> io::Result<String>,
    defaults: &Defaults,
) -> Effective {
    effective::of(Reading::of(file, env, read, defaults))
}
