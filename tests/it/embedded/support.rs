//! Directories, queries, and a look at the processes of this machine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use df_middleware::embedded::{self, Options, throwaway::Throwaway};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Config, Error, NoTls};

pub(crate) const NOBODY: u32 = 65534;
const CHILD_DIR: &str = "DF_TEST_CHILD_DIR";
/// Instead of a directory: the child starts a throwaway server.
pub(crate) const THROWAWAY: &str = "throwaway";

/// A directory that the server's user may enter, gone at the end of the test.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    _outer: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_mode(0o711)
    }

    /// A directory inside one of this mode.
    pub(crate) fn with_mode(mode: u32) -> Self {
        // Where disks are slow, memory is not: these servers sync for real.
        let free = rustix::fs::statvfs("/dev/shm").map_or(0, |fs| fs.f_bavail * fs.f_frsize);
        let base = if free > 1 << 30 {
            "/dev/shm".into()
        } else {
            std::env::temp_dir()
        };
        let mode = fs::Permissions::from_mode(mode);
        let outer = tempfile::Builder::new().permissions(mode).tempdir_in(base).unwrap();
        Self {
            dir: outer.path().canonicalize().unwrap().join("df"),
            _outer: outer,
        }
    }
}

pub(crate) fn options(dir: &Path) -> Options {
    Options::new(dir, std::env::vars_os())
}

pub(crate) fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn give_to_nobody(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    std::os::unix::fs::chown(dir, Some(NOBODY), None).unwrap();
}

/// Fails when the condition has not come true in half a minute.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn query_text(config: &Config, question: &str) -> Result<String, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let row = client.query_one(question, &[]).await;
    drop(client);
    connection.await.unwrap().ok();
    row?.try_get(0)
}

pub(crate) async fn execute(config: &Config, statement: &str) -> Result<(), Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let done = client.batch_execute(statement).await;
    drop(client);
    connection.await.unwrap().ok();
    done
}

/// Living processes that work in `dir` or have it on their command line.
pub(crate) fn children_of(dir: &Path) -> Vec<i32> {
    let named = dir.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let belongs = |pid: &i32| {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let works_there = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        let line = fs::read(proc.join("cmdline")).unwrap_or_default();
        works_there || String::from_utf8_lossy(&line).contains(named)
    };
    pids.filter(belongs)
        .filter(|pid| *pid != std::process::id().cast_signed())
        .collect()
}

/// The server's pid, and that of the shell above it, which leads their group.
pub(crate) fn server_and_supervisor(dir: &Path) -> (i32, i32) {
    let file = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap();
    let server = file.lines().next().unwrap().parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let parent = after_name.split(' ').nth(1).unwrap().parse().unwrap();
    (server, parent)
}

pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub(crate) fn kill_group(leader: i32) {
    let leader = rustix::process::Pid::from_raw(leader).unwrap();
    rustix::process::kill_process_group(leader, rustix::process::Signal::KILL).unwrap();
}

/// This test binary once more, as a process that has a server and can be killed.
pub(crate) struct Child {
    process: std::process::Child,
    /// The directory of its server, once it is ready.
    pub(crate) dir: PathBuf,
}

impl Child {
    pub(crate) fn start(dir: &Path) -> Self {
        Self::spawn(dir, Command::new(std::env::current_exe().unwrap()))
    }

    pub(crate) fn start_as_nobody(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.uid(NOBODY).gid(NOBODY).env_remove("HOME").current_dir("/");
        Self::spawn(dir, command)
    }

    fn spawn(dir: &Path, mut command: Command) -> Self {
        command.args(["--exact", "embedded::support::a_process_that_has_a_server"]);
        command.args(["--ignored", "--nocapture"]).env(CHILD_DIR, dir);
        let process = command.stdout(Stdio::piped()).spawn().unwrap();
        Self {
            process,
            dir: dir.into(),
        }
    }

    pub(crate) async fn until_ready(&mut self) {
        let out = BufReader::new(self.process.stdout.take().unwrap());
        let ready = tokio::task::spawn_blocking(move || {
            let mut lines = out.lines().map_while(Result::ok);
            lines.find_map(|line| line.split_once("READY ").map(|(_, dir)| PathBuf::from(dir)))
        });
        self.dir = ready.await.unwrap().unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A failed test must not leave it behind.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test]
#[ignore = "started by other tests as a process of its own"]
async fn a_process_that_has_a_server() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let (_throwaway, _server);
    if dir == THROWAWAY {
        _throwaway = Throwaway::start(false).await.unwrap();
        println!("READY {}", _throwaway.dir().unwrap().display());
    } else {
        _server = embedded::start(options(Path::new(&dir))).await.unwrap();
        println!("READY {}", dir.display());
    }
    // Until it is killed.
    std::future::pending::<()>().await;
}
