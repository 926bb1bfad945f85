//! Many single timings, and what most of them are.

use std::time::{Duration, Instant};

/// Timings in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    /// Runs `work` and adds its time.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let made = work();
        self.add(began.elapsed());
        made
    }

    /// The time that `thousandths` of them do not pass.
    pub(crate) fn at(&self, thousandths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * thousandths / 1000).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn p50(&self) -> f64 {
        self.at(500)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(990)
    }
}

/// Whether a smoke run is asked for, whose numbers mean nothing.
pub(crate) fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}
