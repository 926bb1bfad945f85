//! The daemon brings its own PostgreSQL: how it starts, is refused, and stops.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic too; clippy.toml exempts test functions only"
)]

mod crash;
mod support;
mod throwaway;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::str::FromStr;

use df_middleware::embedded::{self, EmbeddedError};
use tokio_postgres::Config;

use support::{Home, am_root, children_of, options, query_text, until};

#[tokio::test]
async fn it_starts_with_full_durability_on_a_private_socket() {
    let home = Home::new();
    let server = embedded::start(options(&home.dir)).await.unwrap();
    for (question, answer) in [
        ("SELECT current_database()::text", "df_middleware"),
        ("SHOW fsync", "on"),
        ("SHOW synchronous_commit", "on"),
        ("SHOW full_page_writes", "on"),
        ("SHOW listen_addresses", ""),
        ("SHOW server_encoding", "UTF8"),
        ("SHOW server_version", server.version()),
    ] {
        let said = query_text(&server.config(), question).await.unwrap();
        assert!(
            said == answer || said.starts_with(&format!("{answer} (")),
            "{question}: {said}"
        );
    }
    let by_url = Config::from_str(&server.url()).unwrap();
    assert_eq!(query_text(&by_url, "SELECT current_user::text").await.unwrap(), "df");
    for private in ["run", "data"] {
        let mode = fs::metadata(home.dir.join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{private}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_stop_and_a_start() {
    let home = Home::new();
    let server = embedded::start(options(&home.dir)).await.unwrap();
    support::execute(&server.config(), "CREATE TABLE kept AS SELECT 'yes'::text AS word")
        .await
        .unwrap();
    server.stop().await.unwrap();
    let again = embedded::start(options(&home.dir)).await.unwrap();
    assert_eq!(
        query_text(&again.config(), "SELECT word FROM kept").await.unwrap(),
        "yes"
    );
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_on_the_directory_is_refused() {
    let home = Home::new();
    let server = embedded::start(options(&home.dir)).await.unwrap();
    let refused = embedded::start(options(&home.dir)).await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::InUse { .. }), "{refused}");
    assert!(
        refused.to_string().contains("in use by another running instance"),
        "{refused}"
    );
    assert_eq!(
        query_text(&server.config(), "SELECT 'still'::text").await.unwrap(),
        "still"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_leaves_no_process_and_cuts_open_connections() {
    let home = Home::new();
    let server = embedded::start(options(&home.dir)).await.unwrap();
    let (client, connection) = server.config().connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    assert!(!children_of(&home.dir).is_empty());
    server.stop().await.unwrap();
    assert!(connection.await.unwrap().is_err());
    assert!(client.is_closed());
    until("no process is left", || children_of(&home.dir).is_empty()).await;
}

#[tokio::test]
async fn dropping_it_stops_the_server_too() {
    let home = Home::new();
    let server = embedded::start(options(&home.dir)).await.unwrap();
    drop(server);
    until("no process is left", || children_of(&home.dir).is_empty()).await;
    assert!(!home.dir.join("data/postmaster.pid").exists());
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_gets_a_short_socket_folder() {
    let home = Home::new();
    let deep = home.dir.join("deep,".repeat(20));
    let server = embedded::start(options(&deep)).await.unwrap();
    let folder = Config::from_str(&server.url()).unwrap();
    let tokio_postgres::config::Host::Unix(folder) = folder.get_hosts()[0].clone() else {
        panic!("not a socket: {}", server.url());
    };
    assert!(!folder.starts_with(&deep), "{}", folder.display());
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    server.stop().await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_comma_in_the_path_is_no_separator() {
    let home = Home::new();
    let server = embedded::start(options(&home.dir.join("a,b \"c\" %20"))).await.unwrap();
    let by_url = Config::from_str(&server.url()).unwrap();
    assert_eq!(query_text(&by_url, "SELECT 'here'::text").await.unwrap(), "here");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_bin_dir_without_programs_is_named_in_the_message() {
    let home = Home::new();
    let mut wrong = options(&home.dir);
    wrong.bin_dir = Some("/usr/share".into());
    let text = embedded::start(wrong).await.unwrap_err().to_string();
    assert!(text.contains("DF_POSTGRES_BIN_DIR is /usr/share"), "{text}");
}

#[tokio::test]
async fn something_else_in_the_place_of_the_data_is_left_alone() {
    let home = Home::new();
    let other = home.dir.join("data/letter.txt");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "dear").unwrap();
    let text = embedded::start(options(&home.dir)).await.unwrap_err().to_string();
    assert!(text.contains("neither empty nor a PostgreSQL data directory"), "{text}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "dear");
}

#[tokio::test]
async fn a_bad_server_setting_is_reported_with_the_servers_own_words() {
    let home = Home::new();
    let mut wrong = options(&home.dir);
    wrong.settings.push(("max_connections".into(), "many".into()));
    let text = embedded::start(wrong).await.unwrap_err().to_string();
    assert!(
        text.contains("invalid value for parameter \"max_connections\""),
        "{text}"
    );
}

#[tokio::test]
async fn as_root_a_closed_directory_is_refused_with_the_way_out() {
    if !am_root() {
        return;
    }
    let home = Home::with_mode(0o700);
    let closed = home.dir.parent().unwrap();
    let refused = embedded::start(options(&home.dir.join("below"))).await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::OutOfReach { .. }), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains(&format!("may not enter {} on", closed.display())),
        "{text}"
    );
    assert!(text.contains("set DF_DATA_DIR"), "{text}");
}

#[tokio::test]
async fn as_root_the_server_runs_as_the_owner_of_existing_data() {
    if !am_root() {
        return;
    }
    let home = Home::new();
    embedded::start(options(&home.dir)).await.unwrap().stop().await.unwrap();
    let data = home.dir.join("data");
    let chown = std::process::Command::new("chown")
        .args(["-R", "nobody"])
        .arg(&data)
        .status();
    assert!(chown.unwrap().success());
    let server = embedded::start(options(&home.dir)).await.unwrap();
    assert_eq!(
        query_text(&server.config(), "SELECT 'mine'::text").await.unwrap(),
        "mine"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_ordinary_user_can_start_it_too() {
    if !am_root() {
        return; // then every other test shows it
    }
    let home = Home::new();
    support::give_to_nobody(&home.dir);
    let mut child = support::Child::start_as_nobody(&home.dir);
    child.until_ready().await;
    let owner = fs::metadata(home.dir.join("data")).unwrap().uid();
    assert_eq!(owner, support::NOBODY);
    child.kill();
    until("no process is left", || children_of(&home.dir).is_empty()).await;
}
