//! The effect ledger as one run sees it: announce before, confirm after.

use std::time::Duration;

use uuid::Uuid;

use super::Desk;
use crate::domain::{Failure, RetryClass};
use crate::loops::Intent;
use crate::store::announcer::{Announcement, Announcer};
use crate::store::effects::{self, Confirmed, Echo, Fence, Prior};
use crate::store::{Db, StoreError};

/// One run's hand on the ledger. Confirmations ride along with the next
/// statement; one that is lost in a crash is looked up at the vendor.
#[derive(Debug)]
pub struct Ledger<'a> {
    db: &'a Db,
    announcer: &'a Announcer,
    /// The claim under which the run may write; `None` outside any lane.
    fence: Option<Fence>,
    event_id: Option<Uuid>,
    /// For how long a call of the run before may be under way, if that run was
    /// cut off.
    wake_of: Option<Duration>,
    confirmed: Vec<Confirmed>,
}

impl<'a> Ledger<'a> {
    /// The ledger of an event's run.
    /// `resumed`: the run before did not report back.
    pub fn of_event(desk: &'a Desk, fence: Fence, event_id: Uuid, resumed: bool) -> Self {
        Self {
            db: &desk.db,
            announcer: &desk.announcer,
            fence: Some(fence),
            event_id: Some(event_id),
            wake_of: resumed.then_some(desk.rules.longest_call),
            confirmed: Vec::new(),
        }
    }

    /// The ledger of work that a person asked for.
    pub fn of_person(desk: &'a Desk) -> Self {
        Self {
            db: &desk.db,
            announcer: &desk.announcer,
            fence: None,
            event_id: None,
            wake_of: None,
            confirmed: Vec::new(),
        }
    }

    /// Stores that a write is about to be made, with its echoes, and answers
    /// what was known of the step.
    ///
    /// # Errors
    /// When the lane is no longer ours or the database is away: the write must
    /// not be made.
    pub async fn announce(&mut self, step: &str, echoes: &[Echo]) -> Result<(Prior, Intent), Failure> {
        let confirmed = self.confirmed.clone();
        let announced = self.announce_with(step, echoes, confirmed).await?;
        self.confirmed.clear();
        Ok(announced)
    }

    /// Announces two writes that follow each other, in one commit.
    ///
    /// # Errors
    /// As [`Self::announce`]; neither may be made then.
    pub async fn announce_both(
        &mut self,
        first: (&str, &[Echo]),
        second: (&str, &[Echo]),
    ) -> Result<[(Prior, Intent); 2], Failure> {
        let confirmed = self.confirmed.clone();
        let (first, second) = tokio::try_join!(
            self.announce_with(first.0, first.1, confirmed),
            self.announce_with(second.0, second.1, Vec::new()),
        )?;
        self.confirmed.clear();
        Ok([first, second])
    }

    async fn announce_with(
        &self,
        step: &str,
        echoes: &[Echo],
        confirmed: Vec<Confirmed>,
    ) -> Result<(Prior, Intent), Failure> {
        let announcement = Announcement {
            step: step.to_owned(),
            fence: self.fence,
            event_id: self.event_id,
            echoes: echoes.to_vec(),
            confirmed,
        };
        let prior = self.announcer.announce(announcement).await?;
        // Killed daemons are followed at once, and their last call may be slower:
        // looked up now, it would be missed and made again.
        if let (Prior::Unconfirmed { ago }, Some(wake_of)) = (&prior, self.wake_of)
            && *ago < wake_of
        {
            return Err(Failure::Retry {
                class: RetryClass::RateLimited,
                after: Some(wake_of - *ago),
                reason: "a call of a run that was cut off may still be under way".to_owned(),
            });
        }
        Ok((prior, Intent::recorded(step.to_owned())))
    }

    /// Remembers that a write is in place at the vendor.
    pub fn confirm(&mut self, intent: &Intent, vendor_id: Option<String>, fingerprint: Option<String>) {
        self.confirmed.push(Confirmed {
            step: intent.step().to_owned(),
            vendor_id,
            fingerprint,
        });
    }

    /// What is still to be stored, for the statement that ends the run.
    pub fn into_confirmed(self) -> Vec<Confirmed> {
        self.confirmed
    }

    /// Stores what is still to be stored, for work outside any lane.
    ///
    /// # Errors
    /// Any statement failure.
    pub async fn flush(self) -> Result<(), StoreError> {
        effects::confirm(&self.db.client().await?, &self.confirmed).await
    }
}
