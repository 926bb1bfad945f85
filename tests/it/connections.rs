//! `GET /api/admin/connections`: what the doctor says, of a running daemon, with
//! its breakers and budgets; and the routes that must not ask a vendor.

use std::net::TcpListener;

use df_middleware::app::{self, App};
use df_middleware::embedded::{self, Options};
use df_middleware::sandbox::{Fault, Sandbox, Times};
use serde_json::{Value, json};

use crate::support::{self, ADMIN_SECRET, TestApp, finished_call, query};

async fn connections(app: &TestApp) -> Value {
    ask(&app.base).await
}

async fn ask(base: &str) -> Value {
    let request = support::client()
        .get(format!("{base}/api/admin/connections"))
        .header("X-DF-ADMIN-SECRET", ADMIN_SECRET);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

fn state<'r>(report: &'r Value, vendor: &str) -> &'r Value {
    let states = report["vendors"].as_array().unwrap();
    states.iter().find(|state| state["vendor"] == vendor).unwrap()
}

fn problems(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|found| found["level"] == "problem")
        .map(|found| (found["subject"].as_str().unwrap(), found["text"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_person_sees_what_the_daemon_sees_of_its_vendors() {
    let app = TestApp::start().await;
    query::settled(&app.config, "SELECT 1 FROM daemon_sessions WHERE working", 1).await;
    app.aloware(&finished_call(9951, "+16195550133")).await;
    app.idle().await;
    let report = connections(&app).await;
    assert_eq!(problems(&report), []);
    let ghl = state(&report, "ghl");
    assert_eq!(ghl["breaker"], json!({"state": "closed"}));
    assert_eq!(
        (&ghl["window"]["limit"], &ghl["window"]["periodSeconds"]),
        (&json!(80), &json!(10.0))
    );
    let calls = app.sandbox.ghl.calls_total();
    assert!(calls >= 2, "the call's writes and the probe");
    assert_eq!(ghl["day"]["used"], calls, "{ghl}");
    assert_eq!(
        (&ghl["day"]["limit"], &ghl["day"]["vendorRemaining"]),
        (&json!(200_000), &json!(200_000 - calls))
    );
    assert!(ghl["day"]["forecast"].as_u64().unwrap() >= calls, "{ghl}");
    let text = report.to_string();
    for secret in [ADMIN_SECRET, "+1619", "Wanda", df_middleware::sandbox::ghl::TOKEN] {
        assert!(!text.contains(secret), "{secret}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_vendor_that_fails_the_daemon_is_shown_as_down() {
    let app = TestApp::start().await;
    query::settled(&app.config, "SELECT 1 FROM daemon_sessions WHERE working", 1).await;
    app.sandbox
        .aloware
        .fault("*", "*", Times::Forever, Fault::status(503, "{}"));
    let mut report = connections(&app).await;
    assert_eq!(problems(&report)[0].0, "aloware");
    assert_eq!(
        state(&report, "aloware")["breaker"]["state"],
        "closed",
        "once is no outage"
    );
    for _ in 0..4 {
        report = connections(&app).await;
    }
    assert_eq!(state(&report, "aloware")["breaker"]["state"], "open", "{report}");
    let asked = app.sandbox.aloware.calls_total();
    report = connections(&app).await;
    let (subject, text) = problems(&report)[0];
    assert!(subject == "aloware" && text.contains("counts as down"), "{report}");
    assert_eq!(
        app.sandbox.aloware.calls_total(),
        asked,
        "a vendor that is down is left alone"
    );
    assert_eq!(state(&report, "ghl")["breaker"]["state"], "closed");
    app.finish().await;
}

#[tokio::test]
async fn only_who_has_the_secret_makes_the_daemon_ask_and_health_never_does() {
    let app = TestApp::start().await;
    for path in ["/api/admin/connections", "/api/health", "/readyz", "/livez", "/metrics"] {
        let answer = app.client.get(format!("{}{path}", app.base)).send().await.unwrap();
        assert_eq!(answer.status() == 401, path == "/api/admin/connections", "{path}");
    }
    let wrong = app.client.get(format!("{}/api/admin/connections", app.base));
    let answer = wrong.header("X-DF-ADMIN-SECRET", "wrong").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(app.sandbox.calls().is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_a_person_still_sees_the_vendors() {
    let sandbox = Sandbox::start().await.unwrap();
    let home = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let server = embedded::start(Options::new(home.path().join("pg"), std::env::vars_os()))
        .await
        .unwrap();
    let db = app::open_database(server.config(), 4).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = App::start(support::settings_for(&sandbox, home.path()), db, listener)
        .await
        .unwrap();
    let base = format!("http://{}", app.address());
    query::settled(&server.config(), "SELECT 1 FROM daemon_sessions WHERE working", 1).await;
    server.stop().await.unwrap();
    let report = ask(&base).await;
    let found = problems(&report);
    assert_eq!(found.len(), 1, "{report}");
    assert!(
        found[0].0 == "database" && found[0].1.contains("cannot be reached"),
        "{report}"
    );
    assert_eq!(state(&report, "ghl")["breaker"]["state"], "closed");
    app.stop().await;
}
