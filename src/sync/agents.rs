//! Who of the account's users made a call: Aloware's deliveries name the agent
//! by id only (vendors/aloware.md 4). The schedule fetches the names.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::domain::Failure;
use crate::store::{Db, agents};

/// How long a look at the table serves: names hardly change.
const FRESH: Duration = Duration::from_secs(600);
/// How long it serves when an id is not in it: another daemon may have fetched it.
const FRESH_WITHOUT: Duration = Duration::from_secs(5);

/// The names by id. Cheap to clone; clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, String>,
    read_at: Option<Instant>,
}

impl Agents {
    /// The name of the user with this id, if Aloware ever listed it.
    pub(super) async fn name(&self, db: &Db, id: &str) -> Result<Option<String>, Failure> {
        let mut known = self.known.lock().await;
        let serves = if known.names.contains_key(id) {
            FRESH
        } else {
            FRESH_WITHOUT
        };
        if known.read_at.is_none_or(|at| at.elapsed() >= serves) {
            known.names = agents::all(&db.client().await?).await?;
            known.read_at = Some(Instant::now());
        }
        Ok(known.names.get(id).cloned())
    }
}
