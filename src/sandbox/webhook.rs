//! The webhooks a simulator sends for its own writes: one queue per vendor,
//! delivered in order, once each, as the vendors do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc};

/// How long a delivery may take before it counts as lost.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One webhook that was sent.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Where to.
    pub url: String,
    /// The JSON body.
    pub body: Value,
    /// The receiver's answer; `None` if there was none.
    pub status: Option<u16>,
}

/// A webhook to be sent: the exact bytes, because a signature covers them.
pub(super) struct Delivery {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// The sending side's desk: hand in, ask what went out.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Delivery>,
    state: Arc<Outgoing>,
}

#[derive(Default)]
struct Outgoing {
    waiting: AtomicUsize,
    idle: Notify,
    sent: Mutex<Vec<Delivered>>,
}

/// Carries deliveries out, one after the other, on the simulator's thread.
pub(super) struct Courier {
    queue: mpsc::UnboundedReceiver<Delivery>,
    state: Arc<Outgoing>,
}

/// An empty outbox and its courier.
pub(super) fn outbox() -> (Outbox, Courier) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let state = Arc::<Outgoing>::default();
    (
        Outbox {
            queue: sender,
            state: Arc::clone(&state),
        },
        Courier { queue: receiver, state },
    )
}

impl Outbox {
    /// Queues a delivery.
    pub(super) fn send(&self, delivery: Delivery) {
        self.state.waiting.fetch_add(1, Ordering::SeqCst);
        if self.queue.send(delivery).is_err() {
            self.state.done();
        }
    }

    /// What was sent so far, in order.
    pub(super) fn sent(&self) -> Vec<Delivered> {
        self.state.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nothing is queued or in flight; false on timeout.
    pub(super) async fn idle(&self, timeout: Duration) -> bool {
        let settled = async {
            loop {
                let mut idle = std::pin::pin!(self.state.idle.notified());
                idle.as_mut().enable();
                if self.state.waiting.load(Ordering::SeqCst) == 0 {
                    return;
                }
                idle.await;
            }
        };
        tokio::time::timeout(timeout, settled).await.is_ok()
    }
}

impl Outgoing {
    fn done(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.idle.notify_waiters();
    }
}

impl Courier {
    /// Delivers until the simulator is gone.
    pub(super) async fn run(mut self) {
        let mut client = None;
        while let Some(delivery) = self.queue.recv().await {
            let mut status = None;
            // Made for the first delivery: most sandboxes never send one.
            let client = client.get_or_insert_with(|| reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build());
            if let Ok(client) = client {
                let mut request = client
                    .post(&delivery.url)
                    .header("content-type", "application/json")
                    .body(delivery.body.clone());
                for (name, value) in &delivery.headers {
                    request = request.header(*name, value);
                }
                status = request.send().await.ok().map(|answer| answer.status().as_u16());
            }
            let body = serde_json::from_slice(&delivery.body).unwrap_or(Value::Null);
            let sent = Delivered {
                url: delivery.url,
                body,
                status,
            };
            self.state
                .sent
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sent);
            self.state.done();
        }
    }
}
