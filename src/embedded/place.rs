//! The directory of one cluster: its lock, its socket folder, its log.
//!
//! ```text
//! <dir>/lock          held while we live; the only thing that decides who may start
//! <dir>/data/         PGDATA
//! <dir>/run/          the socket, 0700: whoever may enter is trusted
//! <dir>/postgres.log  what the server prints
//! ```

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::account::Account;
use super::error::EmbeddedError;

/// The server's name for port 5432, which every socket folder of ours uses.
const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// The shortest limit of any system for the path of a socket, with its NUL.
const SOCKET_PATH_LIMIT: usize = 104;
/// How names of socket folders outside the directory begin.
const SHORT_PREFIX: &str = "df-socket-";
/// A log that is larger than this is set aside at the next start.
const LOG_LIMIT: u64 = 8 * 1024 * 1024;
/// How much of the log an error shows.
const TAIL_BYTES: u64 = 4096;

/// A directory that we alone use.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory, absolute.
    pub(super) dir: PathBuf,
    /// PGDATA.
    pub(super) data: PathBuf,
    /// Folder of the socket.
    pub(super) sockets: PathBuf,
    /// The server's log.
    pub(super) log: PathBuf,
    /// Where a folder for the socket may go when `dir` is too deep.
    runtime_dir: Option<PathBuf>,
    /// Held, never read.
    _lock: File,
}

/// Creates `dir` if need be and takes its lock.
pub(super) fn lock(dir: &Path) -> Result<(PathBuf, File), EmbeddedError> {
    let fresh = !dir.exists();
    // The server's user has to pass through; what it may read are its own folders.
    let mode = if rustix::process::geteuid().is_root() {
        0o711
    } else {
        0o700
    };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .map_err(EmbeddedError::files("create", dir))?;
    if fresh {
        // Whatever the umask is.
        fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(EmbeddedError::files("set the mode of", dir))?;
    }
    let dir = fs::canonicalize(dir).map_err(EmbeddedError::files("resolve", dir))?;
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(EmbeddedError::files("open", &path))?;
    match file.try_lock() {
        // A sweep of old test directories may have removed it under our hands.
        Ok(()) if is_still_at(&file, &path) => Ok((dir, file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { dir }),
        Err(TryLockError::Error(error)) => Err(EmbeddedError::files("lock", path)(error)),
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

impl Place {
    /// Lays out a locked directory for `account`, who deletes a temporary one.
    pub(super) fn prepare(
        (dir, lock): (PathBuf, File),
        account: &Account,
        temporary: bool,
        runtime_dir: Option<&OsString>,
    ) -> Result<Self, EmbeddedError> {
        if temporary {
            fs::set_permissions(&dir, Permissions::from_mode(0o700))
                .map_err(EmbeddedError::files("set the mode of", &dir))?;
            account.own(&dir)?;
        }
        account.must_reach(&dir)?;
        Ok(Self {
            data: dir.join("data"),
            sockets: dir.join("run"),
            log: dir.join("postgres.log"),
            runtime_dir: runtime_dir.map(PathBuf::from),
            dir,
            _lock: lock,
        })
    }

    /// Makes an empty folder for the socket of the next server.
    pub(super) fn renew_sockets(&mut self, account: &Account) -> Result<(), EmbeddedError> {
        self.sockets = self.dir.join("run");
        if fits(&self.sockets) {
            make_private(&self.sockets, account)?;
            return remove_sockets(&self.sockets).map_err(EmbeddedError::files("clear", &self.sockets));
        }
        // Never a folder that exists: outside our directory it could be a trap.
        self.sockets = short_folder(self.runtime_dir.as_deref());
        DirBuilder::new()
            .mode(0o700)
            .create(&self.sockets)
            .map_err(EmbeddedError::files("create", &self.sockets))?;
        account.own(&self.sockets)
    }

    /// What the supervisor deletes when the server has ended; empty for nothing.
    pub(super) fn litter(&self, temporary: bool) -> [OsString; 2] {
        let dir = if temporary {
            self.dir.clone().into()
        } else {
            OsString::new()
        };
        let away = !self.sockets.starts_with(&self.dir);
        [
            dir,
            if away {
                self.sockets.clone().into()
            } else {
                OsString::new()
            },
        ]
    }

    /// Opens the log for this server's lines.
    pub(super) fn open_log(&self) -> Result<Log, EmbeddedError> {
        let length = || fs::metadata(&self.log).map_or(0, |found| found.len());
        if length() > LOG_LIMIT {
            fs::rename(&self.log, self.dir.join("postgres.log.1"))
                .map_err(EmbeddedError::files("set aside", &self.log))?;
        }
        let from = length();
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)
            .map_err(EmbeddedError::files("open", &self.log))?;
        Ok(Log {
            path: self.log.clone(),
            file,
            from,
        })
    }
}

/// The log of one server. Readable even when the file has been deleted, as that
/// of a temporary server is.
#[derive(Debug)]
pub(super) struct Log {
    /// Its path, for messages.
    pub(super) path: PathBuf,
    /// Open for reading and appending.
    pub(super) file: File,
    /// Length before this server.
    from: u64,
}

impl Log {
    /// The last lines of this server.
    pub(super) fn tail(&self) -> String {
        let read = || -> io::Result<String> {
            let end = self.file.metadata()?.len();
            let start = self.from.max(end.saturating_sub(TAIL_BYTES));
            let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
            self.file.read_exact_at(&mut bytes, start)?;
            Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        read().unwrap_or_else(|error| format!("(not readable: {error})"))
    }
}

/// Removes the socket folder of a dead server, if it lay outside its directory.
pub(super) fn discard_sockets(folder: &Path) {
    let is_short = |name: &OsStr| name.as_bytes().starts_with(SHORT_PREFIX.as_bytes());
    if folder.file_name().is_some_and(is_short)
        && let Err(error) = remove_sockets(folder).and_then(|()| fs::remove_dir(folder))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %folder.display(), %error, "an old socket folder stays");
    }
}

/// Removes what a server that was killed leaves in its socket folder; its lock
/// file would keep the next one out.
fn remove_sockets(folder: &Path) -> io::Result<()> {
    for name in [SOCKET_NAME.to_owned(), format!("{SOCKET_NAME}.lock")] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn fits(folder: &Path) -> bool {
    folder.join(SOCKET_NAME).as_os_str().len() < SOCKET_PATH_LIMIT
}

/// A folder elsewhere, for a directory whose path is too long for a socket.
/// The random name keeps others on the machine from being there first.
fn short_folder(runtime_dir: Option<&Path>) -> PathBuf {
    let id = Uuid::new_v4().simple().to_string();
    let name = format!("{SHORT_PREFIX}{}", id.get(..16).unwrap_or(&id));
    // Root's own runtime directory is closed to the server's user.
    let usable = |dir: &&Path| !rustix::process::geteuid().is_root() && dir.is_dir() && fits(&dir.join(&name));
    runtime_dir.filter(usable).unwrap_or(Path::new("/tmp")).join(&name)
}

/// A 0700 folder of `account`.
pub(super) fn make_private(path: &Path, account: &Account) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(EmbeddedError::files("set the mode of", path))?;
        }
        made => made.map_err(EmbeddedError::files("create", path))?,
    }
    account.own(path)
}
