//! Each vendor's breaker and budget in numbers, and where the day's calls lead.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{Timelike, Utc};
use serde::Serialize;
use tokio::time::Instant;

use super::{Asker, Finding, Subject};
use crate::domain::Source;
use crate::store::{Db, StoreError, vendor_usage};
use crate::vendors::{Budget, Standing, Vendors};

const DAY: Duration = Duration::from_secs(86_400);
/// The first hour of a day counts as a whole one: a few calls just after
/// midnight are no forecast.
const FIRST: Duration = Duration::from_secs(3_600);

/// How one vendor stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VendorState {
    vendor: &'static str,
    /// Of the daemon that answers; a command has no past.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<BreakerState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    day: Day,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BreakerState {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

/// This daemon's part of the rate limit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    used: usize,
    limit: u32,
    period_seconds: f64,
    /// For how long the vendor wants to be left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_seconds: Option<u64>,
}

/// The UTC day, all daemons together.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Day {
    used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// What it comes to by midnight if it goes on like this.
    forecast: u64,
    /// What the vendor says is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_remaining: Option<u64>,
}

/// Calls of the day that are written down, where the budgets do not know them.
pub(super) type Others = BTreeMap<Source, u64>;

/// Asks the table.
pub(super) async fn written(db: &Db) -> Result<Others, StoreError> {
    let client = db.client().await?;
    let mut written = Others::new();
    for vendor in Source::ALL {
        written.insert(*vendor, vendor_usage::today(&client, *vendor).await?);
    }
    Ok(written)
}

/// The numbers.
pub(super) fn states(vendors: &Vendors, others: &Others, asker: Asker) -> Vec<VendorState> {
    let (now, today) = (Instant::now(), Utc::now());
    let elapsed = Duration::from_secs(today.num_seconds_from_midnight().into());
    let live = asker == Asker::Daemon;
    let state = |(vendor, budget): (Source, Budget)| {
        let standing = budget.standing(now, today);
        VendorState {
            vendor: vendor.as_str(),
            breaker: live.then(|| breaker(vendors.down_for(vendor))),
            window: live.then(|| window(&standing)),
            day: day(others.get(&vendor).copied().unwrap_or_default(), elapsed, &standing),
        }
    };
    vendors.budgets().into_iter().map(state).collect()
}

fn breaker(down_for: Option<Duration>) -> BreakerState {
    BreakerState {
        state: if down_for.is_some() { "open" } else { "closed" },
        retry_after_seconds: down_for.map(|wait| wait.as_secs()),
    }
}

fn window(standing: &Standing) -> Window {
    Window {
        used: standing.used,
        limit: standing.part.count,
        period_seconds: standing.part.period.as_secs_f64(),
        paused_seconds: standing.paused.map(|wait| wait.as_secs()),
    }
}

fn day(others: u64, elapsed: Duration, standing: &Standing) -> Day {
    let used = others + standing.made;
    let over = elapsed.clamp(FIRST, DAY).as_secs();
    Day {
        used,
        limit: standing.daily_limit,
        forecast: used.saturating_mul(DAY.as_secs()) / over,
        vendor_remaining: standing.heard.and_then(|heard| heard.daily_remaining),
    }
}

impl VendorState {
    /// What the numbers warn of, where there is a daily limit.
    pub(super) fn finding(&self) -> Option<Finding> {
        let limit = u64::from(self.day.limit?);
        let subject = Subject::of(Source::parse(self.vendor)?);
        let (used, forecast) = (self.day.used, self.day.forecast);
        Some(if used >= limit {
            Finding::problem(
                subject,
                format!("the day's {limit} calls are used up: nothing is written before midnight UTC"),
            )
        } else if forecast > limit {
            Finding::warning(
                subject,
                format!("{used} calls so far today; at this rate the day's {limit} are used up before midnight UTC"),
            )
        } else {
            Finding::ok(
                subject,
                format!("{used} of {limit} calls so far today, {forecast} expected"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rate;
    use crate::ops::checks::Level;

    fn after(hours: u64, used: u64) -> (u64, Level) {
        let rate = Rate {
            count: 1,
            period: Duration::from_secs(1),
        };
        let standing = Budget::new(rate, Some(2_400)).standing(Instant::now(), Utc::now());
        let day = day(used, Duration::from_secs(hours * 3_600), &standing);
        let forecast = day.forecast;
        let state = VendorState {
            vendor: "ghl",
            breaker: None,
            window: None,
            day,
        };
        (forecast, state.finding().unwrap().level)
    }

    #[test]
    fn the_day_s_calls_so_far_say_where_they_lead() {
        assert_eq!(after(12, 1_200), (2_400, Level::Ok));
        assert_eq!(after(12, 1_201), (2_402, Level::Warning));
        assert_eq!(after(23, 2_400).1, Level::Problem);
    }

    #[test]
    fn a_few_calls_just_after_midnight_alarm_nobody() {
        assert_eq!(after(0, 100), (2_400, Level::Ok));
    }
}
