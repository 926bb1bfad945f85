//! `/api/jobs`: for schedulers that were set up against the seed. The daemon
//! runs on its own; these routes only hurry it.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::home::Home;
use super::problem::Problem;
use super::{State, auth};
use crate::domain::EventTable;
use crate::queue::Engine;
use crate::store::{StoreError, events};

/// `POST /api/jobs/enqueue-pending`.
///
/// # Errors
/// 401, or 503 while PostgreSQL is away.
pub(super) async fn enqueue_pending(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    make_due(&request, &state, EventTable::Webhook).await
}

/// `POST /api/jobs/enqueue-texting-pending`.
///
/// # Errors
/// As [`enqueue_pending`].
pub(super) async fn enqueue_texting_pending(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    make_due(&request, &state, EventTable::Texting).await
}

async fn make_due(request: &HttpRequest, state: &State, table: EventTable) -> Result<HttpResponse, Problem> {
    auth::require_jobs(request, &state.settings)?;
    // Before a connection is held: it takes one of its own.
    state.engine.pick_up_typed_rows().await?;
    let client = state.db.client().await?;
    let enqueued = events::make_due(&client, table).await?;
    let pending = events::pending(&client, table).await?;
    drop(client);
    state.engine.wake().notify_one();
    Ok(HttpResponse::Ok().json(json!({"enqueued": enqueued, "totalPending": pending})))
}

/// `POST /api/jobs/run-once`: runs up to a batch of both tables before it answers.
///
/// # Errors
/// As [`enqueue_pending`].
pub(super) async fn run_once(
    request: HttpRequest,
    state: web::Data<State>,
    home: Home,
) -> Result<HttpResponse, Problem> {
    auth::require_jobs(&request, &state.settings)?;
    let engine = Arc::clone(&state.engine);
    let limit = u64::from(state.settings.jobs.batch_size);
    let (processed, errors) = home.run(async move { run_batch(&engine, limit).await }).await??;
    let client = state.db.client().await?;
    let mut pending = 0;
    for table in EventTable::ALL {
        pending += events::pending(&client, *table).await?;
    }
    Ok(HttpResponse::Ok().json(json!({"processed": processed, "errors": errors, "totalPending": pending})))
}

/// One pass takes one event of each person; passes go on until the batch is
/// full or nothing is due.
async fn run_batch(engine: &Engine, limit: u64) -> Result<(u64, u64), StoreError> {
    let (mut processed, mut errors) = (0, 0);
    while processed + errors < limit {
        let room = u32::try_from(limit - processed - errors).unwrap_or(u32::MAX);
        let (done, failed) = engine.run_once(room).await?;
        if done + failed == 0 {
            break;
        }
        processed += done;
        errors += failed;
    }
    Ok((processed, errors))
}
