//! Failures on demand: what the next matching requests meet instead of a
//! plain answer.
//!
//! A rule is `(method, path pattern, how often)`. The first rule that matches
//! and is not used up applies, and only that one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer; nothing happens at the vendor.
    Status {
        /// HTTP status.
        status: u16,
        /// Body, sent as JSON if it parses as JSON.
        body: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// 429, with `Retry-After` in whole seconds if given.
    RateLimited {
        /// The wait to announce.
        retry_after: Option<Duration>,
    },
    /// No answer. When released, the connection is dropped.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// `Content-Length` promises more than arrives before the close.
    Truncated,
    /// 200 with a web page.
    HtmlOk,
    /// The request is handled this much later.
    Delay(Duration),
    /// The request waits for the release, then is handled as usual.
    Gate,
    /// The effect happens first, then the fault: created but 422, created and
    /// never answered. With `Delay` and `Gate` the true answer comes late.
    ApplyThen(Box<Fault>),
}

impl Fault {
    /// A bare status with this body.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Status {
            status,
            body: body.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The effect happens, then this fault.
    pub fn apply_then(fault: Self) -> Self {
        Self::ApplyThen(Box::new(fault))
    }
}

/// How often a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next matching request.
    Once,
    /// The next so many.
    Next(u32),
    /// Until it is removed.
    Forever,
}

struct Rule {
    id: u64,
    method: String,
    pattern: String,
    left: Option<u32>,
    hits: u64,
    fault: Fault,
    latch: watch::Sender<bool>,
}

/// The rules of one vendor.
#[derive(Clone, Default)]
pub(super) struct Faults {
    rules: Arc<Mutex<Rules>>,
}

#[derive(Default)]
struct Rules {
    next_id: u64,
    list: Vec<Rule>,
}

impl Faults {
    pub(super) fn add(&self, method: &str, pattern: &str, times: Times, fault: Fault) -> FaultHandle {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.next_id += 1;
        let id = rules.next_id;
        let latch = watch::Sender::new(false);
        rules.list.push(Rule {
            id,
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            left: match times {
                Times::Once => Some(1),
                Times::Next(count) => Some(count),
                Times::Forever => None,
            },
            hits: 0,
            fault,
            latch: latch.clone(),
        });
        FaultHandle {
            id,
            rules: Arc::clone(&self.rules),
            latch,
        }
    }

    /// The fault this request meets, and the latch that ends a wait.
    pub(super) fn take(&self, method: &str, path: &str) -> Option<(Fault, watch::Receiver<bool>)> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.list.iter_mut().find(|rule| {
            rule.left != Some(0)
                && (rule.method == "*" || rule.method.eq_ignore_ascii_case(method))
                && matches(&rule.pattern, path)
        })?;
        rule.left = rule.left.map(|left| left - 1);
        rule.hits += 1;
        Some((rule.fault.clone(), rule.latch.subscribe()))
    }

    /// Removes every rule and releases whoever waits.
    pub(super) fn clear(&self) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules.list.drain(..) {
            rule.latch.send_replace(true);
        }
    }
}

/// A switched-on fault. Dropping the handle leaves the fault on.
pub struct FaultHandle {
    id: u64,
    rules: Arc<Mutex<Rules>>,
    latch: watch::Sender<bool>,
}

impl FaultHandle {
    /// Lets requests held by `Hang` or `Gate` go, now and in future.
    pub fn release(&self) {
        self.latch.send_replace(true);
    }

    /// Switches the fault off; requests already held stay held.
    pub fn remove(&self) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.list.retain(|rule| rule.id != self.id);
    }

    /// How many requests met it. Zero once it is removed.
    pub fn hits(&self) -> u64 {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules
            .list
            .iter()
            .find(|rule| rule.id == self.id)
            .map_or(0, |rule| rule.hits)
    }
}

/// A pattern without `*` is a prefix; with `*` (any characters, slashes too)
/// it covers the whole path.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else {
        return path.starts_with(pattern);
    };
    let Some(mut left) = path.strip_prefix(head) else {
        return false;
    };
    while let Some((middle, tail)) = rest.split_once('*') {
        let Some(at) = left.find(middle) else {
            return false;
        };
        left = left.get(at + middle.len()..).unwrap_or_default();
        rest = tail;
    }
    left.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_is_a_prefix_unless_it_has_a_star() {
        assert!(matches("/contacts/", "/contacts/abc/tags"));
        assert!(!matches("/contacts/", "/conversations/x"));
        assert!(matches("*", "/anything"));
        assert!(matches("/contacts/*/notes", "/contacts/abc/notes"));
        assert!(!matches("/contacts/*/notes", "/contacts/abc/notes/1"));
        assert!(matches("/contacts/*/notes/*", "/contacts/abc/notes/1"));
        assert!(!matches("/contacts/*/tags", "/contacts/abc/notes"));
    }
}
