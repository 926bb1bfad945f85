//! What the numbers were measured on.

use crate::house::House;

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
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let mut facts = vec![
        ("cores".to_owned(), cores.to_string()),
        ("processor".to_owned(), line_of("/proc/cpuinfo", "model name")),
        ("memory".to_owned(), line_of("/proc/meminfo", "MemTotal")),
        (
            "kernel".to_owned(),
            std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
        ),
    ];
    let ground = house.ground().await;
    for name in SHOWN {
        let value: String = ground.sql.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0);
        facts.push((name.to_owned(), value));
    }
    facts
}

/// The value of the first `name : value` line of a file.
fn line_of(path: &str, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text
        .lines()
        .find(|line| line.starts_with(name))
        .and_then(|line| line.split_once(':'));
    value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}
