//! One call is one story, in whatever order and number its deliveries arrive,
//! and it costs no more vendor calls than it has things to say.

use std::time::Duration;

use df_middleware::sandbox::{Fault, Times};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{OUR_NUMBER, PATIENCE, TestApp, call, finished_call, query};

const LEAD: &str = "+16195550111";
const LINK: &str = "https://rec.example/abc";
const WORDS: &str = "She was interested. Agreed a callback on Friday.";
const FAST: &[(&str, &str)] = &[("GHL_RATE_LIMIT", "100000/1s")];

fn start(id: i64, phone: &str) -> Value {
    let changes = json!({"duration": 0, "disposition_status": "in-progress", "call_disposition": null,
        "updated_at": "2026-11-02 17:03:20"});
    call("OutboundPhoneCall", id, phone, changes)
}

fn completed(id: i64, phone: &str) -> Value {
    let changes = json!({"call_disposition": "No Answer", "direct_recording_url": LINK});
    call("OutboundPhoneCall-DispositionCompleted", id, phone, changes)
}

fn recording(id: i64, phone: &str) -> Value {
    let changes = json!({"duration": 124, "call_disposition": "No Answer", "direct_recording_url": LINK,
        "updated_at": "2026-11-02 17:05:35"});
    call("Recording-Saved", id, phone, changes)
}

fn disposed(id: i64, phone: &str, label: &str) -> Value {
    let changes = json!({"call_disposition": label, "direct_recording_url": LINK, "duration": 126,
        "updated_at": "2026-11-02 17:05:38"});
    call("Call-Disposed", id, phone, changes)
}

/// What is about a call and not a call: the communication is one level deeper.
fn about(event: &str, id: i64, phone: &str, content: Value) -> Value {
    let mut body = json!({
        "transcription": {"communication_id": id},
        "contact": {"id": 700_000_000 + id, "phone_number": phone, "first_name": "Wanda", "last_name": "Tester"},
        "communication": {"id": id, "type": 1, "direction": 2, "lead_number": phone, "duration": 127,
            "call_disposition": "No Answer", "created_at": "2026-11-02 17:03:20", "updated_at": "2026-11-02 17:06:20"}
    });
    body.as_object_mut()
        .unwrap()
        .extend(content.as_object().unwrap().clone());
    json!({"event": event, "body": body})
}

fn summary(id: i64, phone: &str, words: &str) -> Value {
    about("transcription.call.summarized", id, phone, json!({"summary": words}))
}

fn transcript(id: i64, phone: &str) -> Value {
    about(
        "Transcription-Saved",
        id,
        phone,
        json!({"text": "Hello, this is Wanda."}),
    )
}

/// What a call's deliveries leave, sorted.
fn told(id: i64) -> Vec<String> {
    let at = "2026-11-02 17:03 UTC";
    let mut notes = vec![
        format!("Call Made on {at} (2m 5s)\nDisposition: Interested\nStatus: completed\n[df:call:{id}]"),
        format!("[RECORDING] {at} (124s)\nCall ID: {id}\nRecording: {LINK}\n\n[df:recording:{id}]"),
        format!("[TRANSCRIPTION] {at}\nCall ID: {id}\n\nHello, this is Wanda.\n\n[df:transcription:{id}]"),
        format!("[CALL SUMMARY] {at}\nCall ID: {id}\n\n{WORDS}\n\n[df:summary:{id}]"),
    ];
    notes.sort();
    notes
}

const TAGS: [&str; 5] = [
    "call: interested",
    "call: no answer",
    "follow-up needed",
    "interested",
    "outbound call",
];

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// All orders of `0..n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let with_last_at = |order: &Vec<usize>, place: usize| {
        let mut order = order.clone();
        order.insert(place, n - 1);
        order
    };
    (0..n)
        .flat_map(|place| shorter.iter().map(move |order| with_last_at(order, place)))
        .collect()
}

