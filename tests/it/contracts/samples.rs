//! Every sample GHL documents, and the shapes seen live, delivered to the daemon:
//! each has its stated effect, and none ends in an error.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use df_middleware::sandbox::ghl::{LOCATION, ProviderKind};
use reqwest::Response;
use serde_json::{Value, json};

use super::vendors;
use crate::support::{GHL_SECRET, TestApp};

/// How a delivery comes in.
#[derive(Clone, Copy)]
pub enum Door {
    /// Signed, as the marketplace app's events are.
    Signed,
    /// With the secret in the path, as a workflow's "Webhook" action is.
    Secret,
    /// Signed, at the conversation provider's delivery address.
    Provider,
}

/// Delivers a body through one of GHL's doors.
pub async fn deliver(app: &TestApp, door: Door, body: &Value) -> Response {
    let text = body.to_string();
    let path = match door {
        Door::Signed => "",
        Door::Secret => &format!("/{GHL_SECRET}"),
        Door::Provider => "/provider-delivery",
    };
    let request = app
        .client
        .post(format!("{}/api/webhooks/ghl{path}", app.base))
        .header("content-type", "application/json");
    let request = match door {
        Door::Secret => request,
        Door::Signed | Door::Provider => request.header("X-GHL-Signature", app.sandbox.ghl.sign(text.as_bytes())),
    };
    request.body(text).send().await.unwrap()
}

const UNHANDLED: &str = "unknown: skipped Unhandled GHL event type: {type}";
const NO_TEXT: &str = "message: skipped Unhandled GHL event type: {type}";
const NO_APPOINTMENT: &str = "appointment: skipped Unhandled GHL event type: {type}";
const WORKFLOW: &str = "contact: success; success; success, in aloware, lists [301, 302]";

/// The effect of each sample: by file name without `.json`, else by the part of
/// it before the dot. `{type}` is the sample's own.
const EFFECTS: &[(&str, &str)] = &[
    ("AppInstall", UNHANDLED),
    ("AppUninstall", UNHANDLED),
    ("AppointmentCreate", NO_APPOINTMENT),
    ("AppointmentDelete", NO_APPOINTMENT),
    ("AppointmentUpdate", NO_APPOINTMENT),
    ("CampaignStatusUpdate", UNHANDLED),
    // The documented samples have `dnd` set, and so is the number blocked.
    ("ContactCreate", "contact: success, in aloware, blocked"),
    ("ContactUpdate", "contact: success, in aloware, blocked"),
    ("ContactDelete", "contact: skipped No contact mapping found"),
    (
        "ContactDndUpdate",
        "contact: skipped do-not-disturb recorded in the registry, blocked",
    ),
    (
        "ContactTagUpdate",
        "tag: skipped No Aloware list is configured for the changed tags",
    ),
    ("ConversationUnreadUpdate", UNHANDLED),
    ("ConversationUnreadWebhook", UNHANDLED),
    ("InboundMessage", NO_TEXT),
    ("LocationCreate", UNHANDLED),
    ("LocationUpdate", UNHANDLED),
    ("NoteCreate", UNHANDLED),
    ("NoteDelete", UNHANDLED),
    ("NoteUpdate", UNHANDLED),
    ("OpportunityAssignedToUpdate", UNHANDLED),
    ("OpportunityCreate", UNHANDLED),
    ("OpportunityDelete", UNHANDLED),
    ("OpportunityMonetaryValueUpdate", UNHANDLED),
    ("OpportunityStageUpdate", UNHANDLED),
    ("OpportunityStatusUpdate", UNHANDLED),
    ("OpportunityUpdate", UNHANDLED),
    ("OutboundMessage", NO_TEXT),
    ("PlanChange", UNHANDLED),
    (
        "ProviderOutboundMessage.email",
        "message: skipped Only texts are sent: the channel is Email",
    ),
    ("ProviderOutboundMessage.sms", "message: success, sent"),
    ("TaskComplete", UNHANDLED),
    ("TaskCreate", UNHANDLED),
    ("TaskDelete", UNHANDLED),
    ("customer-replied-trigger", WORKFLOW),
    ("tag-trigger", WORKFLOW),
];

/// The samples of a folder: name without `.json`, and body.
fn samples(folder: &Path) -> Vec<(String, Value)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut samples: Vec<(String, Value)> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|one, other| one.0.cmp(&other.0));
    samples
}

