//! The embedded PostgreSQL as somebody sees it who does not run it. Starts and
//! changes nothing.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::Path;

use tokio_postgres::Config;

use super::programs::{self, Search};
use super::{DATABASE, EmbeddedError, Options, cluster, config_at, leftover};

/// How the embedded PostgreSQL is.
#[derive(Debug)]
pub enum Seen {
    /// A daemon has it; there one connects.
    Running(Box<Config>),
    /// Nobody has it; these programs would run it.
    Stopped {
        /// Such as `15.18`.
        version: String,
        /// Whether there is a cluster already.
        made: bool,
    },
}

/// Looks at the embedded PostgreSQL that these options describe. Blocks.
///
/// # Errors
/// When it could not be started: no programs, or none for its data.
pub fn look(options: &Options) -> Result<Seen, EmbeddedError> {
    let data = options.dir.join("data");
    if is_locked(&options.dir.join("lock"))?
        && let Some(sockets) = leftover::sockets(&data)?
    {
        return Ok(Seen::Running(Box::new(config_at(&sockets, DATABASE))));
    }
    let major = cluster::major(&data)?;
    let programs = programs::find(&Search {
        setting: options.bin_dir.as_deref(),
        path: options.variable("PATH").map(OsString::as_os_str),
        root: Path::new("/"),
        existing: major.map(|major| (data.as_path(), major)),
    })?;
    Ok(Seen::Stopped {
        version: programs.version,
        made: major.is_some(),
    })
}

/// Whether somebody has the lock. Ours is let go at once: whoever starts now asks
/// again for a second.
fn is_locked(path: &Path) -> Result<bool, EmbeddedError> {
    match File::open(path) {
        Ok(file) => Ok(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(EmbeddedError::files("open", path)(error)),
    }
}
