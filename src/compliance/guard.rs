//! The one place that says a number may be texted, and why not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::places::is_textable;
use super::quiet_hours::{Law, closed_until};
use crate::domain::{Cause, Phone};
use crate::store::send_guard::{self, Question};
use crate::store::{StoreError, opt_outs};

/// Proof that a number was checked against the registry just now. The texting
/// client sends to nothing else.
///
/// ```compile_fail
/// let phone = df_middleware::domain::Phone::from_e164("+16195550111").unwrap();
/// let forged = df_middleware::compliance::Cleared { to: phone };
/// ```
///
/// ```compile_fail
/// let phone = df_middleware::domain::Phone::from_e164("+16195550111").unwrap();
/// let forged = df_middleware::compliance::Cleared::checked(phone);
/// ```
#[derive(Debug)]
pub struct Cleared {
    to: Phone,
}

impl Cleared {
    /// Made by [`clear`] and [`clear_stop_reply`] once the registry answered.
    fn checked(to: Phone) -> Self {
        Self { to }
    }

    /// A clearance without a registry, for the clients' own tests.
    #[cfg(test)]
    pub(crate) fn for_tests(to: Phone) -> Self {
        Self::checked(to)
    }

    /// The number that may be texted.
    pub fn to(&self) -> &Phone {
        &self.to
    }
}

/// Who wants a text sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A program, by `POST /api/messages`.
    Program,
    /// A person who typed it.
    Person,
}

/// What the operator allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Our own numbers, which are nobody to text.
    pub own: Vec<Phone>,
    /// Whose quiet hours are kept.
    pub law: Law,
    /// So many texts to one number in so much time.
    pub per_recipient: (u32, Duration),
    /// For how long a person may answer a consumer at any hour and pace.
    pub answer_window: Duration,
    /// The most parts of one text.
    pub max_segments: u32,
}

/// One text that somebody wants sent.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// To whom.
    pub to: &'a Phone,
    /// By whom.
    pub author: Author,
    /// In how many parts.
    pub segments: u32,
    /// The asking daemon, which knows of its own spool.
    pub daemon: Uuid,
}

/// Why a text is not sent. Named by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No text can reach the number.
    #[error("the number cannot receive texts")]
    NotTextable,
    /// It is one of ours.
    #[error("the number is one of our own")]
    OwnNumber,
    /// The text has too many parts.
    #[error("the text is too long")]
    TooLong,
    /// The registry, or the vendor, blocks the number.
    #[error("the recipient has opted out")]
    OptedOut {
        /// The active causes; empty when the vendor said it.
        causes: Vec<Cause>,
    },
    /// A message of the consumer's waits for a person to read it.
    #[error("automated texts to the recipient are held until a person has read what they wrote")]
    ReviewHold,
    /// It is night, or a quiet day, where the recipient may be.
    #[error("it is outside the hours in which the recipient may be texted")]
    QuietHours {
        /// The next allowed moment.
        until: DateTime<Utc>,
    },
    /// The recipient was sent enough.
    #[error("the recipient was sent as many texts as the limit allows")]
    FrequencyCap {
        /// When the next text is allowed.
        until: DateTime<Utc>,
    },
}

impl Refusal {
    /// The program's name of it: answers, records and meters use it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotTextable => "not_textable",
            Self::OwnNumber => "own_number",
            Self::TooLong => "too_long",
            Self::OptedOut { .. } => "opted_out",
            Self::ReviewHold => "review_hold",
            Self::QuietHours { .. } => "quiet_hours",
            Self::FrequencyCap { .. } => "frequency_cap",
        }
    }

    /// When it may be tried again; `None` when waiting does not help.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::QuietHours { until } | Self::FrequencyCap { until } => Some(*until),
            _ => None,
        }
    }

    /// The code, and the causes behind it, for the send record.
    pub fn record(&self) -> String {
        match self {
            Self::OptedOut { causes } if !causes.is_empty() => {
                let names: Vec<&str> = causes.iter().copied().map(Cause::as_str).collect();
                format!("{}: {}", self.code(), names.join(", "))
            }
            _ => self.code().to_owned(),
        }
    }
}

/// What the guard says.
#[derive(Debug)]
pub enum Answer {
    /// Send it now.
    Cleared(Cleared),
    /// Do not send it.
    Refused(Refusal),
    /// Another daemon may have taken a STOP that is not in the registry yet.
    Unsure,
}

/// Checks a text in the caller's transaction, holding the number's lock to the
/// transaction's end: a send and a STOP of one number take turns. The moment is
/// the database's.
///
/// # Errors
/// When the registry cannot be read: then nothing may be sent.
pub async fn clear<C: GenericClient>(
    transaction: &C,
    policy: &Policy,
    wanted: Wanted<'_>,
) -> Result<Answer, StoreError> {
    opt_outs::lock(transaction, [wanted.to]).await?;
    let (limit, period) = policy.per_recipient;
    let question = Question {
        phone: wanted.to,
        daemon: wanted.daemon,
        answer_window: policy.answer_window,
        limit,
        period,
    };
    let facts = send_guard::ask(transaction, &question).await?;
    Ok(match judge(policy, wanted, &facts) {
        Some(refusal) => Answer::Refused(refusal),
        None if facts.peers_unsure => Answer::Unsure,
        None => Answer::Cleared(Cleared::checked(wanted.to.clone())),
    })
}

