//! What an earlier run left in the data directory: a server that still runs,
//! or a pid file that names nobody, a zombie, or somebody else.
//!
//! PostgreSQL takes its pid file for live whenever the pid exists, even as a
//! zombie or as a stranger. We hold the lock of the directory, so we can look
//! closer: the process whose working directory is the data directory is the
//! server, and no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Config, NoTls};

use super::account::Account;
use super::cluster::USER;
use super::error::EmbeddedError;
use super::place::discard_sockets;

/// How long a fast shutdown may take before it becomes an immediate one.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an immediate shutdown may take.
const LAST_PATIENCE: Duration = Duration::from_secs(15);
/// A signal sent while a server is still starting is lost, so it is repeated.
const REPEAT: Duration = Duration::from_secs(1);

/// Tells 0 (works in that directory), 1 (works elsewhere), 2 (cannot say).
/// A child asks because root in a container may not look into other users'
/// processes, while the server's own user may.
const WORKS_IN: &str = r#"[ -d "/proc/$1/cwd" ] || exit 2; [ "/proc/$1/cwd" -ef "$2" ]"#;

/// The first lines of `postmaster.pid`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PidFile {
    pid: i32,
    data: PathBuf,
    sockets: Option<PathBuf>,
}

/// Where the server on `data` has its socket, if a pid file names one.
pub(super) fn sockets(data: &Path) -> Result<Option<PathBuf>, EmbeddedError> {
    Ok(read_pid_file(data)?.and_then(|file| file.sockets))
}

/// Stops a server that still runs on `data`. The answer is the pid that a
/// stale pid file still names, which the next server has to be told to ignore.
pub(super) async fn settle(data: &Path, account: &Account) -> Result<Option<i32>, EmbeddedError> {
    let Some(first) = read_pid_file(data)? else {
        return Ok(None);
    };
    let started = Instant::now();
    let mut next_signal = started;
    loop {
        let Some(file) = read_pid_file(data)? else {
            return Ok(None);
        };
        if !is_running(&file, data, account).await? {
            break;
        }
        let now = Instant::now();
        if now > started + PATIENCE + LAST_PATIENCE {
            return Err(EmbeddedError::Leftover { pid: file.pid });
        }
        if now >= next_signal {
            tracing::warn!(postgres.pid = file.pid, "stopping the PostgreSQL of an earlier run");
            let late = now > started + PATIENCE;
            send(file.pid, if late { Signal::QUIT } else { Signal::INT });
            next_signal = now + REPEAT;
        }
        sleep(Duration::from_millis(20)).await;
    }
    if let Some(sockets) = first.sockets
        && first.data == data
    {
        discard_sockets(&sockets);
    }
    Ok(read_pid_file(data)?.map(|file| file.pid))
}

fn send(pid: i32, signal: Signal) {
    // Being gone meanwhile is what we want; being forbidden ends in `Leftover`.
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn read_pid_file(data: &Path) -> Result<Option<PidFile>, EmbeddedError> {
    let path = data.join("postmaster.pid");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::files("read", path)(error)),
    }
}

/// Lines: pid, data directory, start time, port, socket directory, … An empty
/// file (killed while writing it) names nobody; PostgreSQL removes it itself.
fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    // The pid of a single-user server is written as a negative number.
    let pid = lines.next()?.trim().parse::<i32>().ok()?.checked_abs()?;
    Some(PidFile {
        pid,
        data: lines.next().unwrap_or_default().into(),
        sockets: lines.nth(2).filter(|line| !line.is_empty()).map(PathBuf::from),
    })
}

async fn is_running(file: &PidFile, data: &Path, account: &Account) -> Result<bool, EmbeddedError> {
    let shell = Path::new("/bin/sh");
    let mut command = account.command(shell);
    command
        .args(["-c", WORKS_IN, "works-in"])
        .arg(file.pid.to_string())
        .arg(data);
    // Without its output, which would go to our terminal on an odd shell.
    let asked = tokio::task::spawn_blocking(move || command.output()).await?;
    match asked.map_err(|source| account.cannot_run(shell, source))?.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        // No /proc, a zombie, or another user's process. A copied directory
        // brings a pid file that points to somebody else's socket.
        _ => match &file.sockets {
            Some(sockets) if file.data == data => Ok(answers(sockets).await),
            _ => Ok(false),
        },
    }
}

/// Whether anything speaks PostgreSQL there, even if only to refuse.
async fn answers(sockets: &Path) -> bool {
    let mut config = Config::new();
    config.host_path(sockets).user(USER).dbname("postgres");
    config.connect_timeout(Duration::from_secs(5));
    match config.connect(NoTls).await {
        Ok(_) => true,
        Err(error) => error.as_db_error().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_as_far_as_it_was_written() {
        let whole = parse("-12\n/d/data\n17\n5432\n/d/run\n\n  1 2\nready   \n").unwrap();
        let sockets = Some("/d/run".into());
        assert_eq!(
            whole,
            PidFile {
                pid: 12,
                data: "/d/data".into(),
                sockets
            }
        );
        let begun = parse("12\n/d/data\n").unwrap();
        assert_eq!(begun.sockets, None);
        assert_eq!(parse(""), None);
    }
}
