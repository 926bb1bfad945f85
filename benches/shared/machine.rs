//! What the numbers were measured on.

/// Name and value of each circumstance that needs no database.
pub(crate) fn describe() -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        ("cores".to_owned(), cores.to_string()),
        ("processor".to_owned(), line_of("/proc/cpuinfo", "model name")),
        ("memory".to_owned(), line_of("/proc/meminfo", "MemTotal")),
        ("kernel".to_owned(), kernel.trim().to_owned()),
    ]
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
