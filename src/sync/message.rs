//! Texts → the person's GHL contact: into the conversation where a provider is
//! configured, else as a note.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::delivery;
use super::person::{Someone, find_or_create};
use super::provider::ghl_message;
use super::{Desk, Flowed, Ledger, aloware_failed, ghl_failed, notes};
use crate::domain::{Entity, Event, Failure, Flow, GhlContactId, LogEntry, Phone, TextDirection};
use crate::store::contact_mappings::{self, Keys};
use crate::store::effects::Prior;
use crate::store::message_mappings::{self, Message};
use crate::store::outbound_messages;
use crate::vendors::ghl::MessageRecord;

/// One text, whichever system carried it.
#[derive(Clone, Debug)]
pub struct Text {
    /// Names the carrier in keys and markers: `texting` or `aloware`.
    pub carrier: &'static str,
    /// Which flow its rows belong to.
    pub flow: Flow,
    /// The carrier's id of the text.
    pub id: String,
    /// The consumer.
    pub consumer: Phone,
    /// Sender as shown.
    pub from: Option<String>,
    /// Recipient as shown.
    pub to: Option<String>,
    /// Which way it went.
    pub direction: TextDirection,
    /// The words.
    pub body: String,
    /// When it was sent or received.
    pub at: DateTime<Utc>,
    /// The carrier's conversation.
    pub conversation_id: Option<String>,
}

/// Logs the text on the person's contact and maps it.
pub async fn to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, text: &Text, event: &Event) -> Flowed {
    let someone = Someone::with_phone(&text.consumer);
    let Some(contact) = find_or_create(desk, ledger, &someone, "bidirectional").await? else {
        let entry = LogEntry::skipped(text.flow, Entity::Message, &event.entity_id, "own_number");
        return Ok(vec![entry]);
    };
    let texting = (text.carrier == "texting").then_some(text.id.as_str());
    let (ghl_id, shown_already) = match agent_message(desk, text).await? {
        Some(id) => (id, true),
        None => (write(desk, ledger, &contact, text).await?, false),
    };
    if texting.is_some() {
        let message = Message {
            texting_id: texting,
            ghl_id: Some(&ghl_id),
            conversation_id: text.conversation_id.as_deref(),
            ghl_contact_id: Some(contact.as_str()),
            aloware_contact_id: None,
            from: text.from.as_deref(),
            to: text.to.as_deref(),
            direction: Some(text.direction.as_str()),
        };
        message_mappings::upsert(&desk.db.client().await?, &message).await?;
        if text.direction == TextDirection::Outbound {
            // The vendor's report may have come first.
            delivery::tell_ghl(desk, ledger, &text.id).await?;
        }
    }
    if shown_already {
        let entry = LogEntry::skipped(
            text.flow,
            Entity::Message,
            &event.entity_id,
            "own_echo: an agent wrote it in GHL",
        );
        return Ok(vec![entry.with_target(contact.as_str())]);
    }
    let mut log = vec![LogEntry::success(
        text.flow,
        Entity::Message,
        &event.entity_id,
        contact.as_str(),
    )];
    if texting.is_some() && desk.rules.texting_to_aloware {
        log.push(to_aloware(desk, &contact, text, event).await?);
    }
    Ok(log)
}

/// The GHL message that this text is, when an agent typed it there and we sent
/// it: the vendor's report of it must not show it a second time.
async fn agent_message(desk: &Desk, text: &Text) -> Result<Option<String>, Failure> {
    if text.carrier != "texting" || text.direction != TextDirection::Outbound {
        return Ok(None);
    }
    let reference = outbound_messages::reference_of(&desk.db.client().await?, &text.id).await?;
    Ok(reference.and_then(|reference| ghl_message(&reference).map(str::to_owned)))
}

/// Into the conversation, else as a note; answers GHL's id of it.
async fn write(desk: &Desk, ledger: &mut Ledger<'_>, contact: &GhlContactId, text: &Text) -> Result<String, Failure> {
    let step = format!("{}:message:{}", text.carrier, text.id);
    if !desk.vendors.ghl.has_conversations() {
        let marker = notes::marker("sms", &text.id);
        let note = notes::Note {
            step: &step,
            marker: &marker,
            body: &note_text(text, desk.rules.zone, &marker),
        };
        return notes::put(desk, ledger, contact, note).await;
    }
    let (prior, intent) = ledger.announce(&step, &[]).await?;
    let known = match prior {
        Prior::Fresh => None,
        Prior::Done { vendor_id, .. } => vendor_id,
        Prior::Unconfirmed { .. } => {
            let found = desk
                .vendors
                .ghl
                .find_message(contact, text.direction, &text.body, text.at)
                .await;
            found.map_err(ghl_failed)?
        }
    };
    if let Some(id) = known {
        ledger.confirm(&intent, Some(id.clone()), None);
        return Ok(id);
    }
    let record = MessageRecord {
        contact: contact.clone(),
        direction: text.direction,
        body: text.body.clone(),
        date: text.at,
        alt_id: Some(text.id.clone()),
        attachments: Vec::new(),
    };
    let id = desk
        .vendors
        .ghl
        .record_message(&intent, &record)
        .await
        .map_err(ghl_failed)?;
    ledger.confirm(&intent, Some(id.clone()), None);
    Ok(id)
}

fn note_text(text: &Text, zone: Tz, marker: &str) -> String {
    let direction = match text.direction {
        TextDirection::Inbound => "Inbound",
        TextDirection::Outbound => "Outbound",
    };
    let shown = |number: &Option<String>| number.clone().unwrap_or_else(|| "unknown".to_owned());
    format!(
        "[SMS][{direction}] {}\nFrom: {}\nTo: {}\n\n{}\n\n{marker}",
        notes::stamp(text.at, zone),
        shown(&text.from),
        shown(&text.to),
        text.body
    )
}

/// Aloware has no call that logs a text; the mapping is kept for the day it has.
async fn to_aloware(desk: &Desk, contact: &GhlContactId, text: &Text, event: &Event) -> Result<LogEntry, Failure> {
    let client = desk.db.client().await?;
    let keys = Keys {
        ghl: Some(contact),
        ..Keys::default()
    };
    let mapped = contact_mappings::find(&client, keys)
        .await?
        .and_then(|mapping| mapping.aloware);
    drop(client);
    let found = match mapped {
        Some(id) => Some(id),
        None => desk
            .vendors
            .aloware
            .lookup(&text.consumer)
            .await
            .map_err(aloware_failed)?
            .and_then(|c| c.id),
    };
    let Some(id) = found else {
        let entry = LogEntry::skipped(
            Flow::TextingToAloware,
            Entity::Message,
            &event.entity_id,
            "no-aloware-contact",
        );
        return Ok(entry);
    };
    let client = desk.db.client().await?;
    let keys = Keys {
        aloware: Some(&id),
        phone: Some(&text.consumer),
        ..Keys::default()
    };
    contact_mappings::upsert(&client, contact, keys, "bidirectional").await?;
    let message = Message {
        texting_id: Some(&text.id),
        aloware_contact_id: Some(id.as_str()),
        ..Message::default()
    };
    message_mappings::upsert(&client, &message).await?;
    let entry = LogEntry::skipped(
        Flow::TextingToAloware,
        Entity::Message,
        &event.entity_id,
        "not-supported",
    );
    Ok(entry.with_target(id.as_str()))
}
