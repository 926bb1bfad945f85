//! The texting vendors' webhooks: twelve dialects in, one shape out. What is stored
//! of an event is the seed's shape (`generic`); for every other vendor it is made
//! here (`Notice`), so that whoever reads a row need not know who sent it.

mod bandwidth;
mod clicksend;
#[cfg(test)]
mod every_dialect_tests;
mod generic;
#[cfg(test)]
mod generic_tests;
mod infobip;
mod messagebird;
mod notice;
mod plivo;
mod simpletexting;
mod sinch;
mod status;
mod telnyx;
#[cfg(test)]
mod tests;
mod textmagic;
mod twilio;
mod vonage;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::{Phone, TextDirection, TextStatus, TextingVendor, VendorSignal};

pub use generic::{event_name, piece_of};
use notice::{DIALECT, Notice, envelope};

/// The event type of a request that is authentic and that its vendor's dialect
/// does not explain.
pub const UNREADABLE: &str = "unreadable";

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A consumer wrote.
    Received,
    /// We wrote.
    Sent,
    /// A sent message moved on.
    Status(TextStatus),
    /// The vendor itself recognised a STOP.
    OptOutStop,
    /// The vendor itself recognised a START.
    OptOutStart,
    /// The vendor's request could not be read.
    Unreadable,
    /// Anything else.
    Other,
}

/// Where a piece belongs in a text that the vendor delivers in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The same for all pieces of one text of one sender, and used again later.
    pub reference: String,
    /// Counted from one.
    pub number: u64,
    /// How many there are.
    pub total: u64,
}

/// One delivery, normalised.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What it is about.
    pub kind: Kind,
    /// The vendor's message id.
    pub message_id: Option<String>,
    /// What makes a redelivery the same one, where the message id is not enough.
    pub key: Option<String>,
    /// The vendor's conversation.
    pub conversation_id: Option<String>,
    /// Sender as written.
    pub from_raw: Option<String>,
    /// Recipient as written.
    pub to_raw: Option<String>,
    /// Sender, when a phone.
    pub from: Option<Phone>,
    /// Recipient, when a phone.
    pub to: Option<Phone>,
    /// Decided by event type, else by the vendor's field.
    pub direction: Option<TextDirection>,
    /// The text; of a piece only the piece, of the last one to come all of them.
    pub body: Option<String>,
    /// Where pictures and the like can be fetched.
    pub media: Vec<String>,
    /// When, by the vendor's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The vendor's error code.
    pub error_code: Option<String>,
    /// What the vendor says of the number's consent.
    pub signal: Option<VendorSignal>,
    /// It is a piece of a text.
    pub part: Option<Part>,
    /// It is the piece that completed its text: the events of all pieces.
    pub joined: Vec<String>,
    /// Its vendor signs nothing, so that its word alone lets nobody in again.
    pub unsigned: bool,
}

impl Delivery {
    /// Whether it is a piece of a text, and no whole one: not to be read by itself.
    pub fn is_piece(&self) -> bool {
        self.part.is_some() && self.joined.is_empty()
    }

    /// Which way it went: by event type or the vendor's field, else by which side
    /// is one of our `own` numbers, else nobody knows.
    pub fn heading(&self, own: &[Phone]) -> Option<TextDirection> {
        let ours = |phone: &Option<Phone>| phone.as_ref().is_some_and(|phone| own.contains(phone));
        self.direction.or(match (ours(&self.from), ours(&self.to)) {
            (false, true) => Some(TextDirection::Inbound),
            (true, false) => Some(TextDirection::Outbound),
            (true, true) | (false, false) => None,
        })
    }

    /// Whether it is a text of which nobody knows who wrote it. It must not be
    /// guessed: the note would go to the wrong person, and a STOP to nobody.
    pub fn is_undecided(&self, own: &[Phone]) -> bool {
        let ours = |phone: &Option<Phone>| phone.as_ref().is_some_and(|phone| own.contains(phone));
        let text = self.body.is_some() || !self.media.is_empty();
        let named = self.from_raw.is_some() || self.to_raw.is_some();
        let between_our_own = ours(&self.from) && ours(&self.to);
        text && named && !between_our_own && self.heading(own).is_none()
    }

    /// The consumer: the sender of an inbound text, the recipient of an
    /// outbound one, else whichever side is not ours. Never one of `own`.
    pub fn consumer(&self, own: &[Phone]) -> Option<&Phone> {
        let not_ours = |phone: &&Phone| !own.contains(phone);
        let (first, second) = match (self.kind, self.direction) {
            // Vendors report these about the number: some name it as the recipient,
            // and those that say so are believed where our own numbers are not known.
            (Kind::OptOutStop | Kind::OptOutStart, Some(TextDirection::Outbound)) => {
                (self.to.as_ref(), self.from.as_ref())
            }
            (Kind::OptOutStop | Kind::OptOutStart, _) => (self.from.as_ref(), self.to.as_ref()),
            (_, Some(TextDirection::Outbound)) => (self.to.as_ref(), None),
            (_, Some(TextDirection::Inbound)) => (self.from.as_ref(), None),
            (_, None) => match self.heading(own) {
                Some(TextDirection::Inbound) => (self.from.as_ref(), None),
                Some(TextDirection::Outbound) => (self.to.as_ref(), None),
                None => (None, None),
            },
        };
        first.filter(not_ours).or_else(|| second.filter(not_ours))
    }
}

/// What one authentic request of the texting vendor holds.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// The vendor's test, or a batch of nothing.
    Nothing,
    /// One event that is in the stored shape already.
    AsSent(Value),
    /// Its events, each in the stored shape.
    Events(Vec<Value>),
}

/// Reads a request by its vendor's rules. Where a vendor addresses several at
/// once, `own` tells which of them is us.
pub fn request(vendor: TextingVendor, payload: Value, own: &[Phone]) -> Request {
    if payload.get(DIALECT).is_some_and(Value::is_string) {
        return Request::AsSent(payload);
    }
    if vendor == TextingVendor::Generic {
        return if payload.is_object() {
            Request::AsSent(payload)
        } else {
            Request::Nothing
        };
    }
    // What waited in the spool from before the vendor was changed, and what we tell
    // ourselves of an operator's decision. No other dialect looks like it.
    if generic::is_understood(&payload) {
        return Request::AsSent(payload);
    }
    let empty = match &payload {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if empty {
        return Request::Nothing;
    }
    match notices(vendor, &payload, own) {
        Some(notices) if notices.is_empty() => Request::Nothing,
        Some(notices) => Request::Events(notices.iter().map(|notice| envelope(vendor, notice)).collect()),
        None => Request::Events(vec![envelope(vendor, &Notice::unreadable(&payload))]),
    }
}

/// The events of a request; `None` when the dialect cannot read it.
fn notices<'p>(vendor: TextingVendor, payload: &'p Value, own: &[Phone]) -> Option<Vec<Notice<'p>>> {
    match vendor {
        TextingVendor::Generic => None,
        TextingVendor::Telnyx => telnyx::read(payload, own),
        TextingVendor::Twilio => twilio::read(payload),
        TextingVendor::Bandwidth => bandwidth::read(payload),
        TextingVendor::Plivo => plivo::read(payload),
        TextingVendor::Sinch => sinch::read(payload),
        TextingVendor::Vonage => vonage::read(payload),
        TextingVendor::MessageBird => messagebird::read(payload),
        TextingVendor::Infobip => infobip::read(payload),
        TextingVendor::SimpleTexting => simpletexting::read(payload),
        TextingVendor::Textmagic => textmagic::read(payload),
        TextingVendor::ClickSend => clicksend::read(payload, own),
    }
}
