//! Processor time, which a busy neighbour on the machine does not change as
//! much as it changes the clock.

use std::path::Path;

use crate::house::Ground;

/// Ticks of `/proc` a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// Reads counters of this process and of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    postmaster: u32,
}

/// Seconds of processor time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// The server and all its backends.
    pub(crate) postgres: f64,
    /// This process: daemon, simulators, load generator.
    pub(crate) own: f64,
    /// Programs this process ran to their end.
    pub(crate) children: f64,
}

impl Meter {
    pub(crate) async fn of(ground: &Ground) -> Self {
        let backend = ground.number("SELECT pg_backend_pid()").await as u32;
        let postmaster = stat(format!("/proc/{backend}/stat")).expect("a backend")[1] as u32;
        Self { postmaster }
    }

    pub(crate) fn read(self) -> Spent {
        let own = stat("/proc/self/stat").unwrap();
        let server = stat(format!("/proc/{}/stat", self.postmaster)).expect("the server");
        let mut postgres = server[11] + server[12] + server[13] + server[14];
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(fields) = stat(entry.path().join("stat")) else {
                continue;
            };
            if fields[1] as u32 == self.postmaster {
                postgres += fields[11] + fields[12];
            }
        }
        Spent {
            postgres: postgres / TICKS,
            own: (own[11] + own[12]) / TICKS,
            children: (own[13] + own[14]) / TICKS,
        }
    }
}

impl Spent {
    /// What was spent since `earlier`, in microseconds for each of `count`.
    pub(crate) fn since(self, earlier: Self, count: u64) -> Self {
        let each = |now: f64, then: f64| (now - then) * 1e6 / count.max(1) as f64;
        Self {
            postgres: each(self.postgres, earlier.postgres),
            own: each(self.own, earlier.own),
            children: each(self.children, earlier.children),
        }
    }
}

/// Processor time of the calling thread so far, in seconds.
pub(crate) fn of_this_thread() -> f64 {
    let fields = stat("/proc/thread-self/stat").unwrap();
    (fields[11] + fields[12]) / TICKS
}

/// The numbers after the name: 0 is the state, 1 the parent, 11 to 14 the
/// times of the process and of its children.
fn stat(path: impl AsRef<Path>) -> Option<Vec<f64>> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<f64> = rest
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    (fields.len() > 14).then_some(fields)
}
