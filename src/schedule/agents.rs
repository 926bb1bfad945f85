//! The names of Aloware's users, fetched for the notes of their calls.

use anyhow::Context;

use crate::store::{Db, agents};
use crate::vendors::{AlowareClient, Priority};

/// Fetches them; answers how many there are.
///
/// # Errors
/// When Aloware or the database does not answer as hoped: the names known
/// before stay.
pub async fn run(db: &Db, aloware: &AlowareClient) -> anyhow::Result<usize> {
    let users = aloware
        .at(Priority::Background)
        .users()
        .await
        .context("aloware's users")?;
    let named: Vec<(String, String)> = users
        .into_iter()
        .filter_map(|user| Some((user.id, user.name?)))
        .collect();
    agents::save(&db.client().await?, &named).await?;
    Ok(named.len())
}
