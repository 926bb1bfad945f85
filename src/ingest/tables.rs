//! One batch into the tables, on behalf of the group commit and of the spool's
//! drain. What PostgreSQL refuses in any form is set aside, so that it holds
//! nobody up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::keys::phone_key;
use super::normalise::Prepared;
use super::pieces;
use crate::domain::{AlowareContactId, EventTable, GhlContactId, Phone, Source};
use crate::store::ingest::{NewEvent, insert, insert_within};
use crate::store::spool::{Record, Spool};
use crate::store::{Db, StoreError, contact_mappings, opt_outs, within};
use crate::wire::texting::UNREADABLE;

/// How long one commit may take; its outcome is unknown then.
const COMMIT: Duration = Duration::from_secs(3);

/// How long a commit is tried while somebody waits for the answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What was said to whoever delivered.
#[derive(Clone, Copy)]
pub(super) enum Promise {
    /// Nothing yet: the answer waits for this, and may be no.
    Open,
    /// That it is stored, long ago: it must be kept, and can be tried again later.
    Given,
}

impl Promise {
    fn patience(self) -> Duration {
        match self {
            Self::Open => PATIENCE,
            Self::Given => Duration::ZERO,
        }
    }
}

/// What became of a batch, by dedupe key; what is in neither was stored before.
#[derive(Default)]
pub(super) struct Outcome {
    /// Stored or set aside just now.
    pub(super) new: HashSet<String>,
    /// Refused and kept nowhere: nobody may hear that it is stored.
    pub(super) lost: HashSet<String>,
}

/// The way into the tables.
#[derive(Clone)]
pub(super) struct Tables {
    pub(super) db: Db,
    pub(super) spool: Spool,
    /// Rung after each commit that stored something.
    pub(super) wake: Arc<Notify>,
}

