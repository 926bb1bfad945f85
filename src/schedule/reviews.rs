//! Texts that nobody decided about in time become a STOP by themselves.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::compliance::reviews::due;
use crate::domain::{Move, Phone};
use crate::ingest::decided::{self, Grounds};
use crate::store::{Db, StoreError, opt_outs, reviews};
use crate::wire::decision::By;

/// Stops every number whose oldest undecided text is due by `now`; answers how many.
///
/// # Errors
/// Any statement failure; those stopped until then stay stopped.
pub async fn run(db: &Db, now: DateTime<Utc>) -> Result<usize, StoreError> {
    let waiting = reviews::all(&db.client().await?).await?;
    let late: BTreeSet<Phone> = waiting
        .into_iter()
        .filter(|text| due(text.recorded_at) <= now)
        .map(|text| text.phone)
        .collect();
    let mut stopped = 0;
    for phone in late {
        stopped += usize::from(stop(db, &phone, now).await?);
    }
    Ok(stopped)
}

/// One number, in a transaction of its own. An operator may have been faster.
async fn stop(db: &Db, phone: &Phone, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut client = db.client().await?;
    let transaction = client.transaction().await?;
    opt_outs::lock(&transaction, [phone]).await?;
    let waiting = reviews::of(&transaction, phone).await?;
    if !waiting.iter().any(|text| due(text.recorded_at) <= now) {
        return Ok(false);
    }
    let grounds = Grounds {
        reason: "undecided for five business days",
        evidence: None,
        decided_by: None,
    };
    let changes = grounds.stop(phone, &waiting).into();
    decided::store(&transaction, phone, Some(Move::Block), By::Clock, changes).await?;
    transaction.commit().await?;
    Ok(true)
}
