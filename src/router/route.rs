//! Which flow an event takes. Pure: an event and the rules in, a route out.

use crate::compliance::{Kind as Word, decide};
use crate::domain::{Entity, Event, Flow, GhlContactId, LogEntry, Move, Phone, Source, TextDirection, VendorSignal};
use crate::sync::Rules;
use crate::sync::delivery::Progress;
use crate::sync::message::Text;
use crate::sync::provider::AgentText;
use crate::sync::stop_reply::StopReply;
use crate::wire::{aloware, decision, ghl, json, texting};

/// The flow of an event.
#[derive(Clone, Debug)]
pub enum Step {
    /// A call, or what was saved about it: recording, voicemail, transcript, summary.
    Call,
    /// Aloware's do-not-call flag.
    Dnc,
    /// A contact's own disposition in Aloware.
    Disposed,
    /// A communication that is neither a call nor a text.
    Communication,
    /// An Aloware contact changed.
    AlowareContact,
    /// A GHL contact changed.
    GhlContact(GhlContactId),
    /// A GHL contact was deleted.
    GhlDeleted(GhlContactId),
    /// A GHL contact's tags changed.
    GhlTags(GhlContactId),
    /// A text to be logged.
    Message(Text),
    /// A piece of a text whose other pieces were not there yet.
    Piece(Text),
    /// A text an agent typed in GHL, to be sent.
    AgentText(AgentText),
    /// A sent text moved on.
    MessageStatus(Progress),
    /// A STOP to be confirmed to whoever texted it.
    StopReply(StopReply),
    /// A STOP to be carried to the other systems.
    Stop(Flow, Phone),
    /// A STOP in a GHL delivery that names the person by contact id only.
    StopByContact(GhlContactId),
    /// A text in such a delivery that a person must read, and the rule that says so.
    ReviewByContact(GhlContactId, &'static str, String),
    /// A do-not-disturb change in a GHL delivery that names the person by contact id only.
    DndByContact(GhlContactId),
    /// A START to be carried to the other systems.
    Start(Flow, Phone),
    /// Nothing to do, and why.
    Skip(LogEntry),
    /// A kind of event without a flow: skipped, and counted.
    Unhandled(LogEntry),
    /// Nothing can be done, and why: the event ends in error.
    Refuse(&'static str),
}

/// The steps of an event, in order.
pub type Route = Vec<Step>;

/// Chooses the flow of an event.
pub fn route(event: &Event, rules: &Rules) -> Route {
    match Source::parse(&event.source) {
        Some(Source::Aloware) => of_aloware(event, rules),
        Some(Source::Ghl) => of_ghl(event, rules),
        Some(Source::Texting) => match decision::read(&event.payload) {
            Some((Move::Block, phone)) => vec![Step::Stop(Flow::TextingToGhl, phone)],
            Some((Move::Lift, phone)) => vec![Step::Start(Flow::TextingToGhl, phone)],
            None => of_texting(event, rules),
        },
        None => {
            let mut entry = skip(Flow::Unknown, event, format!("Unknown source: {}", event.source));
            entry.status = crate::domain::SyncStatus::Error;
            vec![Step::Skip(entry)]
        }
    }
}

fn skip(flow: Flow, event: &Event, reason: impl Into<String>) -> LogEntry {
    let entity = Entity::parse(&event.entity_type).unwrap_or(Entity::Unknown);
    LogEntry::skipped(flow, entity, &event.entity_id, reason)
}

fn of_aloware(event: &Event, rules: &Rules) -> Route {
    let delivery = aloware::Delivery::read(&event.event_type, &event.payload);
    let skipped = |reason: String| vec![Step::Skip(skip(Flow::AlowareToGhl, event, reason))];
    match delivery.kind {
        aloware::Kind::CallStarted
        | aloware::Kind::CallEnded
        | aloware::Kind::Recording
        | aloware::Kind::Voicemail
        | aloware::Kind::Transcription
        | aloware::Kind::CallSummary => vec![Step::Call],
        aloware::Kind::ContactDnc => vec![Step::Dnc],
        aloware::Kind::ContactDisposed => vec![Step::Disposed],
        aloware::Kind::ContactChanged => vec![Step::AlowareContact],
        aloware::Kind::Text => aloware_text(event, &delivery, rules),
        aloware::Kind::Communication { .. } if rules.communications => vec![Step::Communication],
        aloware::Kind::Communication { .. } => skipped("communication_events_are_not_logged".to_owned()),
        aloware::Kind::Appointment => skipped("appointments_sot_is_ghl".to_owned()),
        aloware::Kind::Unknown => {
            let reason = format!("Unhandled event type: {}", event.event_type);
            vec![Step::Unhandled(skip(Flow::AlowareToGhl, event, reason))]
        }
    }
}

fn aloware_text(event: &Event, delivery: &aloware::Delivery<'_>, rules: &Rules) -> Route {
    let contact = delivery.contact(&rules.hint);
    let (Some(consumer), Some(direction)) = (contact.phone, delivery.direction()) else {
        return vec![Step::Skip(skip(
            Flow::AlowareToGhl,
            event,
            "No phone number in payload",
        ))];
    };
    let body = delivery.message_text().unwrap_or_default();
    if direction == TextDirection::Inbound
        && let Some(step) = consent_step(Flow::AlowareToGhl, &consumer, &body, None)
    {
        return vec![step];
    }
    if direction == TextDirection::Outbound && delivery.has_failed() {
        // The gateway's 202 came earlier; that nobody got the text is told here only.
        return vec![Step::Skip(skip(Flow::AlowareToGhl, event, "text_not_sent"))];
    }
    let ours = delivery.our_number(&rules.hint).map(|phone| phone.as_str().to_owned());
    let theirs = Some(consumer.as_str().to_owned());
    let (from, to) = match direction {
        TextDirection::Inbound => (theirs, ours),
        TextDirection::Outbound => (ours, theirs),
    };
    vec![Step::Message(Text {
        carrier: "aloware",
        flow: Flow::AlowareToGhl,
        id: delivery.communication_id().unwrap_or_else(|| event.id.to_string()),
        consumer,
        from,
        to,
        direction,
        body,
        at: delivery.created_at().unwrap_or(event.received_at),
        conversation_id: None,
    })]
}

/// STOP and START go their own way: the words are evidence, not conversation.
fn consent_step(flow: Flow, consumer: &Phone, body: &str, signal: Option<VendorSignal>) -> Option<Step> {
    match decide(body, signal).kind {
        Word::Stop => Some(Step::Stop(flow, consumer.clone())),
        Word::Start => Some(Step::Start(flow, consumer.clone())),
        Word::Help | Word::Review | Word::None => None,
    }
}

fn of_ghl(event: &Event, rules: &Rules) -> Route {
    let delivery = ghl::Delivery::read(&event.event_type, &event.payload);
    let skipped = |reason: String| vec![Step::Skip(skip(Flow::GhlToAloware, event, reason))];
    let unhandled = || {
        let reason = format!("Unhandled GHL event type: {}", event.event_type);
        vec![Step::Unhandled(skip(Flow::GhlToAloware, event, reason))]
    };
    if delivery.is_foreign(&rules.location) {
        return skipped("another location's event".to_owned());
    }
    // A workflow's "customer replied" trigger carries the text in a contact's body.
    if delivery.direction() == Some(TextDirection::Inbound)
        && let (Some(body), Some(consumer)) = (delivery.message_text(), delivery.consumer(&rules.hint))
        && let Some(step) = consent_step(Flow::GhlToAloware, &consumer, &body, None)
    {
        return vec![step];
    }
    let Some(id) = delivery.contact_id() else {
        return unhandled();
    };
    if delivery.direction() == Some(TextDirection::Inbound)
        && delivery.consumer(&rules.hint).is_none()
        && let Some(body) = delivery.message_text()
    {
        let verdict = decide(&body, None);
        match verdict.kind {
            Word::Stop => return vec![Step::StopByContact(id)],
            Word::Review => return vec![Step::ReviewByContact(id, verdict.rule, body)],
            Word::Start | Word::Help | Word::None => {}
        }
    }
    match delivery.kind {
        ghl::Kind::ContactCreated | ghl::Kind::ContactUpdated if delivery.is_workflow() => {
            vec![Step::GhlContact(id.clone()), Step::GhlTags(id)]
        }
        ghl::Kind::ContactCreated | ghl::Kind::ContactUpdated => vec![Step::GhlContact(id)],
        ghl::Kind::ContactDeleted => vec![Step::GhlDeleted(id)],
        ghl::Kind::TagsChanged | ghl::Kind::TagRemoved => vec![Step::GhlTags(id)],
        ghl::Kind::DndChanged if shows_dnd(&delivery, rules) => {
            skipped("do-not-disturb recorded in the registry".to_owned())
        }
        ghl::Kind::DndChanged => vec![Step::DndByContact(id)],
        ghl::Kind::ProviderOutbound => agent_text(event, &delivery, rules),
        ghl::Kind::InboundMessage | ghl::Kind::OutboundMessage | ghl::Kind::Appointment | ghl::Kind::Other => {
            unhandled()
        }
    }
}

/// Whether the registry could take the change from the delivery alone.
fn shows_dnd(delivery: &ghl::Delivery<'_>, rules: &Rules) -> bool {
    let contact = delivery.contact(&rules.hint);
    contact.phone.is_some() && contact.dnd.is_some()
}

fn agent_text(event: &Event, delivery: &ghl::Delivery<'_>, rules: &Rules) -> Route {
    // `Custom` is how live deliveries of an extra SMS provider call it (I#55).
    let is_text = |channel: &String| ["sms", "custom"].contains(&channel.to_lowercase().as_str());
    if let Some(other) = json::text(&event.payload, &["channel"]).filter(|channel| !is_text(channel)) {
        let reason = format!("Only texts are sent: the channel is {other}");
        return vec![Step::Skip(skip(Flow::GhlToAloware, event, reason))];
    }
    let (message_id, to) = (delivery.message_id(), delivery.consumer(&rules.hint));
    let attachments = json::array(&event.payload, &["attachments"]).is_some_and(|list| !list.is_empty());
    // An agent can send a picture without a word.
    let body = json::text(&event.payload, &["message", "body"]).or_else(|| attachments.then(String::new));
    match (message_id, to, body) {
        (Some(message_id), Some(to), Some(body)) => vec![Step::AgentText(AgentText {
            message_id,
            to,
            body,
            attachments,
        })],
        _ => vec![Step::Refuse("a provider delivery needs messageId, phone and message")],
    }
}

fn of_texting(event: &Event, rules: &Rules) -> Route {
    let delivery = texting::Delivery::read(&event.payload, &rules.hint);
    let skipped = |reason: String| vec![Step::Skip(skip(Flow::TextingToGhl, event, reason))];
    let unhandled = || {
        let reason = format!("Unhandled texting event type: {}", event.event_type);
        vec![Step::Unhandled(skip(Flow::TextingToGhl, event, reason))]
    };
    let consumer = delivery.consumer(&rules.own).cloned();
    match delivery.kind {
        texting::Kind::OptOutStop | texting::Kind::OptOutStart => {
            let body = delivery.body.as_deref().unwrap_or_default();
            match consumer {
                None => skipped("No phone number in payload".to_owned()),
                Some(phone) => match consent_step(Flow::TextingToGhl, &phone, body, delivery.signal) {
                    Some(step) => vec![step],
                    None => skipped("vendor reports START without the word; the block stays".to_owned()),
                },
            }
        }
        texting::Kind::Received | texting::Kind::Sent => texting_message(event, delivery, consumer, rules),
        texting::Kind::Status(status) => vec![Step::MessageStatus(Progress {
            id: delivery.message_id,
            status,
            error: delivery.error_code,
            opted_out: delivery.signal == Some(VendorSignal::Stop),
        })],
        texting::Kind::Unreadable => vec![Step::Refuse("the vendor's request is none that its dialect explains")],
        texting::Kind::Other if delivery.heading(&rules.own) == Some(TextDirection::Inbound) => {
            let body = delivery.body.as_deref().unwrap_or_default();
            consumer
                .and_then(|phone| consent_step(Flow::TextingToGhl, &phone, body, None))
                .map_or_else(unhandled, |step| vec![step])
        }
        texting::Kind::Other => unhandled(),
    }
}

fn texting_message(event: &Event, mut delivery: texting::Delivery, consumer: Option<Phone>, rules: &Rules) -> Route {
    let direction = delivery.direction.unwrap_or(TextDirection::Outbound);
    let Some(consumer) = consumer else {
        let side = if direction == TextDirection::Inbound {
            &delivery.from
        } else {
            &delivery.to
        };
        return vec![match side {
            Some(_) => Step::Skip(skip(Flow::TextingToGhl, event, "own_number")),
            None => Step::Refuse("No phone number in payload"),
        }];
    };
    let is_piece = delivery.is_piece();
    let mut body = delivery.body.take().unwrap_or_default();
    if direction == TextDirection::Inbound
        && !is_piece
        && let Some(step) = consent_step(Flow::TextingToGhl, &consumer, &body, delivery.signal)
    {
        let reply = matches!(step, Step::Stop(..)).then(|| stop_reply(event, &delivery, &consumer, rules));
        return reply.flatten().into_iter().chain([step]).collect();
    }
    if body.is_empty() && !delivery.media.is_empty() {
        body = format!("[attachments: {}]", delivery.media.len());
    }
    let number = |phone: Option<Phone>, raw: Option<String>| phone.map(|p| p.as_str().to_owned()).or(raw);
    let text = Text {
        carrier: "texting",
        flow: Flow::TextingToGhl,
        id: delivery.message_id.unwrap_or_else(|| event.id.to_string()),
        consumer,
        from: number(delivery.from, delivery.from_raw),
        to: number(delivery.to, delivery.to_raw),
        direction,
        body,
        at: delivery.occurred_at.unwrap_or(event.received_at),
        conversation_id: delivery.conversation_id,
    };
    vec![if is_piece {
        Step::Piece(text)
    } else {
        Step::Message(text)
    }]
}

/// Only a text to one of our phone numbers can be answered from it.
fn stop_reply(event: &Event, delivery: &texting::Delivery, consumer: &Phone, rules: &Rules) -> Option<Step> {
    Some(Step::StopReply(StopReply {
        to: consumer.clone(),
        from: delivery.to.clone()?,
        conversation_id: delivery.conversation_id.clone(),
        stopped_at: delivery
            .occurred_at
            .map_or(event.received_at, |at| at.min(event.received_at)),
        body: rules.stop_reply.clone()?,
    }))
}
