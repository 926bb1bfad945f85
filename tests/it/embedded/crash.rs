//! Nothing outlives us, and nothing that was killed keeps us from starting.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use df_middleware::embedded::{self, Embedded, EmbeddedError};

use super::support::{
    Child, Home, children_of, execute, kill, kill_group, options, query_text, server_and_supervisor, until,
};

async fn with_a_committed_row(dir: &Path) -> Embedded {
    let server = embedded::start(options(dir)).await.unwrap();
    let table = "CREATE TABLE kept AS SELECT 'yes'::text AS word";
    execute(&server.config(), table).await.unwrap();
    server
}

async fn expect_the_row_after_a_restart(dir: &Path) {
    let again = embedded::start(options(dir)).await.unwrap();
    assert_eq!(
        query_text(&again.config(), "SELECT word FROM kept").await.unwrap(),
        "yes"
    );
    again.stop().await.unwrap();
    until("no process is left", || children_of(dir).is_empty()).await;
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_the_next_start_recovers() {
    let home = Home::new();
    let server = with_a_committed_row(&home.dir).await;
    let ended = server.ended();
    let (postgres, _) = server_and_supervisor(&home.dir);
    kill(postgres);
    let error = ended.await;
    assert!(matches!(error, EmbeddedError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("exit status: 137"), "{error}");
    assert!(server.stop().await.is_err());
    expect_the_row_after_a_restart(&home.dir).await;
}

#[tokio::test]
async fn a_killed_supervisor_is_noticed_and_a_stop_still_stops_the_server() {
    let home = Home::new();
    let server = with_a_committed_row(&home.dir).await;
    let (_, supervisor) = server_and_supervisor(&home.dir);
    kill(supervisor);
    assert!(server.ended().await.to_string().contains("signal: 9"));
    assert!(server.stop().await.is_err());
    until("no process is left", || children_of(&home.dir).is_empty()).await;
    assert!(!home.dir.join("data/postmaster.pid").exists(), "not a clean shutdown");
    expect_the_row_after_a_restart(&home.dir).await;
}

#[tokio::test]
async fn everything_killed_at_once_recovers_at_the_next_start() {
    let home = Home::new();
    let server = with_a_committed_row(&home.dir).await;
    let (_, supervisor) = server_and_supervisor(&home.dir);
    kill_group(supervisor);
    drop(server);
    expect_the_row_after_a_restart(&home.dir).await;
}

#[tokio::test]
async fn a_backend_of_a_killed_server_is_waited_for() {
    let home = Home::new();
    let server = with_a_committed_row(&home.dir).await;
    let (postgres, _) = server_and_supervisor(&home.dir);
    let config = server.config();
    // Busy in the processor, so it does not notice at once that its server is gone.
    let busy = "DO $$ DECLARE n bigint := 0; BEGIN \
                FOR i IN 1..10000000 LOOP n := n + i; END LOOP; END $$";
    let busy = tokio::spawn(async move { execute(&config, busy).await });
    let running = "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'DO %'";
    while query_text(&server.config(), running).await.unwrap() == "0" {}
    kill(postgres);
    server.ended().await;
    drop(server);
    expect_the_row_after_a_restart(&home.dir).await;
    // It may even have finished: nobody but its server could have stopped it.
    busy.await.unwrap().ok();
}

#[tokio::test]
async fn a_killed_process_leaves_no_server() {
    let home = Home::new();
    let mut child = Child::start(&home.dir);
    child.until_ready().await;
    assert!(!children_of(&home.dir).is_empty());
    child.kill();
    until("no process is left", || children_of(&home.dir).is_empty()).await;
    assert!(!home.dir.join("data/postmaster.pid").exists(), "not a clean shutdown");
}

#[tokio::test]
async fn a_restart_right_after_a_kill_takes_the_directory_over() {
    let home = Home::new();
    with_a_committed_row(&home.dir).await.stop().await.unwrap();
    let mut child = Child::start(&home.dir);
    child.until_ready().await;
    child.kill();
    expect_the_row_after_a_restart(&home.dir).await;
}

#[tokio::test]
async fn an_orphaned_server_is_stopped_by_the_next_start() {
    let home = Home::new();
    with_a_committed_row(&home.dir).await.stop().await.unwrap();
    let mut child = Child::start(&home.dir);
    child.until_ready().await;
    let (postgres, supervisor) = server_and_supervisor(&home.dir);
    // The watcher below the shell has no directory on its command line that
    // tells it from the shell: it is the other member of the group.
    let of_group = children_of(&home.dir).into_iter().filter(|pid| *pid != postgres);
    let shells: Vec<i32> = of_group.filter(|pid| is_shell(*pid)).collect();
    assert!(shells.contains(&supervisor) && shells.len() == 2, "{shells:?}");
    shells.into_iter().for_each(kill);
    child.kill();
    assert!(children_of(&home.dir).contains(&postgres));
    expect_the_row_after_a_restart(&home.dir).await;
}

fn is_shell(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"/bin/sh\0"))
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_neither_blocks_nor_hurts_it() {
    let home = Home::new();
    let server = with_a_committed_row(&home.dir).await;
    let (_, supervisor) = server_and_supervisor(&home.dir);
    kill_group(supervisor);
    drop(server);
    let file = home.dir.join("data/postmaster.pid");
    let owner = fs::metadata(&file).unwrap().uid();
    let mut stranger = Command::new("sleep").arg("600").uid(owner).spawn().unwrap();
    let old = fs::read_to_string(&file).unwrap();
    let (_, rest) = old.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", stranger.id())).unwrap();
    expect_the_row_after_a_restart(&home.dir).await;
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was hurt");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_copy_of_the_directory_does_not_stop_the_original() {
    let home = Home::new();
    let server = with_a_committed_row(&home.dir).await;
    let copy = home.dir.with_file_name("copy");
    let copied = Command::new("cp").arg("-a").args([&home.dir, &copy]).status().unwrap();
    assert!(copied.success());
    let second = embedded::start(options(&copy)).await.unwrap();
    second.stop().await.unwrap();
    assert_eq!(
        query_text(&server.config(), "SELECT word FROM kept").await.unwrap(),
        "yes"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_first_start_that_was_killed_is_done_again() {
    let home = Home::new();
    let mut child = Child::start(&home.dir);
    let unfinished = || {
        let entries = fs::read_dir(&home.dir).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.path().join("PG_VERSION"));
        names.any(|path| path.to_string_lossy().contains("data.new.") && path.exists())
    };
    until("initdb is at work", unfinished).await;
    child.kill();
    assert!(!home.dir.join("data").exists());
    let server = with_a_committed_row(&home.dir).await;
    server.stop().await.unwrap();
    expect_the_row_after_a_restart(&home.dir).await;
}
