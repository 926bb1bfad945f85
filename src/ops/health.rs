//! Whether the daemon can do its work: PostgreSQL answers, and how much waits.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::domain::EventTable;
use crate::store::event_views::{self, Backlog};
use crate::store::{Db, StoreError};

/// A database that needs longer counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of `GET /api/health`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    status: &'static str,
    timestamp: String,
    service: &'static str,
    version: &'static str,
    database: &'static str,
    /// Absent while PostgreSQL is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    /// Bytes of accepted deliveries that are not in PostgreSQL yet.
    spool_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    webhook: i64,
    texting: i64,
    oldest_seconds: Option<u64>,
}

impl Health {
    /// Whether PostgreSQL answered.
    pub fn is_ok(&self) -> bool {
        self.database == "up"
    }
}

/// Looks at the daemon now.
pub async fn look(db: &Db, spool_bytes: u64, now: DateTime<Utc>) -> Health {
    let backlogs = match tokio::time::timeout(PATIENCE, backlogs(db)).await {
        Ok(Ok(both)) => Some(both),
        Ok(Err(error)) => {
            tracing::warn!(%error, "health: database away");
            None
        }
        Err(_) => {
            tracing::warn!("health: database did not answer in time");
            None
        }
    };
    Health {
        status: if backlogs.is_some() { "ok" } else { "degraded" },
        timestamp: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        service: "df-middleware",
        version: env!("CARGO_PKG_VERSION"),
        database: if backlogs.is_some() { "up" } else { "down" },
        pending: backlogs.map(|(webhook, texting)| Pending {
            webhook: webhook.pending,
            texting: texting.pending,
            oldest_seconds: oldest(webhook, texting),
        }),
        spool_bytes,
    }
}

async fn backlogs(db: &Db) -> Result<(Backlog, Backlog), StoreError> {
    let client = db.client().await?;
    let webhook = event_views::backlog(&client, EventTable::Webhook).await?;
    let texting = event_views::backlog(&client, EventTable::Texting).await?;
    Ok((webhook, texting))
}

/// Age of the oldest waiting event of both tables, in whole seconds.
fn oldest(webhook: Backlog, texting: Backlog) -> Option<u64> {
    let ages = [webhook.oldest_seconds(), texting.oldest_seconds()]
        .into_iter()
        .flatten();
    ages.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs())
        .max()
}

/// Whether the daemon can take work: PostgreSQL answers in time.
pub async fn is_ready(db: &Db) -> bool {
    let ping = async { event_views::ping(&db.client().await?).await };
    matches!(tokio::time::timeout(PATIENCE, ping).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_database_health_is_degraded_and_still_answers() {
        let db = Db::new("host=127.0.0.1 port=1 user=nobody".parse().unwrap(), 1).unwrap();
        let health = look(&db, 12, DateTime::UNIX_EPOCH).await;
        assert!(!health.is_ok());
        let json = serde_json::to_value(&health).unwrap();
        assert_eq!(
            (json["status"].as_str(), json["service"].as_str()),
            (Some("degraded"), Some("df-middleware"))
        );
        assert_eq!(
            (json["timestamp"].as_str(), json["spoolBytes"].as_u64()),
            (Some("1970-01-01T00:00:00.000Z"), Some(12))
        );
        assert!(json.get("pending").is_none());
        assert!(!is_ready(&db).await);
    }

    #[test]
    fn the_older_table_decides_the_age() {
        let at = |age: Option<f64>| Backlog {
            pending: 1,
            oldest_waiting: Some(0.5),
            oldest_processing: age,
        };
        assert_eq!(oldest(at(Some(2.9)), at(Some(7.1))), Some(7));
        assert_eq!(oldest(Backlog::default(), Backlog::default()), None);
    }
}
