//! Consent at the operators' desk: what is known of a number, what waits for a
//! decision, and deciding. Whoever acts needs the whole number and the words, so
//! these answers show them; each look is on record.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::AdminError;
use super::decisions::{Choice, Grounds};
use crate::compliance::reviews::due;
use crate::domain::{Cause, Move, Phone, mask};
use crate::ingest::decided;
use crate::store::opt_out_views::{self, Block, Effective, Past, Told};
use crate::store::reviews::Waiting;
use crate::store::{Db, StoreError, audit, opt_outs, reviews};
use crate::wire::decision::By;

/// The desk, and who sits at it.
#[derive(Clone, Debug)]
pub struct OptOuts {
    db: Db,
    actor: &'static str,
}

/// Everything about one number.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// E.164.
    pub phone: String,
    /// `blocked`, `held` for a decision, or `free`.
    pub status: &'static str,
    /// Why it is blocked or held.
    pub causes: Vec<&'static str>,
    /// What each source said for each cause, as it stands.
    pub blocks: Vec<Block>,
    /// The texts that wait for a decision.
    pub reviews: Vec<Text>,
    /// Which systems were told, and what they showed.
    pub deliveries: Vec<Told>,
    /// All of it, oldest first.
    pub history: Vec<Past>,
}

/// A text that waits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Text {
    pub(crate) text: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) source: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) due: DateTime<Utc>,
}

/// A number that waits for a decision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// E.164.
    pub phone: String,
    /// When we got its oldest undecided text.
    pub since: DateTime<Utc>,
    /// When it becomes a STOP by itself.
    pub due: DateTime<Utc>,
    /// The texts, oldest first.
    pub texts: Vec<Text>,
}

fn text(waiting: Waiting) -> Text {
    Text {
        text: waiting.body,
        rule: waiting.rule,
        source: waiting.source,
        at: waiting.occurred_at,
        due: due(waiting.recorded_at),
    }
}

/// What an operator may set by hand.
const BY_HAND: [Cause; 3] = [Cause::ConsumerStop, Cause::Legal, Cause::Manual];

impl OptOuts {
    /// The desk over a database; `actor` is who the audit log names.
    pub fn new(db: Db, actor: &'static str) -> Self {
        Self { db, actor }
    }

