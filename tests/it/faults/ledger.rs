//! The books, closed from the outside: what was accepted against what the tables
//! say and what the vendors have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use df_middleware::sandbox::{Call, Vendor};
use serde_json::{Value, json};
use tokio_postgres::{Client, Config};

use super::crowd::{Crowd, Effect, Person};
use crate::support::query;

/// Longest wait for the next event to end: a backlog may take its time as long as
/// it shrinks.
const SETTLED: Duration = Duration::from_secs(60);

/// One scenario in numbers; all but the first three must be zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub faults: usize,
    pub deliveries: usize,
    pub unanswered: u64,
    pub lost: usize,
    pub doubled: usize,
    pub reordered: usize,
    pub stuck: usize,
    /// Effects nobody asked for.
    pub foreign: usize,
}

impl Figures {
    /// Prints the line and fails the scenario if anything is wrong.
    pub fn report(self, scenario: &str) {
        println!(
            "{scenario}: {} faults, {} deliveries accepted, {} tries unanswered; {} lost, {} doubled, {} reordered, \
             {} stuck, {} foreign",
            self.faults,
            self.deliveries,
            self.unanswered,
            self.lost,
            self.doubled,
            self.reordered,
            self.stuck,
            self.foreign
        );
        let wrong = [self.lost, self.doubled, self.reordered, self.stuck, self.foreign];
        assert_eq!(wrong, [0; 5], "{scenario}: lost, doubled, reordered, stuck, foreign");
    }
}

