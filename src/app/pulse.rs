//! This daemon among others on the same database: it shows itself every other
//! second, divides the vendors' limits by the number it sees, adds up the day's
//! calls, and frees the lanes of daemons that died.
//!
//! A join is strict. Until the others have seen the new one, and the calls they
//! made before that have left the vendors' windows, it takes no lane and makes
//! no call; the others do the work meanwhile. One that is alone begins at once.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::predecessor::Predecessor;
use crate::queue::{Engine, Session};
use crate::store::notice::Notice;
use crate::store::spool::Spool;
use crate::store::vendor_usage::{self, Calls};
use crate::store::{Db, StoreError, sessions, within};
use crate::vendors::Vendors;

/// The longest time between two touches; some are up to a quarter earlier.
const EVERY: Duration = Duration::from_secs(2);
/// How long a touch may take. It bears repeating: what is written down of the
/// day's calls is taken off only after the answer, so a count may be too high.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The task that keeps the session.
pub(super) struct Pulse {
    db: Db,
    session: Arc<Session>,
    wake: Arc<Notify>,
    vendors: Vendors,
    /// Whoever has it is alone on this folder.
    spool: Spool,
    /// What the others know of it.
    notice: Notice,
    /// Until its lanes are free.
    predecessor: Option<Predecessor>,
    stage: Stage,
}

/// How far the join is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The others may not know of us. Our row is there since then, by the
    /// database's clock, if it is.
    Joining(Option<DateTime<Utc>>),
    /// They do; from then on we work.
    Joined(Instant),
}

impl Pulse {
    /// A daemon that makes no call yet.
    pub(super) fn new(
        db: Db,
        engine: &Engine,
        vendors: Vendors,
        (spool, notice): (Spool, Notice),
        predecessor: Predecessor,
    ) -> Self {
        hold(&vendors);
        Self {
            db,
            session: engine.session(),
            wake: engine.wake(),
            vendors,
            spool,
            notice,
            predecessor: Some(predecessor),
            stage: Stage::Joining(None),
        }
    }

    /// Beats until `stop`, which must come after the last claim.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut worked = false;
        loop {
            if let Err(error) = within(PATIENCE, self.beat()).await {
                tracing::warn!(%error, "the session was not touched; trying again");
            }
            let now = Instant::now();
            let works = self.session.may_claim(now);
            if works && !worked {
                self.wake.notify_one();
            }
            worked = works;
            let rest = now + EVERY.mul_f64(1.0 - rand::random::<f64>() / 4.0);
            let until = match self.stage {
                Stage::Joined(at) if at > now => at.min(rest),
                Stage::Joined(_) | Stage::Joining(_) => rest,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(until) => {}
            }
        }
        let farewell = async {
            let client = self.db.client().await?;
            self.add_up(&client).await?;
            if !self.spool.is_empty() {
                // A STOP may be in it: the others must not forget us before they have to.
                return self.touch(&client, false).await;
            }
            sessions::leave(&client, self.session.id()).await
        };
        match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the session's row stays; the others will remove it"),
            Err(_) => tracing::warn!("the session's row stays; the others will remove it"),
        }
    }

    async fn beat(&mut self) -> Result<(), StoreError> {
        if self.session.holds_until().is_some_and(|until| until <= Instant::now()) {
            if matches!(self.stage, Stage::Joined(_)) {
                tracing::warn!("unseen for too long: joining again");
            }
            hold(&self.vendors);
            self.stage = Stage::Joining(None);
        }
        let client = self.db.client().await?;
        let (id, begun) = (self.session.id(), Instant::now());
        self.touch(&client, matches!(self.stage, Stage::Joined(_))).await?;
        // After our own row, so that there is one for this spool at any time.
        self.succeed(&client).await?;
        let since = match self.stage {
            Stage::Joining(since) => since,
            Stage::Joined(_) => None,
        };
        let others = sessions::look(&client, id, since).await?;
        self.notice.others(others.alive > 0);
        self.divide(others.alive.saturating_add(1));
        self.add_up(&client).await?;
        if let Stage::Joining(since) = self.stage {
            self.stage = Stage::Joining(since.or(Some(others.now)));
            if others.unaware == 0 {
                // Who joins next must see that we work before we do.
                self.touch(&client, true).await?;
                self.open(others.busy);
                tracing::info!(others = others.alive, "joined");
            }
        }
        let works_from = match self.stage {
            Stage::Joined(at) => Some(at),
            Stage::Joining(_) => None,
        };
        self.session.touched(begun, works_from, others.alive > 0);
        if others.dead {
            let buried = sessions::bury(&client, id).await?;
            if buried.daemons > 0 {
                tracing::warn!(
                    daemons = buried.daemons,
                    lanes = buried.lanes,
                    "took over from dead daemons"
                );
                self.wake.notify_one();
            }
        }
        Ok(())
    }

    /// Shows us to the others, and whether deliveries wait in our spool.
    async fn touch(&self, client: &deadpool_postgres::Object, working: bool) -> Result<(), StoreError> {
        let spooled = !self.spool.is_empty();
        self.notice.telling(spooled);
        sessions::touch(client, self.session.id(), working, spooled).await?;
        self.notice.told(spooled);
        Ok(())
    }

    /// Frees the lanes of the daemon that was killed on this folder, once.
    async fn succeed(&mut self, client: &deadpool_postgres::Object) -> Result<(), StoreError> {
        let Some(predecessor) = self.predecessor.as_ref().filter(|_| self.spool.is_ours()) else {
            return Ok(());
        };
        if let Some(session) = predecessor.session() {
            sessions::leave(client, session).await?;
        }
        if let Err(error) = predecessor.replace(self.session.id()) {
            tracing::warn!(%error, "a successor here will have to wait until this daemon counts as dead");
        }
        self.predecessor = None;
        Ok(())
    }

    fn divide(&self, processes: u32) {
        let now = Instant::now();
        for (_, budget) in self.vendors.budgets() {
            budget.share(processes, now);
        }
        metrics::gauge!("daemons").set(f64::from(processes));
    }

    fn open(&mut self, busy: bool) {
        let now = Instant::now();
        let budgets = self.vendors.budgets();
        let opens = budgets.iter().map(|(_, budget)| budget.open(now, busy));
        self.stage = Stage::Joined(opens.max().unwrap_or(now));
    }

    /// Writes down the calls made since the last time, and learns the others'.
    async fn add_up(&self, client: &deadpool_postgres::Object) -> Result<(), StoreError> {
        let today = Utc::now();
        let (budgets, made): (Vec<_>, Vec<Calls>) = self
            .vendors
            .budgets()
            .into_iter()
            .map(|(vendor, budget)| {
                let (day, count) = budget.unwritten(today);
                (budget, Calls { vendor, day, count })
            })
            .unzip();
        let totals = vendor_usage::add(client, &made).await?;
        for ((budget, calls), all) in budgets.iter().zip(&made).zip(totals) {
            budget.written(calls.day, calls.count, all);
        }
        Ok(())
    }
}

fn hold(vendors: &Vendors) {
    for (_, budget) in vendors.budgets() {
        budget.hold();
    }
}
