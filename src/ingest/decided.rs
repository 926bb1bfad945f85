//! Decisions of people (and of the clock) about a number: the registry changes and
//! the delivery that tells the other systems, in the caller's transaction.

use chrono::{DateTime, TimeDelta, Utc};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::keys::phone_key;
use crate::domain::{Cause, ConsentChange, Entity, EventTable, Move, Phone, Source};
use crate::store::ingest::{NewEvent, insert_within};
use crate::store::reviews::Waiting;
use crate::store::{StoreError, opt_outs};
use crate::wire::decision::{self, By};

/// Under this source a person's word stands in the registry; it may lift what
/// anybody blocked.
const SOURCE: &str = "manual";

/// What was decided, why and by whom.
#[derive(Clone, Debug)]
pub struct Grounds<'a> {
    /// In short.
    pub reason: &'a str,
    /// What proves it, kept for good.
    pub evidence: Option<&'a str>,
    /// Whose decision it is; `None` is the clock's.
    pub decided_by: Option<&'a str>,
}

impl Grounds<'_> {
    /// The change of one cause.
    pub fn change(&self, phone: &Phone, cause: Cause, action: Move, at: DateTime<Utc>) -> ConsentChange {
        ConsentChange {
            phone: phone.clone(),
            cause,
            action,
            source: SOURCE,
            reason: self.reason.to_owned(),
            evidence: self.evidence.map(str::to_owned),
            occurred_at: at,
            unless_echo: None,
            decided_by: self.decided_by.map(str::to_owned),
        }
    }

    /// The hold is over.
    pub fn release(&self, phone: &Phone, waiting: &[Waiting]) -> ConsentChange {
        let at = after(waiting.iter().map(|text| text.occurred_at).max());
        self.change(phone, Cause::PendingReview, Move::Lift, at)
    }

    /// The hold was a STOP: the consumer's words become its evidence.
    pub fn stop(&self, phone: &Phone, waiting: &[Waiting]) -> [ConsentChange; 2] {
        let release = self.release(phone, waiting);
        let words: Vec<&str> = waiting.iter().filter_map(|text| text.body.as_deref()).collect();
        let stop = ConsentChange {
            evidence: Some(words.join("\n")),
            ..self.change(phone, Cause::ConsumerStop, Move::Block, release.occurred_at)
        };
        [release, stop]
    }
}

/// Now, or just after what is being decided about, should a vendor's clock or
/// another machine's be ahead of ours.
pub fn after(known: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let now = Utc::now();
    known.map_or(now, |known| now.max(known + TimeDelta::microseconds(1)))
}

/// Changes the registry and has the other systems told (`None`: they need not be).
///
/// # Errors
/// Any statement failure; the caller must then not commit.
pub async fn store<C: GenericClient>(
    transaction: &C,
    phone: &Phone,
    told: Option<Move>,
    by: By,
    changes: Vec<ConsentChange>,
) -> Result<(), StoreError> {
    let Some(action) = told else {
        return opt_outs::apply(transaction, &changes.iter().collect::<Vec<_>>()).await;
    };
    let id = Uuid::now_v7();
    let key = format!("decision:{id}");
    let delivery = NewEvent {
        id,
        table: EventTable::Texting,
        source: Source::Texting.as_str(),
        event_type: decision::name(action).to_owned(),
        entity_type: Entity::OptOut.as_str(),
        entity_id: key.clone(),
        order_key: phone_key(phone.as_str()),
        dedupe_key: key,
        earlier: None,
        conversation_id: None,
        from_number: Some(phone.as_str().to_owned()),
        to_number: None,
        payload: decision::body(action, phone, by).to_string(),
        received_at: Utc::now(),
        consent: changes,
        quarantine: None,
    };
    insert_within(transaction, &[&delivery], &[]).await?;
    Ok(())
}
