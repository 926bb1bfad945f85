//! Work that must not end with its request. Each listener thread has a runtime
//! of its own, which ends at shutdown; and a caller that hangs up takes its
//! handler with it. A send or a run that has begun must survive both, so it
//! runs on the daemon's runtime.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use tokio::runtime::Handle;

use super::problem::Problem;

/// The daemon's runtime.
#[derive(Clone, Debug)]
pub(super) struct Home(Handle);

impl Home {
    /// The runtime this is called on.
    pub(super) fn here() -> Self {
        Self(Handle::current())
    }

    /// Runs `work` to its end, whatever becomes of the caller.
    ///
    /// # Errors
    /// When the work panicked or the daemon ended meanwhile.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.0.spawn(work).await.map_err(|error| Problem::internal(&error))
    }
}

impl FromRequest for Home {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.app_data::<Self>().cloned().unwrap_or_else(Self::here)))
    }
}
