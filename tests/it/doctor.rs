//! `df-middleware doctor`, the shipped binary, against vendors that refuse: each
//! trouble is one clear line, and nothing is changed anywhere.

mod places;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use df_middleware::embedded::throwaway::Database;
use df_middleware::sandbox::ghl::ProviderKind;
use df_middleware::sandbox::{self, Fault, Sandbox, Times};
use serde_json::json;

use crate::support::binary::BINARY;
use crate::support::{cluster, environment, query};

const LEVELS: [&str; 3] = ["ok", "warning", "PROBLEM"];
const SCOPES: [&str; 4] = [
    "contacts.readonly",
    "conversations.readonly",
    "conversations/message.readonly",
    "locations/customFields.readonly",
];

/// The vendors, a migrated database, a data folder, and nobody who runs.
struct Scene {
    sandbox: Sandbox,
    database: Database,
    data: tempfile::TempDir,
}

/// What the doctor said, and with which code it ended.
#[derive(Debug)]
struct Visit {
    code: i32,
    lines: Vec<String>,
    errors: String,
}

impl Scene {
    async fn new() -> Self {
        Self {
            sandbox: Sandbox::start().await.unwrap(),
            database: cluster::database().await,
            data: tempfile::tempdir().unwrap(),
        }
    }

    async fn doctor(&self, changes: &[(&str, &str)]) -> Visit {
        let url = query::url(&self.database.config());
        let mut all = vec![("DATABASE_URL", url.as_str())];
        all.extend_from_slice(changes);
        let env = environment(&self.sandbox, self.data.path(), &all);
        Visit::of(run(&["doctor"], env, self.data.path()).await)
    }
}

