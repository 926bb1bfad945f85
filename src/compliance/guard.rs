//! The one place that says a number may be texted.

use deadpool_postgres::GenericClient;

use crate::domain::{Cause, Phone};
use crate::store::{StoreError, opt_outs, outbound_messages};

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
    /// Made by [`clear`] once the registry answered.
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

/// The number is blocked, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The active causes, at least one.
    pub causes: Vec<Cause>,
}

/// Checks a number in the caller's transaction, holding the number's lock to
/// the transaction's end: a send and a STOP of one number take turns.
///
/// # Errors
/// When the registry cannot be read: then nothing may be sent.
pub async fn clear<C: GenericClient>(transaction: &C, phone: &Phone) -> Result<Result<Cleared, Blocked>, StoreError> {
    outbound_messages::lock_number(transaction, phone).await?;
    let causes = opt_outs::active_causes(transaction, phone).await?;
    Ok(if causes.is_empty() {
        Ok(Cleared::checked(phone.clone()))
    } else {
        Err(Blocked { causes })
    })
}