/// GHL calls that a delivery causes.
async fn cost(app: &TestApp, delivery: &Value) -> u64 {
    let before = app.sandbox.ghl.calls_total();
    assert_eq!(app.aloware(delivery).await.status(), 200);
    app.idle().await;
    app.sandbox.ghl.calls_total() - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_a_calls_deliveries_leaves_the_same_notes_and_tags() {
    let app = TestApp::start_with(FAST).await;
    let window = Duration::from_secs(1);
    app.sandbox.ghl.set_rate_limit(100_000, window, 10_000_000);
    let mut people = Vec::new();
    for (number, order) in orders(5).into_iter().enumerate() {
        let phone = format!("+1619555{:04}", 1000 + number);
        let contact = app.sandbox.ghl.add_contact(json!({"phone": phone}));
        let id = i64::try_from(10_000 + number).unwrap();
        let all = [
            completed(id, &phone),
            disposed(id, &phone, "Interested"),
            recording(id, &phone),
            transcript(id, &phone),
            summary(id, &phone, WORDS),
        ];
        let mut deliveries: Vec<Value> = order.iter().map(|place| all[*place].clone()).collect();
        deliveries.insert(number % 6, start(id, &phone));
        people.push((id, contact, order, deliveries));
    }
    assert_eq!(people.len(), 120);
    // Each has run to its end before the person's next one arrives.
    for place in 0..6 {
        let posts = people.iter().map(|(.., deliveries)| app.aloware(&deliveries[place]));
        let answers = join_all(posts).await;
        assert!(answers.iter().all(|answer| answer.status() == 200));
        app.idle().await;
    }
    for (id, contact, order, _) in &people {
        assert_eq!(sorted(app.sandbox.ghl.notes(contact)), told(*id), "{order:?}");
        assert_eq!(sorted(app.sandbox.ghl.tags(contact)), TAGS, "{order:?}");
    }
    assert_eq!(app.sandbox.aloware.calls_total(), 0);
    let states = app
        .rows("SELECT status, count(*) FROM webhook_events GROUP BY status")
        .await;
    assert_eq!(states, [json!({"status": "done", "count": 720})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_arrive_together_cost_one_call_a_note_and_one_for_all_tags() {
    let app = TestApp::start_with(FAST).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    // An earlier call holds the person's lane until all are stored.
    let gate = app
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Gate);
    app.aloware(&finished_call(1, LEAD)).await;
    app.sandbox
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE)
        .await
        .unwrap();
    let before = app.sandbox.ghl.calls_total();
    let together = json!([
        summary(9101, LEAD, WORDS),
        transcript(9101, LEAD),
        start(9101, LEAD),
        disposed(9101, LEAD, "Interested"),
        recording(9101, LEAD),
        completed(9101, LEAD),
    ]);
    app.aloware(&together).await;
    gate.release();
    app.idle().await;
    let made = app.sandbox.ghl.calls_total() - before;
    assert_eq!(made, 1 + 5, "the first call's tags; four notes, one set of tags");
    let notes: Vec<String> = app.sandbox.ghl.notes(&contact).into_iter().skip(1).collect();
    assert_eq!(sorted(notes), told(9101));
    assert_eq!(sorted(app.sandbox.ghl.tags(&contact)), TAGS);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_six_deliveries_of_a_measured_call_cost_four_calls_to_ghl_and_none_to_aloware() {
    let app = TestApp::start_with(FAST).await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&finished_call(1, LEAD)).await;
    app.idle().await;
    // As captured (the label is on the disposition already, the search index has no
    // text) but for the summary's words: those that speak of an outcome earn a tag,
    // and that is a fifth call.
    let index = about("transcription.open_search.saved", 9102, LEAD, json!({}));
    for (delivery, calls, what) in [
        (start(9102, LEAD), 0, "the start leaves nothing"),
        (completed(9102, LEAD), 2, "note and tags"),
        (recording(9102, LEAD), 1, "its note"),
        (disposed(9102, LEAD, "No Answer"), 0, "a second longer, and nothing new"),
        (summary(9102, LEAD, "The agent explained the offer."), 1, "its note"),
        (index, 0, "nothing to show"),
    ] {
        assert_eq!(cost(&app, &delivery).await, calls, "{what}");
    }
    assert_eq!(app.sandbox.aloware.calls_total(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_delivery_costs_what_it_adds() {
    let app = TestApp::start_with(FAST).await;
    app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for (delivery, calls, what) in [
        (finished_call(9103, LEAD), 3, "found by phone, note, tags"),
        (finished_call(9104, LEAD), 2, "mapped: note, tags"),
        (call("Call-Disposed", 9104, LEAD, json!({})), 0, "says nothing new"),
        (disposed(9104, LEAD, "Booked"), 2, "the note again, a tag"),
        (completed(9104, LEAD), 1, "an older picture: its label's tag, no note"),
        (recording(9105, LEAD), 1, "a note without its call"),
        (summary(9104, LEAD, "Declined."), 2, "a note, a tag"),
        (
            summary(9104, LEAD, "Declined. Again."),
            1,
            "the same note, the same tag",
        ),
    ] {
        assert_eq!(cost(&app, &delivery).await, calls, "{what}");
    }
    assert_eq!(app.sandbox.aloware.calls_total(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcript_of_a_stranger_finds_the_contact_by_the_phone_it_names() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    assert_eq!(cost(&app, &transcript(9106, LEAD)).await, 2, "found by phone, note");
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcript_that_names_nobody_waits_for_its_call_and_is_not_lost() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "100")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let nameless = json!({"event": "Transcription-Saved", "body": {"text": "Hello.", "transcription": {"communication_id": 9107}}});
    app.aloware(&nameless).await;
    let waiting = "SELECT 1 FROM webhook_events WHERE error_message = 'transient: whose call it is, is not known yet'";
    query::settled(&app.config, waiting, 1).await;
    app.aloware(&finished_call(9107, LEAD)).await;
    app.idle().await;
    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("[TRANSCRIPTION]") && note.contains("Hello."))
    );
    let states = app.rows("SELECT DISTINCT status FROM webhook_events").await;
    assert_eq!(states, [json!({"status": "done"})]);

    let later = json!({"event": "Voicemail-Saved", "body": {"call_id": 9107, "voicemail_url": "https://vm.example/1"}});
    assert_eq!(
        cost(&app, &later).await,
        1,
        "the call's other deliveries name the person"
    );
    assert_eq!(app.sandbox.ghl.notes(&contact).len(), 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_knows_only_the_id_waits_for_the_open_one_that_knows_the_phone() {
    let app = TestApp::start_with(&[("JOBS_RETRY_LIMIT", "100")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    let gate = app
        .sandbox
        .ghl
        .fault("POST", "/contacts/*/notes", Times::Once, Fault::Gate);
    app.aloware(&finished_call(9112, LEAD)).await;
    app.sandbox
        .wait_for_call(|call| call.path.ends_with("/notes"), PATIENCE)
        .await
        .unwrap();
    // Another id than the open call's: nothing maps it to the person's lane.
    let by_id =
        json!({"event": "Recording-Saved", "body": {"call_id": 9112, "contact_id": 77, "direct_recording_url": LINK}});
    app.aloware(&by_id).await;
    let waiting =
        "SELECT 1 FROM webhook_events WHERE error_message = 'transient: another delivery of this call is still to run'";
    query::settled(&app.config, waiting, 1).await;
    gate.release();
    app.idle().await;
    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(notes.len(), 2, "{notes:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_links_that_are_not_wanted_stay_out_of_ghl_in_every_delivery() {
    let app = TestApp::start_with(&[("DF_RECORDING_LINKS", "omit")]).await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    for delivery in [
        recording(9108, LEAD),
        completed(9108, LEAD),
        disposed(9108, LEAD, "Interested"),
    ] {
        app.aloware(&delivery).await;
        app.idle().await;
    }
    let notes = app.sandbox.ghl.notes(&contact);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(!notes[0].contains("rec.example"));
    let skipped = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'skipped'")
        .await;
    assert_eq!(skipped, [json!({"error_message": "recording_links_omitted"})]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_names_no_call_ends_in_error_and_one_of_our_own_lines_is_skipped() {
    let app = TestApp::start().await;
    for (event, reason) in [
        ("Recording-Saved", "permanent: No call_id found in recording payload"),
        ("Voicemail-Saved", "permanent: No call_id found in voicemail payload"),
        (
            "Transcription-Saved",
            "permanent: No call_id found in transcription payload",
        ),
        (
            "transcription.call.summarized",
            "permanent: No call_id found in call summary payload",
        ),
    ] {
        app.aloware(&json!({"event": event, "body": {"contact": {"phone_number": LEAD}}}))
            .await;
        app.idle().await;
        let last = app
            .rows("SELECT status, error_message FROM webhook_events ORDER BY seq DESC LIMIT 1")
            .await;
        assert_eq!(last, [json!({"status": "error", "error_message": reason})]);
    }
    app.aloware(&finished_call(9109, OUR_NUMBER)).await;
    app.idle().await;
    let skipped = app
        .rows("SELECT error_message FROM sync_log WHERE status = 'skipped'")
        .await;
    assert_eq!(skipped, [json!({"error_message": "own_number"})]);
    assert_eq!(app.sandbox.ghl.calls_total(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ghl_refuses_fails_the_delivery_that_is_about_it_and_no_other_of_the_call() {
    let app = TestApp::start().await;
    let contact = app.sandbox.ghl.add_contact(json!({"phone": LEAD}));
    app.aloware(&completed(9110, LEAD)).await;
    app.idle().await;
    let refusal = Fault::status(422, "no");
    app.sandbox
        .ghl
        .fault("PUT", "/contacts/*/notes/*", Times::Forever, refusal);
    for delivery in [disposed(9110, LEAD, "Interested"), summary(9110, LEAD, WORDS)] {
        app.aloware(&delivery).await;
        app.idle().await;
    }
    let states = app
        .rows("SELECT entity_type, status FROM webhook_events ORDER BY seq OFFSET 1")
        .await;
    let wanted = [
        json!({"entity_type": "call", "status": "error"}),
        json!({"entity_type": "call_summary", "status": "done"}),
    ];
    assert_eq!(states, wanted);
    assert!(app.sandbox.ghl.notes(&contact).iter().any(|note| note.contains(WORDS)));
    assert!(app.sandbox.ghl.tags(&contact).contains(&"follow-up needed".to_owned()));
    app.finish().await;
}
