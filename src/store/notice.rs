//! What the other daemons can know of our spool. They send no text while we
//! say that deliveries wait in it, nor while they have not seen us for a while;
//! between the two a STOP in our spool would be news to nobody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// After so long without a touch nobody relies on us (three seconds, see
/// `send_guard`), and a call that had just begun is with the vendor.
const RELIED_ON: Duration = Duration::from_millis(3500);

/// The touches of our session's row, as far as they tell of the spool.
#[derive(Clone, Debug, Default)]
pub struct Notice(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whether there are other daemons.
    others: bool,
    /// Whether our row says that deliveries wait.
    told: bool,
    /// When it last said, or may have said, that none do.
    cleared: Option<Instant>,
}

impl Notice {
    /// A touch that says so is about to be made.
    pub fn telling(&self, spooled: bool) {
        if !spooled {
            let mut state = self.lock();
            (state.told, state.cleared) = (false, Some(Instant::now()));
        }
    }

    /// It was made.
    pub fn told(&self, spooled: bool) {
        let mut state = self.lock();
        state.told = spooled;
        if !spooled {
            state.cleared = Some(Instant::now());
        }
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Whether other daemons live.
    pub fn others(&self, some: bool) {
        self.lock().others = some;
    }

    /// Returns when no other daemon sends without regard to what is in our spool.
    pub async fn heeded(&self) {
        loop {
            let changed = self.0.changed.notified();
            let Some(until) = self.ignored_until() else { return };
            if timeout_at(until, changed).await.is_err() {
                return;
            }
        }
    }

    fn ignored_until(&self) -> Option<Instant> {
        let state = self.lock();
        let until = state.cleared.filter(|_| state.others && !state.told)? + RELIED_ON;
        (until > Instant::now()).then_some(until)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spooled_stop_is_heeded_once_the_row_tells_of_it_or_is_old() {
        let notice = Notice::default();
        let ignored = || notice.ignored_until().is_some();
        notice.told(false);
        assert!(!ignored(), "nobody else is there");
        notice.others(true);
        assert!(ignored());
        notice.telling(true);
        assert!(ignored(), "not yet stored");
        notice.told(true);
        assert!(!ignored());
        notice.telling(false);
        assert!(ignored(), "it may say by now that the spool is empty");
        notice.lock().cleared = Instant::now().checked_sub(RELIED_ON);
        assert!(!ignored(), "nobody relies on a row that old");
    }
}
