//! The effect ledger as one run sees it: announce before, confirm after.

use std::time::Duration;

use futures_util::future::try_join_all;
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
    /// What earlier runs of the claim wrote; the claim's end stores it.
    unstored: Vec<Confirmed>,
    confirmed: Vec<Confirmed>,
}

impl<'a> Ledger<'a> {
    /// The ledger of an event's run.
    /// `resumed`: the run before did not report back.
    pub fn of_event(desk: &'a Desk, fence: Fence, event_id: Uuid, resumed: bool, unstored: Vec<Confirmed>) -> Self {
        Self {
            db: &desk.db,
            announcer: &desk.announcer,
            fence: Some(fence),
            event_id: Some(event_id),
            wake_of: resumed.then_some(desk.rules.longest_call),
            unstored,
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
            unstored: Vec::new(),
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
        self.ask_before(&[step]).await?;
        let confirmed = self.confirmed.clone();
        let announced = self.announce_with(step, echoes, confirmed).await?;
        self.confirmed.clear();
        Ok(announced)
    }

    /// Announces writes that follow each other, in one commit.
    ///
    /// # Errors
    /// As [`Self::announce`]; none may be made then.
    pub async fn announce_all(&mut self, writes: &[(&str, Vec<Echo>)]) -> Result<Vec<(Prior, Intent)>, Failure> {
        self.ask_before(&writes.iter().map(|(step, _)| *step).collect::<Vec<_>>())
            .await?;
        // The first carries what is still to be confirmed.
        let mut confirmed = self.confirmed.clone();
        let announcing = writes
            .iter()
            .map(|(step, echoes)| self.announce_with(step, echoes, std::mem::take(&mut confirmed)));
        let announced = try_join_all(announcing.collect::<Vec<_>>()).await?;
        if !announced.is_empty() {
            self.confirmed.clear();
        }
        Ok(announced)
    }

    /// Of the stored confirmations and those this claim has yet to store, what is
    /// known to be in place. Whoever asks before announcing announces no write,
    /// and expects no echo, of what is there already.
    pub fn in_place(&self, mut stored: Vec<Confirmed>) -> Vec<Confirmed> {
        let newer = self.unstored.iter().chain(&self.confirmed);
        stored.extend(newer.cloned());
        stored.reverse();
        stored
    }

    /// Killed daemons are followed at once, and their last call may be slower than
    /// their follower: looked up now, its write would be missed and made again. So
    /// a run after one that was cut off comes back when that call must have ended,
    /// and announces nothing before, which would begin the wait anew.
    async fn ask_before(&self, steps: &[&str]) -> Result<(), Failure> {
        let Some(wake_of) = self.wake_of else {
            return Ok(());
        };
        let ours: Vec<&str> = self
            .unstored
            .iter()
            .chain(&self.confirmed)
            .map(|done| done.step.as_str())
            .collect();
        let steps: Vec<&str> = steps.iter().copied().filter(|step| !ours.contains(step)).collect();
        match effects::youngest(&self.db.client().await?, &steps).await? {
            Some(ago) if ago < wake_of => Err(Failure::Retry {
                class: RetryClass::UnderWay,
                after: Some(wake_of - ago),
                reason: "a call of a run that was cut off may be under way".to_owned(),
            }),
            _ => Ok(()),
        }
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
        let mut prior = self.announcer.announce(announcement).await?;
        if prior != Prior::Fresh
            && let Some(done) = self.unstored.iter().rev().find(|done| done.step == step)
        {
            prior = Prior::Done {
                vendor_id: done.vendor_id.clone(),
                fingerprint: done.fingerprint.clone(),
            };
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
