//! What a person asks of the database when something seems wrong: its server,
//! its schema, who works on it, and when each vendor was last heard.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;

use super::StoreError;
use crate::domain::Source;

/// How many of the latest deliveries are looked at for a vendor's last one: the
/// tables have no index by source.
pub const LATEST: i64 = 10_000;

/// The server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Such as `15.18`.
    pub version: String,
    /// Such as `150018`.
    pub version_number: i32,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// Settings that are off though what was committed depends on them.
    pub unsafe_settings: Vec<String>,
}

const SERVER: &str = "
SELECT current_setting('server_version'), current_setting('server_version_num')::int, clock_timestamp(),
       ARRAY(SELECT name FROM pg_settings
              WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name)";

/// Asks the server about itself.
///
/// # Errors
/// Any statement failure.
pub async fn server<C: GenericClient>(client: &C) -> Result<Server, StoreError> {
    let row = client.query_one(SERVER, &[]).await?;
    Ok(Server {
        version: row.get(0),
        version_number: row.get(1),
        now: row.get(2),
        unsafe_settings: row.get(3),
    })
}

/// The newest migration that was applied; `None` in a database without our schema.
///
/// # Errors
/// Any statement failure.
pub async fn schema<C: GenericClient>(client: &C) -> Result<Option<i32>, StoreError> {
    let there = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let newest = "SELECT max(version)::int FROM refinery_schema_history";
    Ok(client.query_one(newest, &[]).await?.get(0))
}

/// The daemons on this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daemons {
    /// Seen within ten seconds.
    pub alive: i64,
    /// Those of them that take lanes; the others are joining.
    pub working: i64,
}

const DAEMONS: &str = "
SELECT count(*), count(*) FILTER (WHERE working) FROM daemon_sessions WHERE seen_at > now() - interval '10 seconds'";

/// Counts the daemons.
///
/// # Errors
/// Any statement failure.
pub async fn daemons<C: GenericClient>(client: &C) -> Result<Daemons, StoreError> {
    let row = client.query_one(DAEMONS, &[]).await?;
    Ok(Daemons {
        alive: row.get(0),
        working: row.get(1),
    })
}

/// How a vendor's deliveries stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LastDelivery {
    /// The latest came so long ago.
    Ago(Duration),
    /// None is among the latest [`LATEST`] of all vendors.
    NotLately,
    /// There is none at all.
    Never,
}

// Differences of epochs: a time typed by hand may be infinite.
const LAST_WEBHOOK: &str = "
SELECT (extract(epoch FROM now()) - extract(epoch FROM max(received_at) FILTER (WHERE source = $1)))::float8, count(*)
  FROM (SELECT source, received_at FROM webhook_events ORDER BY seq DESC LIMIT $2) latest";
const LAST_TEXTING: &str = "
SELECT (extract(epoch FROM now()) - extract(epoch FROM received_at))::float8, 1::bigint
  FROM texting_webhook_events ORDER BY seq DESC LIMIT 1";

/// When a vendor's latest delivery came.
///
/// # Errors
/// Any statement failure.
pub async fn last_delivery<C: GenericClient>(client: &C, source: Source) -> Result<LastDelivery, StoreError> {
    let row = match source {
        Source::Texting => client.query_opt(LAST_TEXTING, &[]).await?,
        Source::Aloware | Source::Ghl => client.query_opt(LAST_WEBHOOK, &[&source.as_str(), &LATEST]).await?,
    };
    let (age, seen): (Option<f64>, i64) = row.map_or((None, 0), |row| (row.get(0), row.get(1)));
    Ok(match age {
        Some(age) => LastDelivery::Ago(Duration::try_from_secs_f64(age.max(0.0)).unwrap_or(Duration::MAX)),
        None if seen >= LATEST => LastDelivery::NotLately,
        None => LastDelivery::Never,
    })
}