/// Whom the sample is about; the samples share ids.
fn person(sample: &Value) -> Option<&str> {
    let contact = sample["type"].as_str().is_some_and(|name| name.starts_with("Contact"));
    let named = ["/contact_id", "/contactId", "/appointment/contactId"];
    let mut found = named.iter().filter_map(|place| sample.pointer(place)?.as_str());
    found.next().or_else(|| sample["id"].as_str().filter(|_| contact))
}

/// The sample in our sub-account, about a person of its own.
fn of_our_own(sample: &Value, id: &str, phone: &str) -> Value {
    let mut text = sample.to_string();
    if let Some(theirs) = person(sample) {
        text = text.replace(theirs, id);
    }
    for theirs in ["+919509597501", "+15551234567", "+15864603685"] {
        text = text.replace(theirs, phone);
    }
    let mut own: Value = serde_json::from_str(&text).unwrap();
    for place in ["/locationId", "/location/id"] {
        if let Some(location) = own.pointer_mut(place) {
            *location = json!(LOCATION);
        }
    }
    // One message, however often it is delivered, is sent once.
    if let Some(message) = own.get_mut("messageId") {
        *message = json!(format!("{id}Message"));
    }
    own
}

fn effect_of(name: &str, sample: &Value) -> (&'static str, String) {
    let kind = name.split('.').next().unwrap_or(name);
    let by = |wanted: &str| EFFECTS.iter().find(|(known, _)| *known == wanted);
    let found = by(name).or_else(|| by(kind));
    let (known, effect) = *found.unwrap_or_else(|| panic!("{name} has no stated effect"));
    (
        known,
        effect.replace("{type}", sample["type"].as_str().unwrap_or_default()),
    )
}

/// What came of it, as [`EFFECTS`] spells it.
async fn outcome(app: &TestApp, phone: &str) -> String {
    let event = &app
        .rows("SELECT entity_type, status, error_message FROM webhook_events ORDER BY seq DESC LIMIT 1")
        .await[0];
    assert_eq!(event["status"], "done", "{event}");
    let rows = app
        .rows("SELECT status, error_message FROM sync_log ORDER BY started_at, entity_type")
        .await;
    let row = |row: &Value| {
        let status = row["status"].as_str().unwrap().to_owned();
        let why = row["error_message"].as_str().filter(|_| status == "skipped");
        why.map_or(status.clone(), |why| format!("{status} {why}"))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let mut told = format!("{}: {}", event["entity_type"].as_str().unwrap(), rows.join("; "));
    if app.sandbox.aloware.contact_by_phone(phone).is_some() {
        told.push_str(", in aloware");
    }
    let lists = app.sandbox.aloware.lists_of(phone);
    if !lists.is_empty() {
        told.push_str(&format!(", lists {lists:?}"));
    }
    let blocked = format!("SELECT source FROM optout_registry WHERE phone_number = '{phone}' AND status = 'opted_out'");
    if app.rows(&blocked).await == [json!({"source": "ghl"})] {
        told.push_str(", blocked");
    }
    if !app.sandbox.texting.sent_to(phone).is_empty() {
        told.push_str(", sent");
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_has_its_stated_effect_and_none_ends_in_an_error() {
    let Some(folder) = vendors::folder() else {
        return super::absent();
    };
    let app = TestApp::start_with(&[("GHL_CONVERSATION_PROVIDER_ID", "provider1")]).await;
    app.sandbox.ghl.set_provider("provider1", ProviderKind::Custom);
    let mut stated = BTreeSet::new();
    let mut number = 0;
    for kind in ["webhooks", "webhooks-live-shape", "workflow-webhook"] {
        for (name, sample) in samples(&folder.join("ghl").join(kind)) {
            number += 1;
            let (id, phone) = (format!("probePerson{number:09}"), format!("+1619555{number:04}"));
            app.sandbox
                .ghl
                .add_contact(json!({"id": id, "phone": phone, "firstName": "Probe"}));
            let door = match kind {
                "workflow-webhook" => Door::Secret,
                _ if name.starts_with("Provider") => Door::Provider,
                _ => Door::Signed,
            };
            app.execute("DELETE FROM sync_log").await;
            let answer = deliver(&app, door, &of_our_own(&sample, &id, &phone)).await;
            assert_eq!(answer.status(), 200, "{kind}/{name}");
            app.idle().await;
            let (known, wanted) = effect_of(&name, &sample);
            assert_eq!(outcome(&app, &phone).await, wanted, "{kind}/{name}");
            stated.insert(known);
        }
    }
    let unused: Vec<_> = EFFECTS.iter().filter(|(name, _)| !stated.contains(name)).collect();
    assert!(unused.is_empty(), "no sample for {unused:?}");
    app.finish().await;
}