async fn run(args: &[&str], env: impl IntoIterator<Item = (String, String)>, dir: &Path) -> Output {
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(dir).env_clear().envs(env);
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

impl Visit {
    fn of(output: Output) -> Self {
        let said = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code().unwrap(),
            lines: said.lines().map(str::to_owned).collect(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one line about `subject` with `words` in it.
    fn line(&self, level: &str, subject: &str, words: &str) -> &str {
        assert!(LEVELS.contains(&level));
        let wanted = format!("{level:<8} {subject:<9} ");
        let mut found = self
            .lines
            .iter()
            .filter(|line| line.starts_with(&wanted) && line.contains(words));
        let line = found.next().unwrap_or_else(|| panic!("no {wanted}…{words}: {self:#?}"));
        assert!(found.next().is_none(), "said twice: {self:#?}");
        line
    }

    /// The lines of what does not work.
    fn problems(&self) -> Vec<&str> {
        let wrong = self.lines.iter().filter(|line| line.starts_with("PROBLEM"));
        wrong.map(String::as_str).collect()
    }
}

#[tokio::test]
async fn where_nothing_is_wrong_the_doctor_says_so_and_writes_nothing() {
    let scene = Scene::new().await;
    // The other tests switch them off, and are told so.
    let visit = scene.doctor(&[]).await;
    visit.line("warning", "settings", "texting.quiet_hours is off");
    let visit = scene.doctor(&[("TEXTING_QUIET_HOURS", "state")]).await;
    assert_eq!((visit.code, visit.problems().len()), (0, 0), "{visit:#?}");
    visit.line("ok", "settings", "none contradicts another");
    visit.line("ok", "database", "answered in");
    visit.line("ok", "database", "schema V");
    visit.line("ok", "database", "its clock agrees");
    visit.line("warning", "database", "fsync is off");
    visit.line("warning", "database", "synchronous_commit is off");
    visit.line("ok", "folder", "can be written");
    visit.line("ok", "folder", "the spool is empty; no daemon has it");
    visit.line("warning", "daemons", "none runs on this database");
    visit.line("warning", "events", "no webhook of ghl yet");
    visit.line("ok", "events", "nothing waits");
    visit.line("ok", "ghl", "contacts.readonly");
    visit.line("ok", "ghl", "shows only when something is written");
    visit.line("ok", "ghl", "of 200000 calls are left today");
    visit.line("ok", "aloware", "token accepted");
    visit.line("ok", "texting", "answers");
    let written = |call: &&sandbox::Call| call.method != "GET";
    assert_eq!(scene.sandbox.calls().iter().find(written).map(|call| &call.path), None);
    assert!(scene.sandbox.unmatched().is_empty());
    assert_eq!(std::fs::read_dir(scene.data.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_token_that_a_vendor_refuses_is_one_line_that_names_its_setting_and_not_its_value() {
    let scene = Scene::new().await;
    let visit = scene
        .doctor(&[("GHL_API_KEY", "pit-wrong-1"), ("ALOWARE_API_TOKEN", "alo-wrong-1")])
        .await;
    assert_eq!((visit.code, visit.problems().len()), (1, 2), "{visit:#?}");
    assert!(
        visit
            .line("PROBLEM", "ghl", "the token is refused (401)")
            .contains("GHL_API_KEY")
    );
    let aloware = visit.line("PROBLEM", "aloware", "the token is refused (401)");
    assert!(aloware.contains("ALOWARE_API_TOKEN"));
    let all = format!("{visit:?}");
    assert!(!all.contains("pit-wrong-1") && !all.contains("alo-wrong-1"), "{all}");
}

#[tokio::test]
async fn each_scope_that_the_token_lacks_is_one_line() {
    let scene = Scene::new().await;
    let contact = scene.sandbox.ghl.add_contact(json!({"phone": "+16195550111"}));
    scene.sandbox.ghl.set_provider("prov-1", ProviderKind::Custom);
    scene.sandbox.ghl.agent_text(&contact, "hello").unwrap();
    scene.sandbox.ghl.define_custom_field("cf-1", "alo", "Aloware", "TEXT");
    let changes = [
        ("GHL_CONVERSATION_PROVIDER_ID", "prov-1"),
        ("GHL_CUSTOM_FIELDS", "alowareContactId=cf-1"),
    ];
    assert_eq!(scene.doctor(&changes).await.problems(), [""; 0]);
    for missing in &SCOPES[..3] {
        let others: Vec<&str> = SCOPES.iter().filter(|scope| *scope != missing).copied().collect();
        scene.sandbox.ghl.set_scopes(&others);
        let visit = scene.doctor(&changes).await;
        assert_eq!((visit.code, visit.problems().len()), (1, 1), "{missing}: {visit:#?}");
        visit.line("PROBLEM", "ghl", &format!("lacks the scope {missing},"));
    }
    scene.sandbox.ghl.set_scopes(&SCOPES[..1]);
    let visit = scene.doctor(&[("GHL_CALL_PROVIDER_ID", "calls-1")]).await;
    visit.line("PROBLEM", "ghl", "lacks the scope conversations.readonly");
    scene.sandbox.ghl.set_scopes(&SCOPES[..3]);
    let visit = scene.doctor(&changes).await;
    assert_eq!(
        visit.code, 0,
        "the product does without locations/customFields.readonly"
    );
    visit.line("ok", "ghl", "ghl.custom_fields could not be compared");
    scene.sandbox.ghl.set_agency_tokens();
    let visit = scene.doctor(&[]).await;
    visit.line("PROBLEM", "ghl", "or is an agency's");
}

#[tokio::test]
async fn a_location_that_is_not_the_token_s_is_one_line() {
    let scene = Scene::new().await;
    let visit = scene.doctor(&[("GHL_LOCATION_ID", "anotherLocation00001")]).await;
    assert_eq!((visit.code, visit.problems().len()), (1, 1), "{visit:#?}");
    visit.line("PROBLEM", "ghl", "no access to the location of GHL_LOCATION_ID (403)");
}

#[tokio::test]
async fn a_custom_field_that_the_location_does_not_have_is_named() {
    let scene = Scene::new().await;
    scene.sandbox.ghl.define_custom_field("cf-1", "alo", "Aloware", "TEXT");
    let visit = scene
        .doctor(&[("GHL_CUSTOM_FIELDS", "alowareContactId=cf-1,leadSource=cf-2")])
        .await;
    assert_eq!(visit.code, 1, "{visit:#?}");
    assert!(
        visit
            .line("PROBLEM", "ghl", "no such field for leadSource")
            .ends_with("leadSource")
    );
}

#[tokio::test]
async fn a_rotation_that_is_half_done_is_said() {
    let scene = Scene::new().await;
    let changes = [("GHL_API_KEY", "pit-old-1"), ("GHL_API_KEY_NEXT", sandbox::ghl::TOKEN)];
    let visit = scene.doctor(&changes).await;
    assert_eq!(visit.code, 0, "{visit:#?}");
    visit.line(
        "warning",
        "ghl",
        "ghl.api_key is refused, ghl.api_key_next is used instead",
    );
}

#[tokio::test]
async fn a_vendor_that_is_dead_unwell_or_not_there_at_all_is_one_line_each() {
    let scene = Scene::new().await;
    let nobody = "http://127.0.0.1:9";
    scene
        .sandbox
        .aloware
        .fault("GET", "*", Times::Forever, Fault::status(503, "{}"));
    let visit = scene
        .doctor(&[("GHL_BASE_URL", nobody), ("TEXTING_BASE_URL", nobody)])
        .await;
    assert_eq!((visit.code, visit.problems().len()), (1, 3), "{visit:#?}");
    assert!(
        visit
            .line("PROBLEM", "ghl", "no answer (unreachable)")
            .contains("GHL_BASE_URL")
    );
    visit.line("PROBLEM", "texting", "no answer (unreachable)");
    visit.line("PROBLEM", "aloware", "it answers 503");
    scene.sandbox.clear_faults();
    scene.sandbox.aloware.fault("GET", "*", Times::Forever, Fault::HtmlOk);
    scene.sandbox.ghl.fault("GET", "*", Times::Forever, Fault::Hang);
    let visit = scene.doctor(&[("DF_HTTP_TIMEOUT", "500ms")]).await;
    assert_eq!((visit.code, visit.problems().len()), (1, 2), "{visit:#?}");
    visit.line("PROBLEM", "aloware", "answers with a web page");
    visit.line("PROBLEM", "ghl", "no answer in time");
}

#[tokio::test]
async fn limits_that_the_vendor_tells_of_are_held_against_ours() {
    let scene = Scene::new().await;
    scene.sandbox.ghl.set_rate_limit(25, Duration::from_secs(10), 10_000);
    let visit = scene.doctor(&[]).await;
    visit.line("warning", "ghl", "lower ghl.rate_limit");
    visit.line("warning", "ghl", "lower ghl.daily_limit");
    scene.sandbox.ghl.set_rate_limit(100, Duration::from_secs(10), 1);
    let visit = scene.doctor(&[]).await;
    assert_eq!(visit.code, 1);
    visit.line("PROBLEM", "ghl", "none of the 1 calls it allows a day is left");
}

#[tokio::test]
async fn a_clock_that_the_vendor_does_not_share_is_said() {
    let scene = Scene::new().await;
    let dated = Fault::Status {
        status: 200,
        body: "[]".to_owned(),
        headers: vec![("Date".to_owned(), "Mon, 05 Jan 2015 10:00:00 GMT".to_owned())],
    };
    scene.sandbox.aloware.fault("GET", "*", Times::Forever, dated);
    let visit = scene.doctor(&[]).await;
    visit.line("warning", "aloware", "behind this machine's");
}