    /// Everything about one number; also of one that nobody ever blocked.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn show(&self, phone: &Phone) -> Result<Shown, AdminError> {
        let client = self.db.client().await?;
        audit::append(&client, self.actor, "optout.show", &mask(phone.as_str()), &json!({})).await?;
        let causes = opt_outs::active_causes(&client, phone).await?;
        let status = match causes.as_slice() {
            [] => "free",
            [Cause::PendingReview] => "held",
            _ => "blocked",
        };
        Ok(Shown {
            phone: phone.as_str().to_owned(),
            status,
            causes: causes.into_iter().map(Cause::as_str).collect(),
            blocks: opt_out_views::blocks(&client, phone).await?,
            reviews: reviews::of(&client, phone).await?.into_iter().map(text).collect(),
            deliveries: opt_out_views::told(&client, phone).await?,
            history: opt_out_views::history(&client, phone).await?,
        })
    }

    /// The numbers that wait for a decision, the most urgent first.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn reviews(&self) -> Result<Vec<Review>, AdminError> {
        let client = self.db.client().await?;
        audit::append(&client, self.actor, "optout.reviews", "optout_reviews", &json!({})).await?;
        let mut queue: Vec<Review> = Vec::new();
        for waiting in reviews::all(&client).await? {
            let phone = waiting.phone.as_str().to_owned();
            let since = waiting.recorded_at;
            match queue.iter_mut().find(|review| review.phone == phone) {
                Some(review) => review.texts.push(text(waiting)),
                None => queue.push(Review {
                    phone,
                    since,
                    due: due(since),
                    texts: vec![text(waiting)],
                }),
            }
        }
        Ok(queue)
    }

    /// The numbers that are opted out, the latest first.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn list(&self, limit: u16) -> Result<Vec<Effective>, AdminError> {
        let client = self.db.client().await?;
        audit::append(&client, self.actor, "optout.list", "optout_registry", &json!({})).await?;
        Ok(opt_out_views::blocked(&client, i64::from(limit)).await?)
    }

    /// Ends a hold: the text was a STOP, or it was not.
    ///
    /// # Errors
    /// [`AdminError::Nothing`] when no text of the number waits.
    pub async fn decide(&self, phone: &Phone, choice: Choice, grounds: &Grounds) -> Result<(), AdminError> {
        let mut client = self.db.client().await?;
        let change = client.transaction().await.map_err(StoreError::from)?;
        opt_outs::lock(&change, [phone]).await?;
        let waiting = reviews::of(&change, phone).await?;
        if waiting.is_empty() {
            return Err(AdminError::Nothing("No text of this number waits for a decision"));
        }
        let by = grounds.decided_by();
        let why = grounds.registry(&by);
        let (told, changes) = match choice {
            Choice::Stop => (Some(Move::Block), why.stop(phone, &waiting).into()),
            Choice::Clear => (None, vec![why.release(phone, &waiting)]),
        };
        decided::store(&change, phone, told, By::Operator, changes).await?;
        let detail = json!({"decision": choice.as_str(), "reason": grounds.reason(), "decidedBy": by});
        audit::append(&change, self.actor, "optout.decide", &mask(phone.as_str()), &detail).await?;
        Ok(change.commit().await.map_err(StoreError::from)?)
    }

    /// Records that somebody asked to stop some other way, or must not be texted.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cause that is not set by hand.
    pub async fn block(&self, phone: &Phone, cause: Cause, grounds: &Grounds) -> Result<(), AdminError> {
        if !BY_HAND.contains(&cause) {
            let detail = "cause must be consumer_stop, legal or manual";
            return Err(AdminError::Invalid(detail.to_owned()));
        }
        self.change(phone, cause, Move::Block, grounds).await
    }

    /// Lifts a block, with what proves that it may be.
    ///
    /// # Errors
    /// [`AdminError::Nothing`] when the cause does not block the number;
    /// [`AdminError::Invalid`] without evidence, or without a second person where the
    /// consumer or a lawyer had spoken.
    pub async fn lift(&self, phone: &Phone, cause: Cause, grounds: &Grounds) -> Result<(), AdminError> {
        if cause == Cause::PendingReview {
            let detail = "a text that waits is decided, not lifted";
            return Err(AdminError::Invalid(detail.to_owned()));
        }
        grounds.carry_a_lift(matches!(cause, Cause::ConsumerStop | Cause::Legal))?;
        self.change(phone, cause, Move::Lift, grounds).await
    }

    async fn change(&self, phone: &Phone, cause: Cause, action: Move, grounds: &Grounds) -> Result<(), AdminError> {
        let mut client = self.db.client().await?;
        let change = client.transaction().await.map_err(StoreError::from)?;
        opt_outs::lock(&change, [phone]).await?;
        let active = opt_outs::active_causes(&change, phone).await?.contains(&cause);
        if action == Move::Lift && !active {
            return Err(AdminError::Nothing("This cause does not block the number"));
        }
        let known = opt_out_views::last_change(&change, phone).await?;
        let by = grounds.decided_by();
        let consent = grounds
            .registry(&by)
            .change(phone, cause, action, decided::after(known));
        decided::store(&change, phone, Some(action), By::Operator, vec![consent]).await?;
        let detail = json!({"cause": cause.as_str(), "reason": grounds.reason(), "decidedBy": by});
        let name = format!("optout.{action}");
        audit::append(&change, self.actor, &name, &mask(phone.as_str()), &detail).await?;
        Ok(change.commit().await.map_err(StoreError::from)?)
    }
}
