//! People whose deliveries arrive in order, each person's after the other, all
//! people's at once; and what each delivery must leave at a vendor.

use std::sync::Arc;
use std::time::Duration;

use df_middleware::sandbox::Sandbox;
use df_middleware::sandbox::ghl::ProviderKind;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::door::{Door, Doors, Entry};
use crate::support::{call, contact_event, text};

/// What a delivery must leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One note of the person, with this last line.
    Note(String),
    /// At most one text with these words; none once the person said STOP.
    Text(String),
    /// The person's registry entry and the marks in GHL.
    Stop,
    /// This first name on the person's one Aloware contact.
    Name(String),
}

/// One delivery to be brought.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub door: Door,
    pub body: Value,
    /// Unique; the stored payload carries it.
    pub mark: String,
    pub effect: Effect,
}

/// One person: what was accepted so far, in order.
pub struct Person {
    pub number: usize,
    pub phone: String,
    /// Known to GHL from the start; a stranger is created by the first delivery.
    pub contact: Option<String>,
    pub accepted: Vec<(String, Effect)>,
    /// Deliveries tried without an answer, and refused ones.
    pub entry: Entry,
    stops_at: Option<usize>,
    chance: StdRng,
}

/// The people and the vendors they meet.
pub struct Crowd {
    pub sandbox: Arc<Sandbox>,
    pub people: Vec<Person>,
}

impl Crowd {
    /// `count` people: two of three known to GHL, one of six says STOP.
    pub async fn gather(count: usize, chance: &mut StdRng) -> Self {
        let sandbox = Arc::new(Sandbox::start().await.unwrap());
        // A limit that is merely not enforced still tells the daemon to pause.
        sandbox
            .ghl
            .set_rate_limit(10_000_000, Duration::from_secs(10), 1_000_000_000);
        // Only the provider may tell an agent that a text was refused.
        sandbox.ghl.set_provider("provider1", ProviderKind::Custom);
        let people = (0..count).map(|number| {
            let phone = format!("+1619555{number:04}");
            let known = number % 3 != 2;
            let fields = json!({"firstName": "Nobody", "lastName": format!("Tester{number}"), "phone": phone});
            Person {
                number,
                contact: known.then(|| sandbox.ghl.add_contact(fields)),
                phone,
                accepted: Vec::new(),
                entry: Entry::default(),
                stops_at: (number % 6 == 4).then(|| chance.random_range(3..12)),
                chance: StdRng::seed_from_u64(chance.random()),
            }
        });
        let people = people.collect();
        Self { sandbox, people }
    }

    /// Everybody sends `each` deliveries, with pauses of up to `pause`, or until
    /// `enough`. Returns when all have an answer.
    pub async fn send(&mut self, doors: &Doors, each: usize, pause: Duration, enough: &CancellationToken) {
        let sandbox = &self.sandbox;
        let senders = self.people.iter_mut().map(|person| async move {
            for _ in 0..each {
                if enough.is_cancelled() {
                    return;
                }
                let delivery = person.next(sandbox);
                person.bring(sandbox, doors, delivery).await;
                let rest = pause.mul_f64(person.chance.random());
                tokio::time::sleep(rest).await;
            }
        });
        futures_util::future::join_all(senders).await;
    }

    /// How many deliveries were accepted.
    pub fn accepted(&self) -> usize {
        self.people.iter().map(|person| person.accepted.len()).sum()
    }
}

impl Person {
    async fn bring(&mut self, sandbox: &Sandbox, doors: &Doors, delivery: Delivery) {
        let entry = doors.bring(sandbox, delivery.door, &delivery.body).await;
        self.entry.unanswered += entry.unanswered;
        self.entry.refused += entry.refused;
        self.accepted.push((delivery.mark, delivery.effect));
        // Vendors repeat themselves.
        if self.chance.random_bool(0.05) {
            doors.bring(sandbox, delivery.door, &delivery.body).await;
        }
    }

    /// The next delivery of this person.
    pub fn next(&mut self, sandbox: &Sandbox) -> Delivery {
        let (number, step) = (self.number, self.accepted.len());
        let mark = format!("p{number}-{step}");
        let (door, mut body, effect) = if self.stops_at == Some(step) {
            let body = text("message.received", &mark, &self.phone, "STOP");
            (Door::Texting, body, Effect::Stop)
        } else {
            self.usual(sandbox, &mark, step)
        };
        body["mark"] = json!(mark);
        Delivery {
            door,
            body,
            mark,
            effect,
        }
    }

    fn usual(&mut self, sandbox: &Sandbox, mark: &str, step: usize) -> (Door, Value, Effect) {
        let call_id = i64::try_from(self.number * 100_000 + step).unwrap();
        let aloware_id = 800_000_000 + self.number;
        let caller = json!({"contact_id": aloware_id, "contact": {"id": aloware_id, "phone_number": self.phone}});
        match (self.chance.random_range(0..10), &self.contact) {
            (0, Some(contact)) => {
                let words = format!("agent {mark}");
                let body = sandbox.ghl.agent_text(contact, &words).unwrap();
                (Door::Provider, body, Effect::Text(words))
            }
            (1, Some(contact)) => {
                let fields = json!({"firstName": format!("Name {mark}"), "lastName": format!("Tester{}", self.number), "phone": self.phone});
                sandbox.ghl.edit_contact(contact, fields.clone());
                let body = contact_event("ContactUpdate", contact, mark, fields);
                (Door::Ghl, body, Effect::Name(format!("Name {mark}")))
            }
            (2, _) => {
                let mut body = call("Recording-Saved", call_id, &self.phone, caller);
                body["body"]["direct_recording_url"] = json!("https://rec.example/abc");
                (Door::Aloware, body, Effect::Note(format!("[df:recording:{call_id}]")))
            }
            (3..=5, _) => {
                let body = call("OutboundPhoneCall-DispositionCompleted", call_id, &self.phone, caller);
                (Door::Aloware, body, Effect::Note(format!("[df:call:{call_id}]")))
            }
            _ => {
                let body = text("message.received", mark, &self.phone, &format!("words of {mark}"));
                (Door::Texting, body, Effect::Note(format!("[df:sms:{mark}]")))
            }
        }
    }
}
