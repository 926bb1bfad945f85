//! A piece of a text whose other pieces were not there when it was stored. The
//! piece that completes the text carries all of it ([`message`]); this one waits
//! for it, holding its person's lane, and in the end makes do with what is there.

use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::message::{self, Text};
use super::{Desk, Flowed, Ledger, opt_out};
use crate::compliance::{Kind as Word, Verdict, decide};
use crate::domain::{Cause, ConsentChange, Entity, Event, Failure, LogEntry, Move, PhoneHint, RetryClass};
use crate::store::pieces::{self, StoredPiece};
use crate::wire::texting::{Delivery, piece_of};

/// How long the other pieces may take.
const PATIENCE: TimeDelta = TimeDelta::seconds(120);
/// Those of one text come within this time. Shorter than the wait: what came in
/// time is stored when the first one is told.
const TOGETHER: TimeDelta = TimeDelta::seconds(110);
/// How often the others are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Waits for the whole, or logs what there is of it.
pub async fn to_ghl(desk: &Desk, ledger: &mut Ledger<'_>, text: &Text, event: &Event) -> Flowed {
    let at = event.received_at;
    let stored = pieces::around(&desk.db.client().await?, &[&event.entity_id], at, at).await?;
    let joined = |piece: &StoredPiece| Delivery::read(&piece.payload, &PhoneHint::International).joined;
    let own_id = event.id.to_string();
    if let Some(whole) = stored.iter().find(|piece| joined(piece).contains(&own_id)) {
        return Ok(vec![told_with(text, event, whole)]);
    }
    let taken: Vec<String> = stored.iter().flat_map(joined).collect();
    let free = stored.iter().filter(|piece| !taken.contains(&piece.id.to_string()));
    let near = free.filter(|piece| (piece.received_at - at).abs() <= TOGETHER);
    let mut there: Vec<&StoredPiece> = near.collect();
    if let Some(first) = there.first().filter(|first| first.id != event.id) {
        // The lane runs in order: the first one has been told, and this one with it.
        return Ok(vec![told_with(text, event, first)]);
    }
    if Utc::now() - at < PATIENCE || !desk.spool.is_empty() {
        return Err(Failure::Retry {
            class: RetryClass::UnderWay,
            after: Some(LOOK_AGAIN),
            reason: "the rest of the text is still to come".to_owned(),
        });
    }
    there.sort_by_key(|piece| piece_of(&piece.payload).map(|(part, _)| part.number));
    let words = there.iter().filter_map(|piece| piece_of(&piece.payload));
    let text = Text {
        body: words.map(|(_, words)| words).collect::<String>().trim().to_owned(),
        ..text.clone()
    };
    tracing::warn!(event.id = %event.id, pieces = there.len(), "a text came without all of its pieces");
    tell(desk, ledger, &text, event).await
}

/// What is there is read like any text; the registry learns it now.
async fn tell(desk: &Desk, ledger: &mut Ledger<'_>, text: &Text, event: &Event) -> Flowed {
    let verdict = decide(&text.body, None);
    let cause = match verdict.kind {
        Word::Stop => Cause::ConsumerStop,
        Word::Review => Cause::PendingReview,
        Word::Start | Word::Help | Word::None => return message::to_ghl(desk, ledger, text, event).await,
    };
    opt_out::record(desk, &block(text, cause, verdict)).await?;
    if verdict.kind == Word::Stop {
        return opt_out::stop(desk, ledger, text.flow, &text.consumer, event).await;
    }
    message::to_ghl(desk, ledger, text, event).await
}

fn block(text: &Text, cause: Cause, verdict: Verdict) -> ConsentChange {
    let reason = if cause == Cause::ConsumerStop {
        "STOP"
    } else {
        verdict.rule
    };
    ConsentChange {
        phone: text.consumer.clone(),
        cause,
        action: Move::Block,
        source: "texting",
        reason: reason.to_owned(),
        evidence: Some(text.body.clone()),
        occurred_at: text.at,
        unless_echo: None,
        decided_by: None,
    }
}

fn told_with(text: &Text, event: &Event, other: &StoredPiece) -> LogEntry {
    let reason = format!("joined with event {}", other.id);
    LogEntry::skipped(text.flow, Entity::Message, &event.entity_id, reason)
}
