//! The daemons that share the database: one row each, touched every other
//! second. Who is unseen for ten seconds is dead, and its lanes are free again.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::StoreError;

/// What a daemon sees of the others.
#[derive(Clone, Copy, Debug)]
pub struct Neighbours {
    /// Daemons seen within ten seconds, the asking one not counted.
    pub alive: u32,
    /// Those of them that may not have seen the asking daemon yet.
    pub unaware: u32,
    /// Whether one of them works.
    pub busy: bool,
    /// Whether a row is left of a daemon that is dead.
    pub dead: bool,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// What became of the dead.
#[derive(Clone, Copy, Debug)]
pub struct Buried {
    /// Daemons.
    pub daemons: i64,
    /// Lanes they held, which are ready now.
    pub lanes: i64,
}

const TOUCH: &str = "
INSERT INTO daemon_sessions AS s (id, working, spooled) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE
   SET steady_since = CASE WHEN s.seen_at < now() - interval '5 seconds' THEN now() ELSE s.steady_since END,
       seen_at = now(), working = excluded.working, spooled = excluded.spooled";

/// Says that this daemon lives, whether it works, and whether deliveries wait
/// in its spool.
///
/// # Errors
/// Any statement failure.
pub async fn touch<C: GenericClient>(client: &C, id: Uuid, working: bool, spooled: bool) -> Result<(), StoreError> {
    let statement = client.prepare_cached(TOUCH).await?;
    client.execute(&statement, &[&id, &working, &spooled]).await?;
    Ok(())
}

// A daemon looks with every touch. One that is late for its touch by a second is
// not waited for: mostly it was killed, and this one is its successor.
const LOOK: &str = "
SELECT count(*) FILTER (WHERE seen_at > now() - interval '10 seconds'),
       count(*) FILTER (WHERE seen_at > now() - interval '3 seconds' AND seen_at <= coalesce($2, now())),
       coalesce(bool_or(working AND seen_at > now() - interval '3 seconds'), false),
       coalesce(bool_or(seen_at <= now() - interval '10 seconds'), false),
       now()
  FROM daemon_sessions WHERE id <> $1";

/// Looks at the other daemons. `since` is the database's time at which this
/// one's row was surely there for all to see.
///
/// # Errors
/// Any statement failure.
pub async fn look<C: GenericClient>(
    client: &C,
    id: Uuid,
    since: Option<DateTime<Utc>>,
) -> Result<Neighbours, StoreError> {
    let statement = client.prepare_cached(LOOK).await?;
    let row = client.query_one(&statement, &[&id, &since]).await?;
    let count = |column: usize| u32::try_from(row.get::<_, i64>(column)).unwrap_or(u32::MAX);
    Ok(Neighbours {
        alive: count(0),
        unaware: count(1),
        busy: row.get(2),
        dead: row.get(3),
        now: row.get(4),
    })
}

// Lanes that are ready already need nothing, so the backlog is not looked at:
// `ready_at > now()` leaves those at work and those in back-off, which have no
// owner. Locked in the order in which ingest and results lock them. `attempts`
// stays as it is: nobody reported the claim, and the next one counts on.
const BURY: &str = "
WITH dead AS (
  DELETE FROM daemon_sessions s USING daemon_sessions me
   WHERE me.id = $1 AND me.steady_since < now() - interval '10 seconds'
     AND s.seen_at < now() - interval '10 seconds'
  RETURNING s.id),
held AS MATERIALIZED (
  SELECT key FROM event_lanes WHERE ready_at > now() AND owner = ANY (ARRAY(SELECT id FROM dead))
   ORDER BY key FOR UPDATE),
free AS (
  UPDATE event_lanes SET ready_at = now(), owner = NULL WHERE key = ANY (ARRAY(SELECT key FROM held)) RETURNING 1)
SELECT (SELECT count(*) FROM dead), (SELECT count(*) FROM free)";

/// Removes the rows of dead daemons and frees their lanes, in one commit. A
/// daemon that has not itself been seen steadily for ten seconds buries nobody:
/// the database was away for the others as well.
///
/// # Errors
/// Any statement failure; nothing has changed then.
pub async fn bury<C: GenericClient>(client: &C, id: Uuid) -> Result<Buried, StoreError> {
    let statement = client.prepare_cached(BURY).await?;
    let row = client.query_one(&statement, &[&id]).await?;
    Ok(Buried {
        daemons: row.get(0),
        lanes: row.get(1),
    })
}

const LEAVE: &str = "
WITH gone AS (DELETE FROM daemon_sessions WHERE id = $1),
held AS MATERIALIZED (
  SELECT key FROM event_lanes WHERE ready_at > now() AND owner = $1 ORDER BY key FOR UPDATE)
UPDATE event_lanes SET ready_at = now(), owner = NULL WHERE key = ANY (ARRAY(SELECT key FROM held))";

/// Removes the row of a daemon that surely runs no more, and frees what it could
/// not hand back.
///
/// # Errors
/// Any statement failure; it is taken for dead later.
pub async fn leave<C: GenericClient>(client: &C, id: Uuid) -> Result<(), StoreError> {
    let statement = client.prepare_cached(LEAVE).await?;
    client.execute(&statement, &[&id]).await?;
    Ok(())
}
