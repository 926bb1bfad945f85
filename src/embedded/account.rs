//! Whose rights the server programs run with, and what they see of our
//! environment. PostgreSQL refuses to be root, so root runs it as `postgres`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::EmbeddedError;

/// The only variables a child inherits. Ours hold vendor credentials, and any
/// `PG…` variable would change what the server does.
const INHERITED: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// Enters each argument in turn and prints the first that is closed.
const ENTER_ALL: &str = r#"for d; do cd -- "$d" 2>/dev/null || { printf %s "$d"; exit 1; }; done"#;

/// Who runs the server programs.
#[derive(Clone, Debug)]
pub(super) struct Account {
    name: String,
    /// User and group to change to; `None` stays who we are.
    ids: Option<(u32, u32)>,
    environment: Vec<(OsString, OsString)>,
}

impl Account {
    /// Ourselves, or when we are root: whoever owns the existing `data`, else
    /// `postgres`, else `nobody`.
    pub(super) fn choose(data: &Path, environment: &[(OsString, OsString)]) -> Result<Self, EmbeddedError> {
        let environment = environment
            .iter()
            .filter(|(name, _)| INHERITED.iter().any(|kept| name == kept))
            .cloned()
            .collect();
        if !rustix::process::geteuid().is_root() {
            let name = "this user".into();
            return Ok(Self {
                name,
                ids: None,
                environment,
            });
        }
        // PostgreSQL insists on owning its data, and the user postgres may have
        // come to the machine after the data was made as nobody.
        if let Ok(found) = fs::metadata(data)
            && found.uid() != 0
        {
            let name = format!("the owner of {} (uid {})", data.display(), found.uid());
            return Ok(Self {
                name,
                ids: Some((found.uid(), found.gid())),
                environment,
            });
        }
        if let Some(ids) = look_up("postgres") {
            let name = "user postgres".into();
            return Ok(Self {
                name,
                ids: Some(ids),
                environment,
            });
        }
        let ids = look_up("nobody").ok_or(EmbeddedError::NoAccount)?;
        tracing::warn!("there is no user postgres: the embedded PostgreSQL runs as nobody");
        let name = "user nobody".into();
        Ok(Self {
            name,
            ids: Some(ids),
            environment,
        })
    }

    /// The user id of the server processes.
    pub(super) fn uid(&self) -> u32 {
        self.ids
            .map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid)
    }

    /// A command with these rights, a bare environment, and a process group of
    /// its own so that a Ctrl-C in our terminal does not reach it.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0);
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives `path` to this account.
    pub(super) fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some((uid, gid)) = self.ids else {
            return Ok(());
        };
        chown(path, Some(uid), Some(gid)).map_err(EmbeddedError::files("change the owner of", path))
    }

    /// Makes sure that this account can get to `dir`, by really going there.
    pub(super) fn must_reach(&self, dir: &Path) -> Result<(), EmbeddedError> {
        if self.ids.is_none() {
            return Ok(());
        }
        let mut way: Vec<&Path> = dir.ancestors().collect();
        way.reverse();
        let shell = Path::new("/bin/sh");
        let walked = self
            .command(shell)
            .args(["-c", ENTER_ALL, "enter-all"])
            .args(way)
            .output()
            .map_err(|source| self.cannot_run(shell, source))?;
        if walked.status.success() {
            return Ok(());
        }
        Err(EmbeddedError::OutOfReach {
            dir: dir.into(),
            closed: PathBuf::from(OsString::from_vec(walked.stdout)),
            account: self.name.clone(),
        })
    }

    /// The error of a program that did not even start.
    pub(super) fn cannot_run(&self, program: &Path, source: std::io::Error) -> EmbeddedError {
        EmbeddedError::Run {
            program: program.into(),
            account: self.name.clone(),
            source,
        }
    }
}

/// User and group id by name. `id` asks the same sources as the system does,
/// not only `/etc/passwd`.
fn look_up(name: &str) -> Option<(u32, u32)> {
    let ask = |flag: &str| -> Option<u32> {
        let answer = Command::new("id").args([flag, name]).output().ok()?;
        String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
    };
    Some((ask("-u")?, ask("-g")?))
}