/// Waits until nothing is left to do: every event ended, no lane, nothing in the
/// spools of these data directories.
pub async fn settle(config: &Config, data: &[&Path]) {
    let client = query::connect(config).await;
    let mut deadline = tokio::time::Instant::now() + SETTLED;
    let mut most = -1;
    loop {
        let open = query::unfinished(&client).await;
        // What is open grows, too, while a spool drains into the tables.
        let ended = query::ended(&client).await;
        if ended > most {
            most = ended;
            deadline = tokio::time::Instant::now() + SETTLED;
        }
        let lanes = query::rows(&client, "SELECT key FROM event_lanes").await.len();
        let spooled: u64 = data.iter().map(|dir| spooled(dir)).sum();
        if open == 0 && lanes == 0 && spooled == 0 {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{open} events, {lanes} lanes, {spooled} bytes in spools stay: {}",
            query::describe(&client).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Bytes that wait in a daemon's spool.
pub fn spooled(data: &Path) -> u64 {
    std::fs::metadata(data.join("spool/spool")).map_or(0, |file| file.len())
}

/// One stored delivery.
struct Stored {
    seq: i64,
    status: String,
    error: Option<String>,
}

impl Crowd {
    /// Compares what was accepted with the tables and the vendors.
    pub async fn audit(&self, config: &Config, faults: usize) -> Figures {
        let client = query::connect(config).await;
        let mut figures = Figures {
            faults,
            deliveries: self.accepted(),
            unanswered: self.people.iter().map(|person| person.entry.unanswered).sum(),
            ..Figures::default()
        };
        let rows = stored(&client, &mut figures).await;
        let blocked = blocked(&client).await;
        for person in &self.people {
            rows_of(person, &rows, &mut figures);
            self.notes_of(person, &mut figures);
            self.texts_of(person, &client, &mut figures).await;
            self.marks_of(person, &blocked, &mut figures);
        }
        let wanted: usize = self.accepted();
        figures.foreign += rows.len().saturating_sub(wanted);
        figures.foreign += self.sandbox.ghl.contacts().len().saturating_sub(self.people.len());
        self.calls(&mut figures);
        once_each(&client, &mut figures).await;
        figures
    }

    /// The person's notes are those asked for, each once, in the order of acceptance.
    fn notes_of(&self, person: &Person, figures: &mut Figures) {
        let wanted: Vec<&String> = person
            .accepted
            .iter()
            .filter_map(|(_, effect)| match effect {
                Effect::Note(marker) => Some(marker),
                _ => None,
            })
            .collect();
        let contact = self.sandbox.ghl.contact_by_phone(&person.phone);
        let id = contact
            .as_ref()
            .and_then(|contact| contact["id"].as_str())
            .unwrap_or_default();
        let notes: Vec<String> = self.sandbox.ghl.notes(id).iter().map(|note| last_line(note)).collect();
        let once: BTreeSet<&String> = notes.iter().collect();
        for note in notes.iter().filter(|note| !wanted.contains(note)) {
            println!("foreign: note {note} of person {}", person.number);
            figures.foreign += 1;
        }
        if notes.len() > once.len() {
            println!("doubled: notes of person {}", person.number);
            figures.doubled += notes.len() - once.len();
        }
        for marker in wanted.iter().filter(|marker| !once.contains(**marker)) {
            println!("lost: note {marker} of person {}", person.number);
            figures.lost += 1;
        }
        let first: Vec<&String> = notes.iter().filter(|note| wanted.contains(note)).collect();
        let wanted: Vec<&String> = wanted.into_iter().filter(|marker| once.contains(*marker)).collect();
        if first != wanted && notes.len() == once.len() {
            println!("reordered: notes of person {}: {first:?} for {wanted:?}", person.number);
            figures.reordered += 1;
        }
    }

    /// A text went out at most once; never after a STOP; and when it did not go
    /// out, our own records say so.
    async fn texts_of(&self, person: &Person, client: &Client, figures: &mut Figures) {
        let sent = self.sandbox.texting.sent_to(&person.phone);
        let mut stopped = false;
        for (mark, effect) in &person.accepted {
            stopped |= *effect == Effect::Stop;
            let Effect::Text(words) = effect else { continue };
            let times = sent.iter().filter(|text| text.body == *words).count();
            if times > 1 {
                println!("doubled: text of {mark}");
                figures.doubled += 1;
            }
            if stopped && times > 0 {
                println!("foreign: text of {mark} after a STOP");
                figures.foreign += 1;
            }
            if times == 0 && told_as_sent(client, mark).await {
                println!("lost: text of {mark}");
                figures.lost += 1;
            }
        }
    }

    /// A STOP is in the registry and in GHL; the last name is Aloware's.
    fn marks_of(&self, person: &Person, blocked: &BTreeSet<String>, figures: &mut Figures) {
        let wanted = person.accepted.iter().any(|(_, effect)| *effect == Effect::Stop);
        let contact = self.sandbox.ghl.contact_by_phone(&person.phone).unwrap_or_default();
        let tags = self.sandbox.ghl.tags(contact["id"].as_str().unwrap_or_default());
        let marked = tags.contains(&"dnc-sms".to_owned());
        if (blocked.contains(&person.phone), marked) != (wanted, wanted) {
            println!(
                "lost: the STOP of person {} ({wanted}): {marked}, {tags:?}",
                person.number
            );
            figures.lost += 1;
        }
        let name = person.accepted.iter().rev().find_map(|(_, effect)| match effect {
            Effect::Name(name) => Some(name),
            _ => None,
        });
        let aloware = self.sandbox.aloware.contact_by_phone(&person.phone).unwrap_or_default();
        if let Some(name) = name
            && aloware["first_name"] != json!(name)
        {
            println!("lost: {name} of person {}: {}", person.number, aloware["first_name"]);
            figures.lost += 1;
        }
    }

    /// No call that no vendor documents, and no refusal that no scenario provokes.
    fn calls(&self, figures: &mut Figures) {
        for call in self.sandbox.unmatched() {
            println!("foreign: {} {}", call.method, call.path);
            figures.foreign += 1;
        }
        for call in self.sandbox.calls() {
            let refused = call.status.is_some_and(|status| (400..500).contains(&status));
            if refused && !is_expected(&call) {
                println!(
                    "foreign: {} {} was refused with {:?}",
                    call.method, call.path, call.status
                );
                figures.foreign += 1;
            }
        }
    }
}

/// Every accepted delivery is one row, done, in its person's order.
fn rows_of(person: &Person, rows: &BTreeMap<String, Stored>, figures: &mut Figures) {
    let mut last = 0;
    for (mark, _) in &person.accepted {
        let Some(row) = rows.get(mark) else {
            println!("lost: no row of {mark}");
            figures.lost += 1;
            continue;
        };
        if row.status != "done" {
            println!("stuck: {mark} is {}: {:?}", row.status, row.error);
            figures.stuck += 1;
        }
        if row.seq < last {
            println!("reordered: row of {mark}");
            figures.reordered += 1;
        }
        last = row.seq;
    }
}

/// Refusals that are an answer, and those that a storm makes.
fn is_expected(call: &Call) -> bool {
    match call.status {
        Some(404) => call.vendor == Vendor::Aloware && call.path.ends_with("/contact/phone-number"),
        Some(422) => call.path == "/contacts/upsert",
        status => status == Some(429),
    }
}

fn last_line(note: &str) -> String {
    note.lines().next_back().unwrap_or_default().to_owned()
}

/// Every stored delivery by its mark; two rows of one mark are a double.
async fn stored(client: &Client, figures: &mut Figures) -> BTreeMap<String, Stored> {
    let sql = "SELECT payload_json->>'mark' AS mark, seq, status, error_message AS error FROM webhook_events
               UNION ALL SELECT payload_json->>'mark', seq, status, error_message FROM texting_webhook_events";
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut rows = BTreeMap::new();
    for row in query::rows(client, sql).await {
        let mark = text(&row["mark"]).unwrap_or_default();
        let row = Stored {
            seq: row["seq"].as_i64().unwrap_or_default(),
            status: text(&row["status"]).unwrap_or_default(),
            error: text(&row["error"]),
        };
        if rows.insert(mark.clone(), row).is_some() {
            println!("doubled: rows of {mark}");
            figures.doubled += 1;
        }
    }
    rows
}

async fn blocked(client: &Client) -> BTreeSet<String> {
    let rows = query::rows(
        client,
        "SELECT phone_number AS phone FROM optout_registry WHERE status = 'opted_out'",
    )
    .await;
    rows.iter()
        .filter_map(|row| row["phone"].as_str().map(str::to_owned))
        .collect()
}

/// Whether our records claim that the text of this delivery went out.
async fn told_as_sent(client: &Client, mark: &str) -> bool {
    let sql = format!(
        "SELECT 1 FROM webhook_events e JOIN sync_log g ON g.correlation_id = e.id::text
          WHERE e.payload_json->>'mark' = '{mark}' AND g.status = 'success'"
    );
    !query::rows(client, &sql).await.is_empty()
}

/// A run that was fenced left no result: each event was closed once.
async fn once_each(client: &Client, figures: &mut Figures) {
    let sql = "SELECT correlation_id FROM sync_log WHERE status <> 'error' GROUP BY correlation_id HAVING count(*) > 1";
    let closed_twice = query::rows(client, sql).await.len();
    if closed_twice > 0 {
        println!("doubled: {closed_twice} events were closed twice");
    }
    figures.doubled += closed_twice;
}
