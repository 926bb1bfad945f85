//! This process among those that share the database, as far as its own clock
//! can tell. Others take its lanes over when it is unseen for ten seconds; it
//! stops a little earlier by itself, for an epoch fences the database only.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// How long a touch of the session's row holds: two seconds less than others
/// wait, for the call that may just be leaving.
const HOLDS: Duration = Duration::from_secs(8);

/// The session of one engine. Its row is kept by `app`; the engine claims only
/// while it holds.
#[derive(Debug)]
pub struct Session {
    id: Uuid,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    touched: Option<Instant>,
    works_from: Option<Instant>,
    shared: bool,
}

impl Session {
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            state: Mutex::default(),
        }
    }

    /// The owner of this process's lanes.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The row was touched by a statement that began at `begun`; lanes may be
    /// taken from `works_from` on, if that is known. `shared`: others live, too.
    pub fn touched(&self, begun: Instant, works_from: Option<Instant>, shared: bool) {
        *self.lock() = State {
            touched: Some(begun),
            works_from,
            shared,
        };
    }

    /// Whether others could run what this process only keeps at hand.
    pub(super) fn is_shared(&self) -> bool {
        self.lock().shared
    }

    /// Until when the others surely take this process for alive.
    pub fn holds_until(&self) -> Option<Instant> {
        self.lock().touched.map(|at| at + HOLDS)
    }

    /// Whether lanes may be taken now.
    pub fn may_claim(&self, now: Instant) -> bool {
        let state = self.lock();
        state.touched.is_some_and(|at| now < at + HOLDS) && state.works_from.is_some_and(|at| at <= now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_taken_only_under_a_touched_row_and_once_the_join_is_over() {
        let (session, now) = (Session::new(Uuid::new_v4()), Instant::now());
        assert!(!session.may_claim(now), "no row yet");
        session.touched(now, None, false);
        assert!(!session.may_claim(now), "the others do not know of us yet");
        let open = now + Duration::from_secs(1);
        session.touched(now, Some(open), false);
        assert!(!session.may_claim(now));
        assert!(session.may_claim(open));
        assert!(!session.may_claim(now + HOLDS), "the row is out of date");
        assert_eq!(session.holds_until(), Some(now + HOLDS));
    }
}
