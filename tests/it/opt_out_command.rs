//! `df-middleware optout`, the shipped binary beside a daemon: it shows what is known,
//! decides, and what it decides reaches the vendors through the daemon.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use df_middleware::sandbox::{Fault, Times};
use serde_json::json;

use crate::support::binary::BINARY;
use crate::support::query::{settled, url};
use crate::support::{ADMIN_SECRET, TestApp, environment, text};

const LEAD: &str = "+16195550139";

async fn optout(app: &TestApp, data: &std::path::Path, args: &[&str]) -> Output {
    let database = url(&app.config);
    let env = environment(&app.sandbox, data, &[("DATABASE_URL", &database)]);
    let mut command = Command::new(BINARY);
    command.arg("optout").args(args).current_dir(data).env_clear().envs(env);
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

async fn said(app: &TestApp, data: &std::path::Path, args: &[&str]) -> String {
    let output = optout(app, data, args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_tells_the_words_and_who_was_told_when_and_what_is_not_confirmed() {
    let (app, data) = (TestApp::start().await, tempfile::tempdir().unwrap());
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.sandbox.aloware.add_contact(json!({"phone_number": LEAD}));
    app.sandbox
        .aloware
        .fault("*", "/", Times::Forever, Fault::status(500, "unwell"));
    app.texting(&text("message.received", "m1", LEAD, "please STOP texting me\u{1b}[2J"))
        .await;
    let half = "SELECT 1 FROM optout_deliveries WHERE system = 'ghl' AND confirmed_at IS NOT NULL";
    settled(&app.config, half, 1).await;
    let waiting = said(&app, data.path(), &["show", LEAD]).await;
    let lines: Vec<&str> = waiting.lines().collect();
    assert_eq!(lines[0], format!("{LEAD}: blocked (consumer_stop)"));
    assert_eq!(
        lines[1],
        "  consumer_stop by texting since 2026-11-02 17:20:00 UTC: STOP, \"please STOP texting me [2J\""
    );
    let line = |of: &str, words: &str| of.lines().any(|line| line.contains(words));
    assert!(line(&waiting, "ghl     opt-out confirmed 20"), "{waiting}");
    assert!(line(&waiting, "aloware opt-out NOT CONFIRMED since 20"), "{waiting}");
    app.sandbox.clear_faults();
    app.idle().await;
    let done = said(&app, data.path(), &["show", "(619) 555-0139"]).await;
    assert!(
        line(&done, "aloware opt-out confirmed 20") && line(&done, "isDnc true"),
        "{done}"
    );
    let list = said(&app, data.path(), &["list"]).await;
    assert!(line(&list, LEAD) && line(&list, "1 opted out"), "{list}");
    let unknown = said(&app, data.path(), &["show", "+16195550140"]).await;
    assert!(
        line(&unknown, "free") && line(&unknown, "nothing is known"),
        "{unknown}"
    );
    eprintln!("{done}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_decides_the_daemon_carries_on() {
    let (app, data) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.texting(&text("message.received", "m1", LEAD, "Wrong number")).await;
    app.idle().await;
    let queue = said(&app, data.path(), &["reviews"]).await;
    assert!(
        queue.contains("\"Wrong number\"") && queue.contains("1 to be decided"),
        "{queue}"
    );
    let why = ["--reason", "called back", "--by", "Ann"];
    let decide = [&["decide", LEAD, "stop"], &why[..]].concat();
    said(&app, data.path(), &decide).await;
    app.idle().await;
    assert!(app.sandbox.ghl.tags(&contact).contains(&"dnc-sms".to_owned()));
    let again = optout(&app, data.path(), &decide).await;
    assert_eq!(again.status.code(), Some(1), "nothing waits any more");
    let lift = [
        &["lift", LEAD, "--cause", "consumer_stop", "--evidence", "form 7"],
        &why[..],
    ]
    .concat();
    assert_eq!(
        optout(&app, data.path(), &lift).await.status.code(),
        Some(1),
        "nobody else agreed"
    );
    said(&app, data.path(), &[&lift[..], &["--approved-by", "Bo"]].concat()).await;
    app.idle().await;
    assert!(app.sandbox.ghl.tags(&contact).is_empty());
    let block = [&["block", LEAD, "--cause", "manual"], &why[..]].concat();
    said(&app, data.path(), &block).await;
    app.idle().await;
    assert_eq!(app.send(LEAD, "hello").await.status(), 409);
    let actors = app.rows("SELECT DISTINCT actor FROM audit_log").await;
    assert_eq!(actors, [json!({"actor": "cli"})]);
    assert_eq!(
        optout(&app, data.path(), &["show", "nobody"]).await.status.code(),
        Some(1)
    );
    assert_eq!(optout(&app, data.path(), &["frobnicate"]).await.status.code(), Some(64));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_evidence_is_exported_whole_to_a_private_file_and_over_http() {
    let (app, data) = (TestApp::start().await, tempfile::tempdir().unwrap());
    app.texting(&text("message.received", "m1", LEAD, "=STOP()")).await;
    // More than one page of them.
    app.execute(
        "INSERT INTO optout_history (phone_number, cause, action, source, occurred_at)
         SELECT '+1619555' || 1000 + n, 'manual', 'block', 'manual', now() FROM generate_series(1, 2500) n",
    )
    .await;
    let file = data.path().join("evidence.csv");
    let out = ["export", "--out", file.to_str().unwrap()];
    said(&app, data.path(), &out).await;
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let rows = usize::try_from(
        app.rows("SELECT count(*) AS n FROM optout_history").await[0]["n"]
            .as_i64()
            .unwrap(),
    );
    assert_eq!(written.lines().count(), rows.unwrap() + 1);
    assert!(written.contains(",'=STOP(),"), "no formula");
    assert!(
        !optout(&app, data.path(), &out).await.status.success(),
        "no file is overwritten"
    );
    let request = app.client.get(format!("{}/api/admin/optouts.csv", app.base));
    let answer = request.header("X-DF-ADMIN-SECRET", ADMIN_SECRET).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.text().await.unwrap(), written);
    assert_eq!(said(&app, data.path(), &["export"]).await, written);
    app.finish().await;
}
