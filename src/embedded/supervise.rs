//! Runs the server so that it never outlives us.
//!
//! Between us and `postgres` stands a shell that reads from a pipe only we
//! hold. When we end in any way (return, panic, `kill -9`) the pipe ends too,
//! and the shell asks the server for a fast shutdown.

use std::ffi::OsString;
use std::future::Future;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::account::Account;
use super::error::EmbeddedError;
use super::place::{Log, Place};
use super::programs::Programs;

/// `$1` and `$2` are deleted at the end; the rest is the server's command.
/// The signal is repeated because a server that is still starting loses it;
/// after a minute the shutdown is an immediate one, which is safe but has to
/// recover at the next start. The watcher inherits the ignored signals, so it
/// takes a KILL to end it.
const SCRIPT: &str = r#"
dir=$1; sockets=$2; shift 2
trap '' INT TERM HUP
exec 3<&0
"$@" 3<&- </dev/null & pg=$!
(
  read -r _ <&3
  n=0
  while [ $n -lt 600 ] && kill -INT $pg; do sleep 0.1 || sleep 1; n=$((n+1)); done
  kill -QUIT $pg
) 2>/dev/null & watch=$!
wait $pg; rc=$?
kill -KILL $watch 2>/dev/null
[ -z "$sockets" ] || rm -rf "$sockets"
[ -z "$dir" ] || rm -rf "$dir"
exit $rc"#;

/// Given to every server. Durability is not touched. The terse log leaves out
/// the details of errors, which quote values such as phone numbers.
const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
    "log_error_verbosity=terse",
];

/// A running server and the shell beside it.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// Open as long as the server shall run; nothing is ever written to it.
    pipe: Option<ChildStdin>,
    /// Set by the waiting thread when the shell has ended.
    exit: watch::Receiver<Option<ExitStatus>>,
    log: Arc<Log>,
}

/// Starts the server. It is not ready when this returns.
pub(super) fn spawn(
    place: &Place,
    account: &Account,
    programs: &Programs,
    settings: &[(String, String)],
    run: &Run,
) -> Result<Supervisor, EmbeddedError> {
    let shell = Path::new("/bin/sh");
    let log = place.open_log()?;
    let output = || log.file.try_clone().map_err(EmbeddedError::files("open", &place.log));
    let mut command = account.command(shell);
    if let Some(pid) = run.stale_pid {
        // The server ignores the pid file of its grandparent; pg_ctl uses the
        // same door. Its check of shared memory still guards the files.
        command.env("PG_GRANDPARENT_PID", pid.to_string());
    }
    command
        .args(["-c", SCRIPT, "postgres-supervisor"])
        .args(place.litter(run.temporary));
    command.arg(programs.bin.join("postgres")).arg("-D").arg(&place.data);
    command.arg("-p").arg("5432").arg("-k").arg(quoted(&place.sockets));
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.stdin(Stdio::piped()).stdout(output()?).stderr(output()?);
    let mut child = command.spawn().map_err(|source| account.cannot_run(shell, source))?;
    let pipe = child.stdin.take();
    let (sender, exit) = watch::channel(None);
    // A thread and not a task: it belongs to no runtime, and a test server is
    // shared by many.
    std::thread::Builder::new()
        .name("postgres-wait".into())
        .spawn(move || {
            if let Ok(status) = child.wait() {
                sender.send_replace(Some(status));
            }
        })
        .map_err(|source| account.cannot_run(shell, source))?;
    Ok(Supervisor {
        pipe,
        exit,
        log: Arc::new(log),
    })
}

/// What differs between two starts on one place.
#[derive(Debug)]
pub(super) struct Run {
    /// A pid that the pid file names, though it is not a server.
    pub(super) stale_pid: Option<i32>,
    /// Whether the directory is deleted at the end.
    pub(super) temporary: bool,
}

impl Supervisor {
    /// Asks for a fast shutdown.
    pub(super) fn release(&mut self) {
        self.pipe = None;
    }

    /// Resolves when the shell has ended; `None` when its status got lost.
    pub(super) fn exited(&self) -> impl Future<Output = Option<ExitStatus>> + Send + use<> {
        let mut exit = self.exit.clone();
        async move { exit.wait_for(Option::is_some).await.ok().and_then(|status| *status) }
    }

    /// Resolves when the server has ended, with its last words.
    pub(super) fn ended(&self) -> impl Future<Output = EmbeddedError> + Send + use<> {
        let exited = self.exited();
        let log = Arc::clone(&self.log);
        async move {
            let status = exited.await.map_or("status lost".into(), |status| status.to_string());
            EmbeddedError::Ended {
                status,
                tail: log.tail(),
                log: log.path.clone(),
            }
        }
    }

    /// The error of a server that runs but says nothing.
    pub(super) fn silent(&self, waited: Duration) -> EmbeddedError {
        EmbeddedError::Silent {
            seconds: waited.as_secs(),
            log: self.log.path.clone(),
            tail: self.log.tail(),
        }
    }
}

/// The setting is a list, in which quotes keep a comma from separating.
fn quoted(path: &Path) -> OsString {
    let mut text = vec![b'"'];
    for &byte in path.as_os_str().as_bytes() {
        text.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    text.push(b'"');
    OsString::from_vec(text)
}
