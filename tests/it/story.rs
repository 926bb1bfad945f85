//! `df-middleware dev`: the product's own demonstration ends as told.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the postgres user may enter: a temporary directory is root's own.
fn home() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap()
}

fn dev(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_df-middleware"));
    let path = std::env::var_os("PATH").unwrap();
    command
        .arg("dev")
        .current_dir(home)
        .env_clear()
        .env("PATH", path)
        .env("DF_DATA_DIR", home)
        .env("DF_BIND", "127.0.0.1:0")
        // What an operator may have around must not be touched.
        .env("DATABASE_URL", "postgres://nowhere.invalid/real")
        .env("GHL_BASE_URL", "http://nowhere.invalid")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

#[test]
fn the_story_ends_as_told_each_time_on_an_empty_database() {
    let home = home();
    for _ in 0..2 {
        let played = dev(home.path()).arg("--once").output().unwrap();
        let told = String::from_utf8(played.stdout).unwrap();
        assert_eq!(played.status.code(), Some(0), "{told}");
        assert!(told.contains("Every step ended as told."), "{told}");
        assert!(told.contains("not used   DATABASE_URL, GHL_BASE_URL"), "{told}");
        assert!(told.contains("came back ContactTagUpdate: skipped: own_echo"), "{told}");
        assert!(!told.contains("+16195550122") && !told.contains('\u{1b}'), "{told}");
        assert!(
            !home.path().join("dev/postgres/data/postmaster.pid").exists(),
            "the database was stopped"
        );
    }
}

#[test]
fn without_once_it_keeps_running_until_it_is_stopped_and_says_how_to_go_on() {
    let home = home();
    let mut running = dev(home.path()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let advice: Vec<String> = lines
        .by_ref()
        .skip_while(|line| !line.starts_with("Go on by hand"))
        .take(7)
        .collect();
    assert_eq!(
        advice
            .iter()
            .filter(|line| line.trim_start().starts_with("curl "))
            .count(),
        5,
        "{advice:?}"
    );
    assert!(
        advice.last().unwrap().trim_start().starts_with("psql 'postgres://"),
        "{advice:?}"
    );
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert!(
        !home.path().join("dev/postgres/data/postmaster.pid").exists(),
        "the database was stopped"
    );
}
