//! What a call's note and tags are made of, in each spelling Aloware may use.

use serde_json::{Value, json};

use crate::support::{TestApp, call};

const LEAD: &str = "+16195550211";

/// Delivers, and answers the person's notes and tags.
async fn left(app: &TestApp, contact: &str, delivery: &Value) -> (Vec<String>, Vec<String>) {
    app.aloware(delivery).await;
    app.idle().await;
    let mut tags = app.sandbox.ghl.tags(contact);
    tags.sort();
    (app.sandbox.ghl.notes(contact), tags)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_spelling_of_a_content_is_read() {
    let app = TestApp::start().await;
    let (link, words) = ("https://x.example/1", "The agent explained the offer.");
    let mut n = 0;
    for (event, title, content, keys) in [
        (
            "Recording-Saved",
            "[RECORDING]",
            link,
            &["direct_recording_url", "url", "recording_url", "audio_url"][..],
        ),
        (
            "Voicemail-Saved",
            "[VOICEMAIL]",
            link,
            &[
                "direct_voicemail_url",
                "voicemail_url",
                "direct_recording_url",
                "url",
                "audio_url",
            ],
        ),
        (
            "Transcription-Saved",
            "[TRANSCRIPTION]",
            words,
            &["text", "transcript", "transcription"],
        ),
        (
            "transcription.call.summarized",
            "[CALL SUMMARY]",
            words,
            &["summary", "text", "content"],
        ),
    ] {
        for key in keys {
            n += 1;
            let phone = format!("+161955503{n:02}");
            let contact = app.sandbox.ghl.add_contact(json!({"phone": phone}));
            let id_key = ["call_id", "callId", "communication_id"][n % 3];
            let mut body = json!({"contact": {"id": 300 + n, "phone_number": phone}});
            body[id_key] = json!(9000 + n);
            body[*key] = json!(content);
            let (notes, tags) = left(&app, &contact, &json!({"event": event, "body": body})).await;
            assert_eq!(notes.len(), 1, "{event} {key} {id_key}");
            let head = format!("{title}\nCall ID: {}\n", 9000 + n);
            assert!(
                notes[0].starts_with(&head) && notes[0].contains(content),
                "{key}: {notes:?}"
            );
            assert!(tags.is_empty(), "{key}: {tags:?}");
        }
    }
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let empty = json!({"call_id": 9100, "summary": " ", "contact": {"id": 400, "phone_number": LEAD}});
    let (notes, _) = left(
        &app,
        &contact,
        &json!({"event": "transcription.call.summarized", "body": empty}),
    )
    .await;
    assert!(notes.is_empty(), "{notes:?}");
    let skipped = app
        .rows("SELECT entity_type, error_message FROM sync_log WHERE status = 'skipped'")
        .await;
    let row = json!({"entity_type": "call_summary", "error_message": "No summary text in payload"});
    assert_eq!(skipped, [row]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voicemail_leaves_its_link_in_a_note_unless_links_are_not_wanted() {
    let link = "https://vm.example/9201";
    let voicemail = call(
        "Voicemail-Saved",
        9201,
        LEAD,
        json!({"duration": 48, "voicemail_url": link}),
    );
    let note =
        format!("[VOICEMAIL] 2026-11-02 17:03 UTC (48s)\nCall ID: 9201\nVoicemail: {link}\n\n[df:voicemail:9201]");
    let omitted = json!({"entity_type": "voicemail", "status": "skipped", "error_message": "recording_links_omitted"});
    let written = json!({"entity_type": "voicemail", "status": "success", "error_message": null});
    for (wanted, notes, row) in [("note", vec![note], written), ("omit", vec![], omitted)] {
        let app = TestApp::start_with(&[("DF_RECORDING_LINKS", wanted)]).await;
        let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
        assert_eq!(left(&app, &contact, &voicemail).await, (notes, vec![]), "{wanted}");
        let log = app
            .rows("SELECT entity_type, status, error_message FROM sync_log")
            .await;
        assert_eq!(log, [row], "{wanted}");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolution_and_score_are_told_when_known() {
    let app = TestApp::start().await;
    for (n, (facts, told)) in [
        (
            json!({"resolution": "Solved", "csat_score": 4}),
            "\nResolution: Solved\nCSAT Score: 4",
        ),
        (
            json!({"resolution": "Solved", "csat_score": null}),
            "\nResolution: Solved",
        ),
        (json!({"resolution": " ", "csat_score": "5"}), "\nCSAT Score: 5"),
        (json!({"resolution": null}), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, phone) = (9300 + i64::try_from(n).unwrap(), format!("+1619555022{n}"));
        let contact = app.sandbox.ghl.add_contact(json!({"phone": phone}));
        let (notes, _) = left(&app, &contact, &call("Call-Disposed", id, &phone, facts)).await;
        let head = "Call Made on 2026-11-02 17:03 UTC (2m 5s)\nDisposition: Interested\nStatus: completed";
        assert_eq!(notes, [format!("{head}{told}\n[df:call:{id}]")]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_tags_whether_listed_or_written_as_one_text() {
    let app = TestApp::start().await;
    for (n, (facts, told)) in [
        (
            json!({"outcomes": ["Booked", "Sent offer"]}),
            &["summary: booked", "summary: sent offer"][..],
        ),
        (json!({"outcomes": "Booked"}), &["summary: booked"]),
        (json!({"tags": ["Booked"]}), &["summary: booked"]),
        (json!({"tags": "Booked"}), &["summary: booked"]),
        (
            json!({"outcomes": ["Booked", null, "booked", 7]}),
            &["summary: 7", "summary: booked"],
        ),
        (json!({"outcomes": []}), &[]),
        (json!({"outcomes": {"a": "Booked"}}), &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let phone = format!("+1619555023{n}");
        let contact = app.sandbox.ghl.add_contact(json!({"phone": phone}));
        let mut body = json!({"call_id": 9400 + n, "summary": "The agent explained the offer.",
            "contact": {"id": 500 + n, "phone_number": phone}});
        body.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
        let summary = json!({"event": "transcription.call.summarized", "body": body});
        let (notes, tags) = left(&app, &contact, &summary).await;
        assert_eq!(
            (notes.len(), tags),
            (1, told.iter().map(|tag| (*tag).to_owned()).collect()),
            "{facts}"
        );
    }
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);
    app.finish().await;
}
