//! Makes the data directory, all of it or nothing.
//!
//! `initdb` writes `PG_VERSION` first, so a half-made cluster looks like a
//! whole one. It works beside the place, and a rename puts the result there.

use std::fs::{self, File};
use std::path::Path;

use super::account::Account;
use super::error::EmbeddedError;
use super::place::{Place, make_private};
use super::programs::Programs;

/// The superuser of the cluster, and the only role.
pub(super) const USER: &str = "df";

const UNFINISHED: &str = "data.new.";

/// The major version that made the cluster in `data`; `None` when there is none.
pub(super) fn major(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = data.join("PG_VERSION");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(EmbeddedError::files("read", &path))?,
    };
    let not_one = |_| EmbeddedError::NotACluster { data: data.into() };
    text.trim().parse().map(Some).map_err(not_one)
}

/// Makes the cluster if it is not there yet.
pub(super) fn ensure(
    place: &Place,
    account: &Account,
    programs: &Programs,
    temporary: bool,
) -> Result<(), EmbeddedError> {
    remove_unfinished(&place.dir);
    if major(&place.data)?.is_some() {
        return Ok(());
    }
    if fs::read_dir(&place.data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EmbeddedError::NotACluster {
            data: place.data.clone(),
        });
    }
    let fresh = place.dir.join(format!("{UNFINISHED}{}", std::process::id()));
    make_private(&fresh, account)?;
    run_initdb(&fresh, account, programs, temporary)?;
    fs::rename(&fresh, &place.data).map_err(EmbeddedError::files("rename", &fresh))?;
    // The rename itself has to survive a power failure.
    File::open(&place.dir)
        .and_then(|dir| dir.sync_all())
        .map_err(EmbeddedError::files("sync", &place.dir))
}

fn run_initdb(fresh: &Path, account: &Account, programs: &Programs, temporary: bool) -> Result<(), EmbeddedError> {
    let initdb = programs.bin.join("initdb");
    let mut command = account.command(&initdb);
    command.arg("--pgdata").arg(fresh).args(["--username", USER]);
    command.args(["--encoding=UTF8", "--locale=C"]);
    command.args(["--auth-local=trust", "--auth-host=reject"]);
    if temporary {
        command.arg("--no-sync");
    }
    let done = command.output().map_err(|source| account.cannot_run(&initdb, source))?;
    if done.status.success() {
        return Ok(());
    }
    // initdb empties the directory itself; what is left goes at the next start.
    let _ = fs::remove_dir_all(fresh);
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(EmbeddedError::Initdb {
        data: fresh.into(),
        output: if said.is_empty() { done.status.to_string() } else { said },
    })
}

/// Removes what a killed first start left. Its `initdb` may still be running
/// and writing, so a failure is left to the next start.
fn remove_unfinished(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "an unfinished cluster stays");
        }
    }
}
