//! Every request in the order it arrived, across the three vendors.
//!
//! A call is in the journal once its effect at the vendor is done, or once it
//! is held back by a fault; `status` is set when the answer leaves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::Notify;

use super::wire::{Answer, Request, Vendor};

/// One request to a simulator.
#[derive(Clone, Debug)]
pub struct Call {
    /// Arrival order across all vendors, from 1.
    pub seq: u64,
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// Who was called.
    pub vendor: Vendor,
    /// Upper-case method.
    pub method: String,
    /// Decoded path without the query.
    pub path: String,
    /// Decoded query parameters; the last of a repeated name.
    pub query: BTreeMap<String, String>,
    /// All request headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The JSON body, `Null` if empty, text if it is not JSON.
    pub body: Value,
    /// The simulator has an endpoint for it.
    pub matched: bool,
    /// The body of the simulator's own answer; `None` where a fault spoke in its place.
    pub answer: Option<Bytes>,
    /// Status of the answer; `None` while held, or if the connection was dropped.
    pub status: Option<u16>,
    /// When the answer left or the connection was dropped.
    pub answered_at: Option<DateTime<Utc>>,
}

/// How much the journal remembers. Counters always run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Every call: the default, for tests.
    Everything,
    /// Only the latest calls.
    Last(usize),
    /// Nothing but counters: for benches. `wait_for_call` then never succeeds.
    CountersOnly,
}

/// The shared journal of a sandbox.
pub struct Journal {
    recording: Recording,
    seq: AtomicU64,
    counters: [AtomicU64; 3],
    calls: Mutex<VecDeque<Call>>,
    changed: Notify,
}

impl Journal {
    pub(super) fn new(recording: Recording) -> Self {
        Self {
            recording,
            seq: AtomicU64::new(0),
            counters: [const { AtomicU64::new(0) }; 3],
            calls: Mutex::new(VecDeque::new()),
            changed: Notify::new(),
        }
    }

    /// Counts an arrival and gives it its place in the order.
    pub(super) fn arrive(&self, vendor: Vendor) -> u64 {
        self.counter(vendor).fetch_add(1, Ordering::Relaxed);
        self.seq.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Writes a call down, not yet sent back; `answer` is the simulator's own.
    pub(super) fn open(
        &self,
        (seq, vendor, at): (u64, Vendor, DateTime<Utc>),
        request: &Request,
        matched: bool,
        answer: Option<&Answer>,
    ) {
        let keep = match self.recording {
            Recording::Everything => usize::MAX,
            Recording::Last(count) => count,
            Recording::CountersOnly => return,
        };
        let call = Call {
            seq,
            at,
            vendor,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.iter().cloned().collect(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            matched,
            answer: answer.map(|answer| answer.body.clone()),
            status: None,
            answered_at: None,
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let place = calls.partition_point(|earlier| earlier.seq < seq);
        calls.insert(place, call);
        while calls.len() > keep {
            calls.pop_front();
        }
        drop(calls);
        self.changed.notify_waiters();
    }

    /// Notes how a call ended.
    pub(super) fn close(&self, seq: u64, status: Option<u16>) {
        if self.recording == Recording::CountersOnly {
            return;
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let place = calls.partition_point(|earlier| earlier.seq < seq);
        if let Some(call) = calls.get_mut(place).filter(|call| call.seq == seq) {
            call.status = status;
            call.answered_at = Some(Utc::now());
        }
        drop(calls);
        self.changed.notify_waiters();
    }

    /// All recorded calls, in arrival order.
    pub fn calls(&self) -> Vec<Call> {
        self.select(|_| true)
    }

    /// Calls no simulated endpoint matched: a test should find none.
    pub fn unmatched(&self) -> Vec<Call> {
        self.select(|call| !call.matched)
    }

    /// Recorded calls that satisfy `wanted`.
    pub fn select(&self, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|call| wanted(call)).cloned().collect()
    }

    /// Forgets the recorded calls; counters and order go on.
    pub fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many requests this vendor received.
    pub fn total(&self, vendor: Vendor) -> u64 {
        self.counter(vendor).load(Ordering::Relaxed)
    }

    /// The first call that satisfies `wanted`, waiting up to `timeout` for it.
    /// It is asked again when a call is recorded and when one is answered.
    pub async fn wait_for(&self, wanted: impl Fn(&Call) -> bool, timeout: Duration) -> Option<Call> {
        let search = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(call) = self.first(&wanted) {
                    return call;
                }
                changed.await;
            }
        };
        tokio::time::timeout(timeout, search).await.ok()
    }

    fn first(&self, wanted: impl Fn(&Call) -> bool) -> Option<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().find(|call| wanted(call)).cloned()
    }

    fn counter(&self, vendor: Vendor) -> &AtomicU64 {
        let [ghl, aloware, texting] = &self.counters;
        match vendor {
            Vendor::Ghl => ghl,
            Vendor::Aloware => aloware,
            Vendor::Texting => texting,
        }
    }
}