impl Tables {
    /// Stores events; one that PostgreSQL refuses is stored in another form or
    /// set aside, so that it holds nobody up. Fails only while the database is
    /// away, or when an acknowledged one that it refuses cannot be set aside.
    pub(super) async fn store_all(&self, events: &mut [Prepared], promise: Promise) -> Result<Outcome, StoreError> {
        let mut outcome = Outcome::default();
        match self.store_patiently(events, promise.patience()).await {
            Ok(new) => outcome.new = new,
            Err(error) if !error.is_retryable() => {
                tracing::error!(%error, deliveries = events.len(), "batch refused; storing one by one");
                for event in events {
                    self.store_single(event, promise, &mut outcome).await?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(outcome)
    }

    async fn store_single(
        &self,
        event: &mut Prepared,
        promise: Promise,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let mut plainer = false;
        let refusal = loop {
            match self
                .store_patiently(std::slice::from_mut(event), promise.patience())
                .await
            {
                Err(error) if !error.is_retryable() => {
                    tracing::error!(%error, event.id = %event.row.id, "delivery refused by the database");
                    if plainer {
                        break error;
                    }
                    plainer = true;
                    write_anew(event);
                }
                stored => return stored.map(|new| outcome.new.extend(new)),
            }
        };
        let key = event.row.dedupe_key.clone();
        let acknowledged = matches!(promise, Promise::Given);
        if let Err(error) = self.record_consent(event).await {
            tracing::error!(%error, event.id = %event.row.id, "what a refused delivery says of consent was not recorded");
            if acknowledged {
                return Err(refusal);
            }
            outcome.lost.insert(key);
            return Ok(());
        }
        match self.spool.set_aside(record(event), acknowledged).await {
            Ok(()) => {
                metrics::counter!("deliveries_set_aside_total").increment(1);
                outcome.new.insert(key);
            }
            Err(error) => {
                tracing::error!(%error, event.id = %event.row.id, "a refused delivery could not be set aside");
                if acknowledged {
                    return Err(refusal);
                }
                outcome.lost.insert(key);
            }
        }
        Ok(())
    }

    /// A STOP holds even if its delivery cannot be stored.
    async fn record_consent(&self, event: &Prepared) -> Result<(), StoreError> {
        if event.row.consent.is_empty() {
            return Ok(());
        }
        let mut client = self.db.client().await?;
        for change in &event.row.consent {
            opt_outs::record(&mut client, change).await?;
        }
        Ok(())
    }

    /// Tries until the patience ends; an ambiguous commit is made safe by dedupe.
    async fn store_patiently(
        &self,
        events: &mut [Prepared],
        patience: Duration,
    ) -> Result<HashSet<String>, StoreError> {
        let give_up = Instant::now() + patience;
        loop {
            match within(COMMIT, self.store(events)).await {
                Ok(new) => return Ok(new),
                Err(error) if error.is_retryable() && Instant::now() < give_up => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn store(&self, events: &mut [Prepared]) -> Result<HashSet<String>, StoreError> {
        let mut client = self.db.client().await?;
        join_phone_lanes(&client, events).await?;
        let stored = if events.iter().any(|event| event.is_piece) {
            let transaction = client.transaction().await?;
            pieces::join(&transaction, events).await?;
            let (rows, repeats) = collapse(events);
            let stored = insert_within(&transaction, &rows, &repeats).await?;
            transaction.commit().await?;
            stored
        } else {
            let (rows, repeats) = collapse(events);
            insert(&mut client, &rows, &repeats).await?
        };
        let new: HashSet<String> = stored.into_iter().collect();
        report(events, &new);
        metrics::counter!("events_stored_total").increment(u64::try_from(new.len()).unwrap_or(0));
        if !new.is_empty() {
            self.wake.notify_one();
        }
        Ok(new)
    }
}

/// What somebody must look at.
fn report(events: &[Prepared], new: &HashSet<String>) {
    for row in events
        .iter()
        .map(|event| &event.row)
        .filter(|row| new.contains(&row.dedupe_key))
    {
        if let Some(reason) = row.quarantine {
            metrics::counter!("texts_quarantined_total").increment(1);
            tracing::warn!(event.id = %row.id, reason, "a text was set aside");
        }
        if row.table == EventTable::Texting && row.event_type == UNREADABLE {
            metrics::counter!("texting_unreadable_total").increment(1);
            tracing::warn!(event.id = %row.id, "the texting vendor's request could not be read");
        }
    }
}

/// What the spool keeps of a delivery.
pub(super) fn record(prepared: &Prepared) -> Record {
    let row = &prepared.row;
    let source = Source::parse(row.source).unwrap_or(Source::Ghl);
    Record::new(source, row.received_at, row.payload.clone())
}

/// Writes the body anew: numbers that JSON allows and jsonb does not are rounded.
fn write_anew(event: &mut Prepared) {
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&event.row.payload) {
        event.row.payload = value.to_string();
    }
}

/// One row per dedupe key, and the repeats: their consent counts all the same.
fn collapse(events: &[Prepared]) -> (Vec<&NewEvent>, Vec<&NewEvent>) {
    let mut seen = HashSet::with_capacity(events.len());
    events
        .iter()
        .map(|event| &event.row)
        .partition(|row| seen.insert(row.dedupe_key.as_str()))
}

/// A delivery that names its person by id only joins the lane of that person's
/// phone, when a mapping knows it; what it says of consent then has a number too.
async fn join_phone_lanes(client: &deadpool_postgres::Client, events: &mut [Prepared]) -> Result<(), StoreError> {
    let unknown = |event: &&Prepared| event.person.phone.is_none();
    let ghl: Vec<&str> = events
        .iter()
        .filter(unknown)
        .filter_map(|e| e.person.ghl.as_ref())
        .map(GhlContactId::as_str)
        .collect();
    let aloware: Vec<&str> = events
        .iter()
        .filter(unknown)
        .filter_map(|e| e.person.aloware.as_ref())
        .map(AlowareContactId::as_str)
        .collect();
    if ghl.is_empty() && aloware.is_empty() {
        return Ok(());
    }
    let phones: HashMap<String, String> = contact_mappings::phones_of(client, &ghl, &aloware)
        .await?
        .into_iter()
        .collect();
    for event in events.iter_mut().filter(|event| event.person.phone.is_none()) {
        let ghl = event.person.ghl.as_ref().map(GhlContactId::as_str);
        let id = ghl.or(event.person.aloware.as_ref().map(AlowareContactId::as_str));
        let Some(phone) = id.and_then(|id| phones.get(id)) else {
            continue;
        };
        event.row.order_key = phone_key(phone);
        if let Some(phone) = Phone::from_e164(phone) {
            event.row.consent = event.nameless.iter().map(|said| said.of(&phone)).collect();
        }
    }
    Ok(())
}
