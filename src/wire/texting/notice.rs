//! One event as a vendor's dialect told it, and the shape in which it is stored.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{Part, UNREADABLE, status};
use crate::domain::{Phone, PhoneHint, TextDirection, TextStatus, TextingVendor, VendorSignal};
use crate::wire::json as read;

/// The key that marks a stored event as made here.
pub(super) const DIALECT: &str = "dialect";

/// Deeper than this a request is kept as text: one more level around it could
/// make it unreadable for us.
const DEEPEST: usize = 100;

/// One event of a vendor's request.
#[derive(Debug, Default)]
pub(super) struct Notice<'p> {
    /// The event type, in the seed's words where it has one.
    pub(super) name: String,
    /// What makes a redelivery the same, where the message id alone does not.
    pub(super) key: Option<String>,
    pub(super) id: Option<String>,
    pub(super) conversation: Option<String>,
    pub(super) from: Option<Party>,
    pub(super) to: Option<Party>,
    pub(super) direction: Option<TextDirection>,
    pub(super) body: Option<String>,
    pub(super) media: Vec<String>,
    pub(super) at: Option<DateTime<Utc>>,
    pub(super) error: Option<String>,
    pub(super) signal: Option<VendorSignal>,
    pub(super) part: Option<Part>,
    /// The piece of the request that tells it.
    pub(super) raw: Option<&'p Value>,
}

impl<'p> Notice<'p> {
    /// A text that a consumer wrote.
    pub(super) fn received(raw: &'p Value) -> Self {
        Self {
            direction: Some(TextDirection::Inbound),
            ..Self::other("message.received", raw)
        }
    }

    /// A text of ours that moved on.
    pub(super) fn moved_on(status: TextStatus, raw: &'p Value) -> Self {
        Self {
            direction: Some(TextDirection::Outbound),
            ..Self::other(&status::event_type(status), raw)
        }
    }

    /// A text of ours of which the vendor has this word; one that no status is known
    /// for becomes the event's name.
    pub(super) fn in_state(word: &str, raw: &'p Value) -> Self {
        match status::status(word) {
            Some(status) => Self::moved_on(status, raw),
            None => Self {
                direction: Some(TextDirection::Outbound),
                ..Self::other(&format!("message.{}", word.to_ascii_lowercase()), raw)
            },
        }
    }

    /// An event that the vendor names.
    pub(super) fn other(name: &str, raw: &'p Value) -> Self {
        Self {
            name: name.to_owned(),
            raw: Some(raw),
            ..Self::default()
        }
    }

    /// A request that the dialect does not explain, kept for a person.
    pub(super) fn unreadable(raw: &'p Value) -> Self {
        Self::other(UNREADABLE, raw)
    }
}

/// A number as a vendor wrote it.
#[derive(Debug)]
pub(super) struct Party {
    raw: String,
    phone: Option<Phone>,
}

impl Party {
    /// Reads a number of a vendor that writes full international digits, with or
    /// without `+`: never as a national number.
    pub(super) fn international(raw: Option<String>) -> Option<Self> {
        Self::read(raw, &PhoneHint::International)
    }

    /// Reads a number as this region writes it.
    pub(super) fn national(raw: Option<String>, region: &str) -> Option<Self> {
        Self::read(raw, &PhoneHint::region(region))
    }

    fn read(raw: Option<String>, hint: &PhoneHint) -> Option<Self> {
        let raw = raw?;
        // Twilio writes the channel first.
        let number = raw.rsplit_once(':').map_or(raw.as_str(), |(_, number)| number);
        let phone = Phone::parse(number, hint);
        Some(Self { raw, phone })
    }

    pub(super) fn is_one_of(&self, phones: &[Phone]) -> bool {
        self.phone.as_ref().is_some_and(|phone| phones.contains(phone))
    }

    /// The number where it is one, else what was written.
    pub(super) fn shown(&self) -> &str {
        self.phone.as_ref().map_or(&self.raw, Phone::as_str)
    }
}

/// The fields of a flat request by their names in small letters; of a repeated
/// field the first. Vendors do not agree with themselves on the case of names.
pub(super) fn flat(payload: &Value) -> Option<Value> {
    let fields = payload.as_object()?.iter().map(|(name, value)| {
        let repeated = value.as_array().filter(|all| all.iter().all(Value::is_string));
        let first = repeated.and_then(|all| all.first());
        (name.to_ascii_lowercase(), first.unwrap_or(value).clone())
    });
    Some(Value::Object(fields.collect::<Map<String, Value>>()))
}

/// The texts of an array, or of one field of each of its objects.
pub(super) fn texts(list: Option<&[Value]>, field: &str) -> Vec<String> {
    let items = list.unwrap_or_default().iter();
    items
        .filter_map(|item| read::scalar(item).or_else(|| read::text(item, &[field])))
        .collect()
}

/// The numbered fields `name0`, `name1`, … of a flat request.
pub(super) fn numbered(fields: &Value, name: &str) -> Vec<String> {
    let most = 32;
    (0..most)
        .filter_map(|at| read::text(fields, &[&format!("{name}{at}")]))
        .collect()
}

/// A time of one of the keys; also the `YYYYMMDDhhmmss` of short codes.
pub(super) fn time(fields: &Value, keys: &[&str]) -> Option<DateTime<Utc>> {
    keys.iter().find_map(|key| {
        let raw = read::text(fields, &[key])?;
        let compact = || NaiveDateTime::parse_from_str(&raw, "%Y%m%d%H%M%S").map(|naive| naive.and_utc());
        if raw.len() == 14 && raw.bytes().all(|byte| byte.is_ascii_digit()) {
            return compact().ok();
        }
        read::parse_time(&raw)
    })
}

/// The stored shape: the seed's, and beside it what the vendor sent.
pub(super) fn envelope(vendor: TextingVendor, notice: &Notice<'_>) -> Value {
    let mut message = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            message.insert(key.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let party = |party: &Option<Party>| party.as_ref().map(|party| json!(party.shown()));
    put("id", text(&notice.id));
    put("conversationId", text(&notice.conversation));
    put("from", party(&notice.from));
    put("to", party(&notice.to));
    put("direction", notice.direction.map(|direction| json!(direction.as_str())));
    put("body", text(&notice.body));
    put("media", (!notice.media.is_empty()).then(|| json!(notice.media)));
    let at = notice.at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    put("timestamp", at.map(Value::String));
    put("errorCode", text(&notice.error));
    put("signal", notice.signal.map(|signal| json!(signal.as_str())));
    let part = notice.part.as_ref();
    put(
        "part",
        part.map(|part| json!({"ref": part.reference, "number": part.number, "total": part.total})),
    );
    let mut stored = Map::new();
    stored.insert(DIALECT.to_owned(), json!(vendor.as_str()));
    stored.insert("type".to_owned(), json!(notice.name));
    if let Some(key) = &notice.key {
        stored.insert("key".to_owned(), json!(key));
    }
    if !message.is_empty() {
        stored.insert("message".to_owned(), Value::Object(message));
    }
    let raw = notice.raw.map(|raw| match depth(raw) {
        0..DEEPEST => raw.clone(),
        _ => Value::String(read::canonical(raw)),
    });
    stored.insert("raw".to_owned(), raw.unwrap_or_default());
    Value::Object(stored)
}

fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
