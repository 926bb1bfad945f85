//! What each event that Aloware is known to send does, one by one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{OUR_NUMBER, TestApp, finished_call};

const LEAD: &str = "+16195550111";

/// A delivery's effect: its `sync_log` row, and how many notes and which tags it added.
struct Effect<'a> {
    status: &'static str,
    message: Option<&'a str>,
    notes: usize,
    tags: &'a [&'a str],
}

const fn skipped(message: &str) -> Effect<'_> {
    Effect {
        status: "skipped",
        message: Some(message),
        notes: 0,
        tags: &[],
    }
}

const fn success<'a>(message: Option<&'a str>, notes: usize, tags: &'a [&'a str]) -> Effect<'a> {
    Effect {
        status: "success",
        message,
        notes,
        tags,
    }
}

/// Delivers and compares what became of it. The person must be one contact in GHL.
async fn check(app: &TestApp, contact: &str, what: &str, delivery: &Value, effect: &Effect<'_>) {
    let (notes, tags) = (app.sandbox.ghl.notes(contact), app.sandbox.ghl.tags(contact));
    let answer = app.aloware(delivery).await;
    assert_eq!(answer.status(), 200, "{what}");
    app.idle().await;
    let rows = app
        .rows(
            "SELECT l.status, l.error_message AS message, e.status AS event FROM sync_log l, webhook_events e
             WHERE l.correlation_id = e.id::text AND e.seq = (SELECT max(seq) FROM webhook_events)",
        )
        .await;
    let wanted = json!({"status": effect.status, "message": effect.message, "event": "done"});
    assert_eq!(rows, [wanted], "{what}");
    let new_notes = app.sandbox.ghl.notes(contact).len() - notes.len();
    let mut new_tags = app.sandbox.ghl.tags(contact);
    new_tags.retain(|tag| !tags.contains(tag));
    new_tags.sort();
    assert_eq!((new_notes, new_tags), (effect.notes, owned(effect.tags)), "{what}");
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

/// A delivery of our own invention about the usual person.
fn delivery(event: &str, body: Value) -> Value {
    let mut full = json!({"contact_id": 155, "lead_number": LEAD, "incoming_number": OUR_NUMBER,
        "created_at": "2026-11-02 17:03:20", "updated_at": "2026-11-02 17:05:31",
        "contact": {"id": 155, "first_name": "Wanda", "phone_number": LEAD, "is_dnc": false}});
    full.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    json!({"event": event, "body": full})
}

fn contact_body(changes: Value) -> Value {
    let mut body = json!({"id": 155, "first_name": "Wanda", "phone_number": LEAD});
    body.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_has_its_effect_under_its_wire_its_dotted_and_its_form_name() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let call = |id: i64| json!({"id": id, "type": 1, "direction": 1, "disposition_status": "completed"});
    for (number, names) in [
        [
            "Call-Disposed",
            "Recording-Saved",
            "Voicemail-Saved",
            "Transcription-Saved",
            "transcription.call.summarized",
        ],
        [
            "call.disposed",
            "recording.saved",
            "voicemail.saved",
            "transcription.saved",
            "call.summarized",
        ],
        [
            "Call disposed",
            "Recording saved",
            "Voicemail saved",
            "Transcription saved",
            "Call summarized",
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let id = 500 + i64::try_from(number).unwrap();
        let mut facts = call(id);
        for (name, key, value) in [
            (names[0], "notes", Value::Null),
            (names[1], "direct_recording_url", json!("https://rec.example/1")),
            (names[2], "voicemail_url", json!("https://vm.example/1")),
            (names[3], "text", json!("Hello.")),
            (names[4], "summary", json!("The agent explained the offer.")),
        ] {
            facts[key] = value;
            let tags: &[&str] = if name == "Call-Disposed" {
                &["inbound call"]
            } else {
                &[]
            };
            check(
                &app,
                &contact,
                name,
                &delivery(name, facts.clone()),
                &success(None, 1, tags),
            )
            .await;
        }
    }
    let names = ["Contact-DncUpdated", "contact.dnc.updated", "Contact DNC Updated"];
    for (n, name) in names.into_iter().enumerate() {
        for (second, on, message) in [(0, true, "DNC status: opted_out"), (1, false, "DNC status: opted_in")] {
            let tags: &[&str] = if on { &["dnc", "do not call"] } else { &[] };
            let at = format!("2026-11-02 18:0{n}:0{second}");
            let body = contact_body(json!({"is_dnc": on, "updated_at": at}));
            let event = json!({"event": name, "body": body});
            check(&app, &contact, name, &event, &success(Some(message), 0, tags)).await;
        }
    }
    for name in ["Contact-Disposed", "contact.disposed", "Contact disposed"] {
        let event = json!({"event": name, "body": contact_body(json!({"disposition_status": name}))});
        let label = format!("Disposition: {name}");
        let tag = label.to_lowercase();
        let tags = ["contact disposed", &tag];
        let new = if name == "Contact-Disposed" {
            &tags[..]
        } else {
            &tags[1..]
        };
        check(&app, &contact, name, &event, &success(Some(&label), 0, new)).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_ghl_is_skipped_in_the_words_operators_know() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&finished_call(1, LEAD)).await;
    app.idle().await;
    let text =
        |code: i64| json!({"id": 600 + code, "type": 2, "direction": 2, "disposition_status2": code, "body": "Hi."});
    for (name, body, reason) in [
        ("OutboundPhoneCall", json!({"id": 601, "type": 1}), "call_not_ended_yet"),
        (
            "OutboundAppointment",
            json!({"id": 602, "type": 12}),
            "appointments_sot_is_ghl",
        ),
        ("appointment.saved", json!({"id": 603}), "appointments_sot_is_ghl"),
        (
            "Communication initiated",
            json!({"id": 604}),
            "communication_events_are_not_logged",
        ),
        (
            "communication.disposed",
            json!({"id": 605, "type": 5}),
            "communication_events_are_not_logged",
        ),
        ("Communication disposed", text(7), "text_not_sent"),
        (
            "Gizmo-Polished",
            json!({"id": 606}),
            "Unhandled event type: Gizmo-Polished",
        ),
    ] {
        check(&app, &contact, name, &delivery(name, body), &skipped(reason)).await;
    }
    let wanted = success(None, 1, &[]);
    check(
        &app,
        &contact,
        "a text by its code",
        &delivery("Communication disposed", text(4)),
        &wanted,
    )
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contact_events_change_ghl_only_where_aloware_is_the_source_of_truth() {
    let ignored = || skipped("aloware_contact_event_ignored_source_of_truth_is_ghl");
    for (mode, effect, name) in [
        ("ghl", ignored(), "Ida"),
        ("merge", ignored(), "Ida"),
        ("aloware", success(None, 0, &[]), "Wanda"),
    ] {
        let app = TestApp::start_with(&[("CONTACT_SOURCE_OF_TRUTH", mode)]).await;
        let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD, "firstName": "Ida"}));
        let event = json!({"event": "Contact updated", "body": contact_body(json!({}))});
        check(&app, &contact, mode, &event, &effect).await;
        assert_eq!(app.sandbox.ghl.contact(&contact).unwrap()["firstName"], name, "{mode}");
        assert_eq!(app.sandbox.aloware.calls_total(), 0, "{mode}");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn do_not_call_costs_two_calls_at_most_for_a_contact_ghl_has() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for (on, calls, what) in [(true, 2, "found by phone, tags"), (false, 1, "tags"), (true, 1, "tags")] {
        let before = app.sandbox.ghl.calls_total();
        let body = contact_body(json!({"is_dnc": on, "updated_at": format!("2026-11-02 18:00:0{before}")}));
        app.aloware(&json!({"event": "Contact-DncUpdated", "body": body})).await;
        app.idle().await;
        assert_eq!(app.sandbox.ghl.calls_total() - before, calls, "{what}");
        let wanted: &[&str] = if on { &["dnc", "do not call"] } else { &[] };
        assert_eq!(app.sandbox.ghl.tags(&contact), wanted, "{what}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_meters_tell_what_an_event_costs_and_that_a_name_is_unheard_of() {
    let app = TestApp::start().await;
    let read = async |name: &str| -> f64 {
        let text = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap();
        let text = text.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    };
    let (count, sum) = (
        "vendor_calls_per_event_count{source=\"aloware\"}",
        "vendor_calls_per_event_sum{source=\"aloware\"}",
    );
    // The recorder is the whole test process's: others count, too.
    let before = (
        read(count).await,
        read(sum).await,
        read("events_unhandled_total{source=\"aloware\"}").await,
    );
    app.aloware(&finished_call(700, LEAD)).await;
    app.aloware(&json!({"event": "Gizmo-Polished", "body": {"id": 701}}))
        .await;
    app.idle().await;
    assert!(read(count).await >= before.0 + 2.0);
    assert!(read(sum).await >= before.1 + 4.0, "search, creation, note, tags");
    assert!(read("events_unhandled_total{source=\"aloware\"}").await >= before.2 + 1.0);
    app.finish().await;
}

/// The vendor's samples, where the workshop keeps them; they are not ours to ship.
fn samples() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    here.map(|folder| folder.join("shared/contracts/aloware/webhooks"))
        .find(|folder| folder.is_dir())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recorded_sample_has_its_effect() {
    let Some(folder) = samples() else {
        eprintln!("skipped: no shared/contracts/aloware/webhooks above the crate");
        return;
    };
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": "+12025550177"}));
    let ignored = "aloware_contact_event_ignored_source_of_truth_is_ghl";
    let effects = [
        ("OutboundPhoneCall", skipped("call_not_ended_yet")),
        (
            "OutboundPhoneCall-DispositionCompleted",
            success(None, 1, &["call: no answer", "outbound call"]),
        ),
        ("Recording-Saved", success(None, 1, &[])),
        ("Call-Disposed", success(None, 0, &[])),
        ("transcription.call.summarized", success(None, 1, &["follow-up needed"])),
        ("Transcription-Saved", skipped("No transcript text in payload")),
        ("OutboundPhoneCall-DispositionFailed", success(None, 0, &[])),
        ("InboundPhoneCall", skipped("call_not_ended_yet")),
        (
            "InboundPhoneCall-DispositionCompleted",
            success(None, 1, &["inbound call"]),
        ),
        ("InboundPhoneCall-DispositionAbandoned", success(None, 1, &[])),
        ("Voicemail-Saved", skipped("No voicemail URL in payload")),
        ("OutboundAppointment", skipped("appointments_sot_is_ghl")),
        ("Contact-Created", skipped(ignored)),
        ("Contact-Updated", skipped(ignored)),
        (
            "Contact-Disposed",
            success(
                Some("Disposition: Unknown"),
                0,
                &["contact disposed", "disposition: unknown"],
            ),
        ),
        (
            "Contact-DncUpdated",
            success(Some("DNC status: opted_out"), 0, &["dnc", "do not call"]),
        ),
        ("OutboundSMS-DispositionCompleted", success(None, 1, &[])),
        ("OutboundSMS-DispositionInvalid", skipped("text_not_sent")),
        (
            "InboundSMS-DispositionCompleted",
            success(Some("STOP"), 0, &["dnc-sms", "sms opted out"]),
        ),
    ];
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let ping: Value = app.aloware(&read("test_payload")).await.json().await.unwrap();
    assert_eq!(ping, json!({"success": true, "message": "Test ping received"}));
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    assert_eq!(files.count(), effects.len() + 1, "every sample is in the table");
    for (name, effect) in &effects {
        check(&app, &contact, name, &read(name), effect).await;
    }
    let call = app
        .sandbox
        .ghl
        .notes(&contact)
        .into_iter()
        .find(|note| note.contains("[df:call:940000001]"));
    assert_eq!(
        call.as_deref(),
        Some(
            "Call Made on 2026-08-05 20:58 UTC (1m 6s)\nDisposition: No Answer\nStatus: completed\n[df:call:940000001]"
        ),
        "the older picture of a failed attempt changes nothing"
    );
    assert_eq!(app.sandbox.aloware.calls_total(), 0);
    app.finish().await;
}
