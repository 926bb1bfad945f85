//! What notes tell beyond the call: the agent's name, local time, other communications.

use df_middleware::config::Settings;
use df_middleware::schedule::agents;
use df_middleware::store::Db;
use df_middleware::vendors::AlowareClient;
use serde_json::{Value, json};

use crate::support::{TestApp, call, settings_for};

const LEAD: &str = "+16195550111";

async fn fetch_names(app: &TestApp) -> usize {
    let settings: Settings = settings_for(&app.sandbox, &std::env::temp_dir());
    let db = Db::new(app.config.clone(), 1).unwrap();
    let aloware = AlowareClient::new(&settings.aloware, &settings.http, "US").unwrap();
    agents::run(&db, &aloware).await.unwrap()
}

fn user(id: i64, name: &str, email: &str) -> Value {
    json!({"id": id, "name": name, "email": email, "agent_status": 1, "human_readable_agent_status": "Available"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_names_its_agent_once_the_names_were_fetched() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for (id, name, email) in [
        (41, "Ida Berg", "ida@agents.example"),
        (42, "Gone Agent", "x_deleted_1@agents.example"),
    ] {
        app.sandbox.aloware.add_user(user(id, name, email));
    }
    assert_eq!(fetch_names(&app).await, 1, "who left the account is no agent");
    let asked = app.sandbox.aloware.calls_total();
    for (id, agent) in [
        (9201, json!(41)),
        (9202, json!("41")),
        (9203, json!(99)),
        (9204, Value::Null),
    ] {
        let facts = json!({"user_id": agent});
        app.aloware(&call("OutboundPhoneCall-DispositionCompleted", id, LEAD, facts))
            .await;
    }
    app.idle().await;
    let named = |id: u32| {
        let notes = app.sandbox.ghl.notes(&contact);
        let marker = format!("[df:call:{id}]");
        let note = notes.into_iter().find(|note| note.contains(&marker)).unwrap();
        note.contains("\nAgent: Ida Berg\n")
    };
    assert_eq!([9201, 9202, 9203, 9204].map(named), [true, true, false, false]);
    assert_eq!(app.sandbox.aloware.calls_total(), asked, "no call asks Aloware");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_in_notes_are_those_of_the_configured_zone() {
    let app = TestApp::start_with(&[("DF_TIME_ZONE", "America/New_York")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for (id, at) in [(9211, "2026-10-31 17:03:26"), (9212, "2026-11-02 17:03:26")] {
        let facts = json!({"created_at": at});
        app.aloware(&call("OutboundPhoneCall-DispositionCompleted", id, LEAD, facts))
            .await;
    }
    app.idle().await;
    let mut starts: Vec<String> = app.sandbox.ghl.notes(&contact);
    starts.sort();
    assert!(
        starts[0].starts_with("Call Made on 2026-10-31 13:03 EDT "),
        "{starts:?}"
    );
    assert!(
        starts[1].starts_with("Call Made on 2026-11-02 12:03 EST "),
        "{starts:?}"
    );
    app.finish().await;
}

fn email(phase: &str, extra: Value) -> Value {
    let mut body = json!({"id": 9221, "type": 5, "lead_number": LEAD, "contact_id": 700_009_221,
        "created_at": "2026-11-02 17:03:26", "contact": {"id": 700_009_221, "phone_number": LEAD}});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({"event": format!("Communication {phase}"), "body": body})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_communications_get_a_note_for_start_and_end_where_wanted() {
    let app = TestApp::start_with(&[("DF_COMMUNICATIONS", "note")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&email("initiated", json!({}))).await;
    app.aloware(&email("disposed", json!({"disposition_status": "completed"})))
        .await;
    app.aloware(&email(
        "disposed",
        json!({"disposition_status": "completed", "updated_at": "2026-11-02 17:09:00"}),
    ))
    .await;
    app.idle().await;
    let mut notes = app.sandbox.ghl.notes(&contact);
    notes.sort();
    let note = |phase: &str, outcome: &str| {
        let title = phase.to_uppercase();
        format!(
            "[COMMUNICATION {title}] 2026-11-02 17:03 UTC\nChannel: email\nOutcome: {outcome}\n\n[df:communication-{phase}:9221]"
        )
    };
    assert_eq!(notes, [note("disposed", "completed"), note("initiated", "initiated")]);
    let log = "SELECT DISTINCT entity_type, status, error_message FROM sync_log ORDER BY error_message";
    let row = |told: &str| json!({"entity_type": "communication", "status": "success", "error_message": told});
    assert_eq!(
        app.rows(log).await,
        [row("Communication disposed"), row("Communication initiated")]
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn communications_without_an_id_have_a_note_each_and_a_stranger_stays_one() {
    let app = TestApp::start_with(&[("DF_COMMUNICATIONS", "note")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let nameless = |phone: &str, at: &str| {
        json!({"event": "Communication-Disposed", "body": {"type": 5, "contact_id": 700_009_222, "created_at": at,
            "contact": {"id": 700_009_222, "phone_number": phone}}})
    };
    for at in ["2026-11-02 17:03:26", "2026-11-02 18:03:26"] {
        app.aloware(&nameless(LEAD, at)).await;
    }
    app.idle().await;
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 2);
    let mut stranger = nameless("+16195550177", "2026-11-02 19:03:26");
    stranger["body"]["contact_id"] = json!(1);
    stranger["body"]["contact"]["id"] = json!(1);
    app.aloware(&stranger).await;
    app.idle().await;
    assert_eq!(app.sandbox.ghl.contacts().len(), 1);
    let skipped = "SELECT error_message FROM sync_log WHERE status = 'skipped'";
    assert_eq!(
        app.rows(skipped).await,
        [json!({"error_message": "No contact mapping found"})]
    );
    app.finish().await;
}
