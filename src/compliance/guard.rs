//! The one place that says a number may be texted.

use crate::domain::Phone;

/// Proof that a number was checked against the registry just now. The texting
/// client sends to nothing else.
///
/// ```compile_fail
/// let forged = df_middleware::compliance::Cleared { to: todo!() };
/// ```
#[derive(Debug)]
pub struct Cleared {
    to: Phone,
}

impl Cleared {
    /// Made by the guard once the registry answered.
    pub(crate) fn checked(to: Phone) -> Self {
        Self { to }
    }

    /// The number that may be texted.
    pub fn to(&self) -> &Phone {
        &self.to
    }
}
