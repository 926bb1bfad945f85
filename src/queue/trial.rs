//! Which event is it that ends the process? A claim that nobody reported back
//! tells that the process ended, and not by which of the many lanes it held. So
//! a lane of which that happened often is not condemned but tried: one suspect
//! of a process at a time, and marked before it runs.

use deadpool_postgres::GenericClient;

use super::claim::ClaimedLane;
use crate::store::StoreError;

/// Claims in a row without a report after which a lane runs on trial only.
const SUSPECT_AFTER: i16 = 3;
/// What a trial adds to the lane's count of such claims; a report clears both.
const TRIAL: i16 = 1000;
/// Trials in a row that ended with the process: the event is what ends it.
const CONDEMNED_AFTER: i16 = 8 * TRIAL;

/// How a lane stands after the claims that nobody reported back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs beside all others.
    Free,
    /// It was there when the process ended, more often than chance has it.
    Suspect,
    /// The process ended whenever it was tried.
    Condemned,
}

impl Standing {
    /// The standing of a lane with so many unreported claims, this one included.
    pub(crate) fn of(claims: i16) -> Self {
        if claims <= SUSPECT_AFTER {
            Self::Free
        } else if claims <= CONDEMNED_AFTER {
            Self::Suspect
        } else {
            Self::Condemned
        }
    }
}

// Durable, unlike a claim: the process may end in the next instant.
const BEGIN: &str = "UPDATE event_lanes SET attempts = attempts + $3 WHERE key = $1 AND epoch = $2";

/// Marks that a trial begins.
///
/// # Errors
/// [`StoreError::LeaseLost`] when the lane is no longer ours, else any statement
/// failure: the lane must not run.
pub(crate) async fn begin<C: GenericClient>(client: &C, lane: &ClaimedLane) -> Result<(), StoreError> {
    let statement = client.prepare_cached(BEGIN).await?;
    match client.execute(&statement, &[&lane.key, &lane.epoch, &TRIAL]).await? {
        0 => Err(StoreError::LeaseLost),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trials_condemn() {
        assert_eq!(Standing::of(1), Standing::Free);
        assert_eq!(Standing::of(SUSPECT_AFTER + 1), Standing::Suspect);
        assert_eq!(
            Standing::of(TRIAL - 1),
            Standing::Suspect,
            "however often others ended it"
        );
        assert_eq!(Standing::of(7 * TRIAL + 99), Standing::Suspect);
        assert_eq!(Standing::of(8 * TRIAL + SUSPECT_AFTER), Standing::Condemned);
    }
}
