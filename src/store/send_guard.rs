//! What the guard asks before a text is sent, in the transaction that records
//! it and under the number's lock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{Cause, Phone};

/// Whose sending is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// To whom.
    pub phone: &'a Phone,
    /// The asking daemon: it knows of its own spool.
    pub daemon: Uuid,
    /// How long ago a consumer wrote who may be answered at any hour.
    pub answer_window: Duration,
    /// So many texts …
    pub limit: u32,
    /// … in so much time.
    pub period: Duration,
}

/// What is known at the moment of sending.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What blocks the number.
    pub causes: Vec<Cause>,
    /// Whether the consumer wrote to the texting vendor lately.
    pub wrote_lately: bool,
    /// Until when the number has had its share of texts.
    pub capped_until: Option<DateTime<Utc>>,
    /// Whether another daemon may have accepted a STOP that is not here yet: it
    /// has deliveries in its spool, or does not reach the database.
    pub peers_unsure: bool,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

// One round trip, index scans only. `now()` is the transaction's begin, before
// the wait for the lock; a block that was committed meanwhile is seen all the same.
const ASK: &str = "
SELECT ARRAY(SELECT cause FROM optout_active WHERE phone_number = $1 ORDER BY 1),
       EXISTS (SELECT 1 FROM message_mappings WHERE from_number = $1 AND direction = 'inbound'
                  AND created_at > clock_timestamp() - make_interval(secs => $2)),
       (SELECT created_at + make_interval(secs => $4) FROM outbound_messages
         WHERE to_number = $1 AND created_at > clock_timestamp() - make_interval(secs => $4)
           AND state IN ('sending', 'sent', 'unknown')
         ORDER BY created_at DESC OFFSET $3::bigint - 1 LIMIT 1),
       EXISTS (SELECT 1 FROM daemon_sessions WHERE id <> $5
                  AND (spooled OR seen_at < clock_timestamp() - interval '3 seconds')),
       clock_timestamp()";

/// Asks everything at once.
///
/// # Errors
/// Any statement failure: nothing may be sent then.
pub async fn ask<C: GenericClient>(client: &C, question: &Question<'_>) -> Result<Facts, StoreError> {
    let statement = client.prepare_cached(ASK).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &question.phone.as_str(),
                &question.answer_window.as_secs_f64(),
                &i64::from(question.limit),
                &question.period.as_secs_f64(),
                &question.daemon,
            ],
        )
        .await?;
    let causes = row.get::<_, Vec<&str>>(0).into_iter();
    Ok(Facts {
        causes: causes
            .map(|name| Cause::parse(name).ok_or(StoreError::Corrupt("optout_blocks.cause")))
            .collect::<Result<_, _>>()?,
        wrote_lately: row.get(1),
        capped_until: row.get(2),
        peers_unsure: row.get(3),
        now: row.get(4),
    })
}

// A block before this STOP counts unless something that may lift it did so in between.
const FIRST_STOP: &str = "
SELECT EXISTS (SELECT 1 FROM optout_history
                WHERE phone_number = $1 AND cause = 'consumer_stop' AND action = 'block' AND source = 'texting'
                  AND occurred_at = $2 AND least(occurred_at, recorded_at) > clock_timestamp() - make_interval(secs => $3))
   AND EXISTS (SELECT 1 FROM optout_blocks WHERE phone_number = $1 AND active)
   AND NOT EXISTS (SELECT 1 FROM optout_blocks WHERE phone_number = $1 AND active
                      AND (cause, source, changed_at) <> ('consumer_stop', 'texting', $2))
   AND NOT EXISTS (SELECT 1 FROM optout_history b
                    WHERE b.phone_number = $1 AND b.action = 'block' AND b.occurred_at < $2
                      AND NOT EXISTS (SELECT 1 FROM optout_history l
                                       WHERE l.phone_number = $1 AND l.cause = b.cause AND l.action = 'lift'
                                         AND l.occurred_at > b.occurred_at AND l.occurred_at < $2
                                         AND l.source IN (b.source, 'texting', 'manual')))
   AND NOT EXISTS (SELECT 1 FROM daemon_sessions WHERE id <> $4
                      AND (spooled OR seen_at < clock_timestamp() - interval '3 seconds'))";

/// Whether the STOP of that moment, fresh and through the texting vendor, is
/// all that blocks the number and the first thing that did.
///
/// # Errors
/// Any statement failure: nothing may be sent then.
pub async fn is_first_stop<C: GenericClient>(
    client: &C,
    phone: &Phone,
    stopped_at: DateTime<Utc>,
    fresh: Duration,
    daemon: Uuid,
) -> Result<bool, StoreError> {
    let statement = client.prepare_cached(FIRST_STOP).await?;
    let fresh = fresh.as_secs_f64();
    let row = client
        .query_one(&statement, &[&phone.as_str(), &stopped_at, &fresh, &daemon])
        .await?;
    Ok(row.get(0))
}
