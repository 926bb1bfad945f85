//! What the doctor says of database, schema, data folder and daemons, and with
//! which code it ends.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Scene, Visit, run};
use crate::support::binary::{BINARY, Daemon};
use crate::support::{client, environment, finished_call, post_aloware, query};

#[tokio::test]
async fn a_database_that_is_away_is_69_and_the_vendors_are_asked_all_the_same() {
    let scene = Scene::new().await;
    let visit = scene
        .doctor(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none")])
        .await;
    assert_eq!((visit.code, visit.problems().len()), (69, 1), "{visit:#?}");
    visit.line("PROBLEM", "database", "cannot be reached: no connection");
    visit.line("ok", "ghl", "token accepted");
    let absent = query::url(&scene.database.config()).replace(scene.database.config().get_dbname().unwrap(), "no_such");
    let visit = scene.doctor(&[("DATABASE_URL", &absent)]).await;
    assert_eq!(visit.code, 69);
    visit.line("PROBLEM", "database", "the server has no such database");
}

#[tokio::test]
async fn a_schema_that_is_behind_or_missing_is_said_and_left_alone() {
    let scene = Scene::new().await;
    let operator = query::connect(&scene.database.config()).await;
    let newest =
        "DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)";
    operator.batch_execute(newest).await.unwrap();
    let visit = scene.doctor(&[]).await;
    assert_eq!(visit.code, 0, "the next start mends it: {visit:#?}");
    visit.line("warning", "database", "df-middleware migrate");
    operator
        .batch_execute("DROP TABLE refinery_schema_history")
        .await
        .unwrap();
    scene.doctor(&[]).await.line("warning", "database", "no schema yet");
    let there = query::rows(&operator, "SELECT to_regclass('refinery_schema_history') AS t").await;
    assert_eq!(there, [json!({"t": null})]);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_64_as_for_every_command() {
    let scene = Scene::new().await;
    let mut env = environment(&scene.sandbox, scene.data.path(), &[]);
    env.remove("DF_ADMIN_SECRET");
    let visit = Visit::of(run(&["doctor"], env, scene.data.path()).await);
    assert_eq!((visit.code, visit.lines.len()), (64, 0), "{visit:#?}");
    assert!(visit.errors.contains("admin.secret"), "{visit:#?}");
    let help = Visit::of(run(&["doctor", "--help"], [], scene.data.path()).await);
    assert_eq!(help.code, 0);
    assert!(help.lines.iter().any(|line| line.contains("--json")), "{help:#?}");
}

#[tokio::test]
async fn beside_a_running_daemon_the_doctor_sees_it_its_spool_and_what_came_in_as_json_too() {
    let scene = Scene::new().await;
    let config = scene.database.config();
    let daemon = Daemon::start(&scene.sandbox, scene.data.path(), &config, &[]).await;
    query::settled(&config, "SELECT 1 FROM daemon_sessions WHERE working", 1).await;
    post_aloware(&client(), &daemon.base, &finished_call(9901, "+16195550111")).await;
    query::settled(&config, query::UNFINISHED, 0).await;
    let visit = scene.doctor(&[]).await;
    assert_eq!(visit.code, 0, "{visit:#?}");
    visit.line("ok", "daemons", "1 alive, 1 working");
    visit.line("ok", "folder", "a running daemon has it");
    visit.line("ok", "events", "aloware was last heard");
    let url = query::url(&config);
    let env = environment(&scene.sandbox, scene.data.path(), &[("DATABASE_URL", &url)]);
    let output = run(&["doctor", "--json"], env, scene.data.path()).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["status"], "warning");
    let findings = report["findings"].as_array().unwrap();
    let daemons = findings.iter().find(|found| found["subject"] == "daemons").unwrap();
    assert_eq!(
        (&daemons["level"], &daemons["text"]),
        (&json!("ok"), &json!("1 alive, 1 working"))
    );
    let ghl = report["vendors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|state| state["vendor"] == "ghl")
        .unwrap();
    // Its own and the first visit's; the daemon's may not be written down yet.
    assert!(ghl["day"]["used"].as_u64().unwrap() >= 2, "{ghl}");
    assert_eq!((&ghl["day"]["limit"], ghl.get("breaker")), (&json!(200_000), None));
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn an_embedded_database_is_looked_at_while_it_runs_and_never_started() {
    let mut scene = Scene::new().await;
    let reachable = std::fs::Permissions::from_mode(0o755);
    scene.data = tempfile::Builder::new().permissions(reachable).tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bind = format!("127.0.0.1:{port}");
    let mut env = environment(&scene.sandbox, scene.data.path(), &[("DF_BIND", &bind)]);
    env.remove("DATABASE_URL");
    let look = async || Visit::of(run(&["doctor"], env.clone(), scene.data.path()).await);
    let visit = look().await;
    assert_eq!(visit.code, 0, "{visit:#?}");
    visit.line("warning", "database", "the first start of the daemon makes one");
    assert_eq!(std::fs::read_dir(scene.data.path()).unwrap().count(), 0);
    let mut serve = Command::new(BINARY);
    serve.arg("serve").env_clear().envs(&env).stdin(Stdio::null());
    let daemon = Daemon::spawn(&mut serve, format!("http://{bind}"));
    daemon.ready(&client()).await;
    let visit = look().await;
    assert_eq!(visit.code, 0, "{visit:#?}");
    visit.line("ok", "database", "answered in");
    visit.line("ok", "folder", "a running daemon has it");
    assert!(daemon.terminate().success());
    let visit = look().await;
    assert_eq!(visit.code, 0, "{visit:#?}");
    visit.line("warning", "database", "runs only while the daemon does");
    visit.line("ok", "folder", "no daemon has it");
}