/// Pure: the first reason against the text, in the order of the checks.
fn judge(policy: &Policy, wanted: Wanted<'_>, facts: &send_guard::Facts) -> Option<Refusal> {
    if !is_textable(wanted.to) {
        return Some(Refusal::NotTextable);
    }
    if policy.own.contains(wanted.to) {
        return Some(Refusal::OwnNumber);
    }
    if wanted.segments > policy.max_segments {
        return Some(Refusal::TooLong);
    }
    let held = |cause: &Cause| *cause == Cause::PendingReview;
    if !facts.causes.iter().all(held) {
        return Some(Refusal::OptedOut {
            causes: facts.causes.clone(),
        });
    }
    if wanted.author == Author::Program && !facts.causes.is_empty() {
        return Some(Refusal::ReviewHold);
    }
    if wanted.author == Author::Person && facts.wrote_lately {
        return None;
    }
    let quiet = closed_until(wanted.to, policy.law, facts.now).map(|until| Refusal::QuietHours { until });
    quiet.or_else(|| facts.capped_until.map(|until| Refusal::FrequencyCap { until }))
}

/// Clears the one text that may go to a blocked number: the confirmation of its
/// STOP, written at `stopped_at` by the provider's clock. Holds the number's
/// lock as [`clear`] does. `None` unless this STOP came in through the texting
/// vendor within `fresh`, is all that blocks the number, and the number was not
/// blocked before it.
///
/// # Errors
/// When the registry cannot be read: then nothing may be sent.
pub async fn clear_stop_reply<C: GenericClient>(
    transaction: &C,
    to: &Phone,
    stopped_at: DateTime<Utc>,
    fresh: Duration,
    daemon: Uuid,
) -> Result<Option<Cleared>, StoreError> {
    opt_outs::lock(transaction, [to]).await?;
    let first = send_guard::is_first_stop(transaction, to, stopped_at, fresh, daemon).await?;
    Ok((first && is_textable(to)).then(|| Cleared::checked(to.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::send_guard::Facts;

    const NIGHT: &str = "2026-11-24T08:00:00Z";
    const DAY: &str = "2026-11-23T20:00:00Z";

    fn verdict(to: &str, author: Author, now: &str, change: impl Fn(&mut Facts)) -> Option<&'static str> {
        let phone = |text| Phone::from_e164(text).unwrap();
        let policy = Policy {
            own: vec![phone("+18585550123")],
            law: Law::State,
            per_recipient: (20, Duration::from_secs(86400)),
            answer_window: Duration::from_secs(86400),
            max_segments: 10,
        };
        let mut facts = Facts {
            causes: Vec::new(),
            wrote_lately: false,
            capped_until: None,
            peers_unsure: false,
            now: now.parse().unwrap(),
        };
        change(&mut facts);
        let to = phone(to);
        let wanted = Wanted {
            to: &to,
            author,
            segments: 1,
            daemon: Uuid::nil(),
        };
        judge(&policy, wanted, &facts).map(|refusal| refusal.code())
    }

    #[test]
    fn the_first_reason_counts_and_each_binds_whom_it_binds() {
        use Author::{Person, Program};
        let later = || Some(DAY.parse().unwrap());
        let blocked = |causes: &'static [Cause]| move |facts: &mut Facts| facts.causes = causes.to_vec();
        let lead = "+16195550111";
        for author in [Program, Person] {
            assert_eq!(verdict(lead, author, DAY, |_| {}), None);
            assert_eq!(verdict("+19115550111", author, DAY, |_| {}), Some("not_textable"));
            assert_eq!(verdict("+18585550123", author, NIGHT, |_| {}), Some("own_number"));
            assert_eq!(verdict(lead, author, NIGHT, |_| {}), Some("quiet_hours"));
            assert_eq!(
                verdict(lead, author, DAY, |f| f.capped_until = later()),
                Some("frequency_cap")
            );
            for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::PendingReview) {
                let stopped = |f: &mut Facts| (f.causes, f.wrote_lately) = (vec![*cause], true);
                assert_eq!(verdict(lead, author, NIGHT, stopped), Some("opted_out"), "{cause}");
            }
            let both = blocked(&[Cause::PendingReview, Cause::ConsumerStop]);
            assert_eq!(verdict(lead, author, DAY, both), Some("opted_out"));
        }
        let review = || blocked(&[Cause::PendingReview]);
        assert_eq!(verdict(lead, Program, NIGHT, review()), Some("review_hold"));
        assert_eq!(verdict(lead, Person, DAY, review()), None);
        assert_eq!(verdict(lead, Person, NIGHT, review()), Some("quiet_hours"));
    }

    #[test]
    fn a_person_may_answer_who_wrote_lately_at_any_hour() {
        let wrote = |facts: &mut Facts| {
            facts.wrote_lately = true;
            facts.capped_until = Some(DAY.parse().unwrap());
        };
        assert_eq!(verdict("+16195550111", Author::Person, NIGHT, wrote), None);
        assert_eq!(
            verdict("+16195550111", Author::Program, NIGHT, wrote),
            Some("quiet_hours")
        );
        assert_eq!(
            verdict("+16195550111", Author::Program, DAY, wrote),
            Some("frequency_cap")
        );
    }
}
