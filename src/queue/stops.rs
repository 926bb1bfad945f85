//! The ways a running lane is made to end early.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::session::Session;

/// What a run looks at before it goes on, whatever it waited for: after a freeze
/// nobody else may have been told yet.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    /// The daemon stops: finish the event at hand, hand back the rest.
    pub(crate) draining: CancellationToken,
    /// The lease is lost or the grace is over: hand back at once.
    pub(crate) abort: CancellationToken,
    /// Until when the lease holds by our own clock.
    pub(crate) lease: watch::Receiver<Instant>,
    /// The process's own standing, by the same clock.
    pub(crate) session: Arc<Session>,
}

impl Stops {
    /// Whether no further event may begin.
    pub(crate) fn are_set(&self) -> bool {
        self.draining.is_cancelled() || self.abort.is_cancelled() || self.lane_may_be_lost()
    }

    /// Ends when the lane must be handed back at once. The clock is not waited
    /// for: who keeps the leases wakes us through `abort`.
    pub(crate) async fn at_once(&self) {
        let mut aborted = pin!(self.abort.cancelled());
        poll_fn(|context| {
            if self.lane_may_be_lost() {
                return Poll::Ready(());
            }
            aborted.as_mut().poll(context)
        })
        .await;
    }

    fn lane_may_be_lost(&self) -> bool {
        let now = Instant::now();
        *self.lease.borrow() <= now || self.session.holds_until().is_some_and(|until| until <= now)
    }
}
