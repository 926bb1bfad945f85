//! What the numbers were measured on, the server included.

use crate::house::House;
use crate::machine;

const SHOWN: [&str; 8] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
];

/// Name and value of each circumstance.
pub(crate) async fn describe(house: &House) -> Vec<(String, String)> {
    let mut facts = machine::describe();
    let ground = house.ground().await;
    for name in SHOWN {
        let value: String = ground.sql.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0);
        facts.push((name.to_owned(), value));
    }
    facts
}
