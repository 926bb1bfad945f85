//! A strict texting vendor with the one endpoint the daemon calls; GET is not
//! for it.
//!
//! Nothing is deduplicated, not even a repeated `correlationId`: no vendor
//! promises it. Webhooks are not sent from here; a test posts them itself,
//! because every texting vendor signs and shapes them differently.

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Options;
use super::record::Journal;
use super::server::Simulator;
use super::shape::{Fields, Kind, is_e164, violations};
use super::station::Station;
use super::wire::{Answer, Request, Vendor};

/// The accepted bearer token.
pub const TOKEN: &str = "texting-sandbox-token";
/// The only path there is.
pub const SEND_PATH: &str = "/api/integrations/df-middleware/send-message";

const BODY: &Fields = &[
    ("to", Kind::Text),
    ("body", Kind::Text),
    ("from", Kind::Text),
    ("conversationId", Kind::Text),
    ("correlationId", Kind::Text),
    ("locationId", Kind::Text),
];

/// A text the vendor accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentText {
    /// The `messageId` of the answer.
    pub id: String,
    /// Recipient, E.164.
    pub to: String,
    /// Sender, if one was named.
    pub from: Option<String>,
    /// The text.
    pub body: String,
    /// `conversationId`, if given.
    pub conversation_id: Option<String>,
    /// `correlationId`, if given.
    pub correlation_id: Option<String>,
    /// `locationId`, if given.
    pub location_id: Option<String>,
    /// When it was accepted.
    pub at: DateTime<Utc>,
}

/// A running texting vendor. `Station` gives it `url`, calls and faults.
pub struct TextingSim {
    station: Station,
    vendor: Arc<TextingVendor>,
}

struct TextingVendor {
    state: Mutex<State>,
    keep_last: usize,
}

struct State {
    token: String,
    blocked: HashSet<String>,
    sent: VecDeque<SentText>,
}

impl Deref for TextingSim {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}

impl TextingVendor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, request: &Request) -> Result<Answer, Answer> {
        let mut state = self.state();
        if request.bearer() != Some(state.token.as_str()) {
            return Err(failure(401, "401", "Unauthorized"));
        }
        let body = request.object();
        let wrong = violations(&body, &[BODY], &["to", "body"]);
        if let Some((_, text)) = wrong.first() {
            return Err(failure(422, "422", text));
        }
        for name in ["to", "from"] {
            if let Some(number) = text(&body, name).filter(|number| !is_e164(number)) {
                let message = format!("{name} must be an E.164 number: {number}");
                return Err(failure(422, "40310", &message));
            }
        }
        let to = text(&body, "to").unwrap_or_default();
        if state.blocked.contains(&to) {
            return Err(failure(400, "40300", "Blocked due to STOP message"));
        }
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        state.sent.push_back(SentText {
            id: id.clone(),
            to,
            from: text(&body, "from"),
            body: text(&body, "body").unwrap_or_default(),
            conversation_id: text(&body, "conversationId"),
            correlation_id: text(&body, "correlationId"),
            location_id: text(&body, "locationId"),
            at: Utc::now(),
        });
        while state.sent.len() > self.keep_last {
            state.sent.pop_front();
        }
        Ok(Answer::json(200, &json!({"messageId": id})))
    }
}

impl Simulator for TextingVendor {
    fn knows(&self, request: &Request) -> bool {
        matches!(request.method.as_str(), "GET" | "POST") && request.path == SEND_PATH
    }

    fn answer(&self, request: &Request) -> Answer {
        if !self.knows(request) {
            return failure(404, "404", "Not Found");
        }
        // There is nothing to be read, and the path says so before it looks at a
        // token: whoever wants to know whether a key is good has to send.
        if request.method == "GET" {
            return failure(405, "405", "Method Not Allowed");
        }
        self.send(request).unwrap_or_else(|refusal| refusal)
    }
}

impl TextingSim {
    pub(super) async fn start(options: &Options, journal: Arc<Journal>) -> io::Result<Self> {
        let vendor = Arc::new(TextingVendor {
            state: Mutex::new(State {
                token: TOKEN.to_owned(),
                blocked: HashSet::new(),
                sent: VecDeque::new(),
            }),
            keep_last: options.keep_last,
        });
        let station = Station::open(Vendor::Texting, vendor.clone(), journal, None).await?;
        Ok(Self { station, vendor })
    }

    /// The accepted bearer token.
    pub fn set_token(&self, token: &str) {
        self.vendor.state().token = token.to_owned();
    }

    /// The carrier blocks this E.164 number after a STOP.
    pub fn opt_out(&self, phone: &str) {
        self.vendor.state().blocked.insert(phone.to_owned());
    }

    /// The number said START.
    pub fn opt_in(&self, phone: &str) {
        self.vendor.state().blocked.remove(phone);
    }

    /// Every accepted text, oldest first.
    pub fn sent(&self) -> Vec<SentText> {
        self.vendor.state().sent.iter().cloned().collect()
    }

    /// Accepted texts to this number.
    pub fn sent_to(&self, phone: &str) -> Vec<SentText> {
        self.vendor
            .state()
            .sent
            .iter()
            .filter(|text| text.to == phone)
            .cloned()
            .collect()
    }
}

fn text(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn failure(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"code": code, "message": message}}))
}
