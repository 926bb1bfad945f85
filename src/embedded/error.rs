//! What can go wrong with a PostgreSQL of our own, in words for the operator.
//! Each text says what to do where something can be done.

use std::io;
use std::path::PathBuf;

/// Why the embedded PostgreSQL could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another process holds the lock of the directory.
    #[error(
        "the data directory {} is in use by another running instance: stop that one, or give this one a directory of its own with DF_DATA_DIR", .dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// No usable server programs on this machine.
    #[error(
        "no DATABASE_URL is set, and the server programs of PostgreSQL {oldest} or newer were not found on this machine (found: {found}).\n\
         Install them:   Debian/Ubuntu  apt-get install postgresql      Fedora  dnf install postgresql-server\n\
         \x20               macOS          brew install postgresql@17      Alpine  apk add postgresql17\n\
         or say where they are: DF_POSTGRES_BIN_DIR=/path/to/bin\n\
         or give a server: DATABASE_URL=postgres://user:password@host/database"
    )]
    NoPrograms {
        /// The oldest major version that will do.
        oldest: u32,
        /// What was found instead, or `none`.
        found: String,
    },
    /// The data was made by a version that is not installed (any more).
    #[error(
        "the data in {} was made by PostgreSQL {wanted}, and its server programs were not found on this machine (found: {found}). \
         Install PostgreSQL {wanted}, or say where it is with DF_POSTGRES_BIN_DIR, or move the data to a newer one with pg_upgrade", .data.display()
    )]
    OtherVersion {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        wanted: u32,
        /// What was found instead, or `none`.
        found: String,
    },
    /// The folder named by the setting does not hold them.
    #[error("DF_POSTGRES_BIN_DIR is {}, but there is no usable initdb and postgres in it ({reason})", .dir.display())]
    NotInSetting {
        /// The folder.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// We are root, which PostgreSQL refuses to be, and there is nobody else to be.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody on this machine: create one (useradd --system postgres), run df-middleware as an ordinary user, or set DATABASE_URL"
    )]
    NoAccount,
    /// The server's user cannot get to the directory.
    #[error(
        "PostgreSQL does not run as root but as {account}, who may not enter {} on the way to {}: set DF_DATA_DIR to a directory which that user may enter, for example /var/lib/df-middleware (never below /root)", .closed.display(), .dir.display()
    )]
    OutOfReach {
        /// The directory we were told to use.
        dir: PathBuf,
        /// The first folder on the way that is closed.
        closed: PathBuf,
        /// The user.
        account: String,
    },
    /// Something else lies where the cluster belongs.
    #[error("{} is neither empty nor a PostgreSQL data directory: move it away, or set DF_DATA_DIR to another directory", .data.display())]
    NotACluster {
        /// The data directory.
        data: PathBuf,
    },
    /// A file or directory could not be made, read or moved.
    #[error("cannot {action} {}: {source}", .path.display())]
    Files {
        /// A verb, as in `cannot create`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("cannot run {} as {account}: {source}", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The user it should run as.
        account: String,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb could not make a cluster in {}: {output}", .data.display())]
    Initdb {
        /// Where.
        data: PathBuf,
        /// The end of what it printed.
        output: String,
    },
    /// The server ended without being asked.
    #[error("the embedded PostgreSQL ended ({status}); the end of {}:\n{tail}", .log.display())]
    Ended {
        /// Exit status of the server.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server runs but does not let us in.
    #[error("the embedded PostgreSQL did not answer within {seconds} s; the end of {}:\n{tail}", .log.display())]
    Silent {
        /// How long we waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A server of an earlier run cannot be stopped.
    #[error(
        "the PostgreSQL of an earlier run (pid {pid}) does not stop: end it with kill -QUIT {pid}, then start again"
    )]
    Leftover {
        /// Its process id.
        pid: i32,
    },
    /// A statement failed.
    #[error("embedded PostgreSQL: {0}")]
    Sql(#[from] tokio_postgres::Error),
    /// The preparation of a template database failed.
    #[error("the template database could not be prepared: {0}")]
    Template(Box<dyn std::error::Error + Send + Sync>),
    /// Somebody stays connected to the template database, so it cannot be copied.
    #[error("{connections} connections are still open in the template database: close the pool that prepared it")]
    TemplateBusy {
        /// How many.
        connections: i64,
    },
    /// The runtime was shut down in the middle.
    #[error("the start of the embedded PostgreSQL was broken off: {0}")]
    BrokenOff(#[from] tokio::task::JoinError),
}

impl EmbeddedError {
    /// For `map_err` on file operations.
    pub(super) fn files(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { action, path, source }
    }
}
