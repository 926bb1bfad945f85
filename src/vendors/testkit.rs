//! A vendor on a local port for this room's tests: real TCP, scripted answers,
//! and a record of what arrived.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use crate::config;
use crate::loops::Intent;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, as on the wire.
    pub(crate) target: String,
    head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What the vendor does with a request.
pub(crate) enum Reply {
    Json(u16, Value),
    /// Status, header lines, body.
    Raw(u16, &'static [&'static str], String),
    /// Never answers.
    Hang,
    /// Reads the request and ends the connection.
    Drop,
    /// Ends the connection in the middle of the body.
    Truncate,
}

pub(crate) struct Vendor {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    listener: JoinHandle<()>,
}

impl Vendor {
    /// Starts a vendor that answers each request by `script`.
    pub(crate) async fn new(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&script)));
            }
        });
        Self {
            address,
            seen,
            listener,
        }
    }

    /// A vendor that gives every request the same JSON.
    pub(crate) async fn saying(status: u16, body: Value) -> Self {
        Self::new(move |_| Reply::Json(status, body.clone())).await
    }

    pub(crate) fn base(&self) -> Url {
        format!("http://{}/", self.address).parse().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Seen>>>, script: Arc<impl Fn(&Seen) -> Reply + Send + Sync>) {
    let Some(seen) = receive(&mut stream).await else {
        return;
    };
    log.lock().unwrap().push(seen.clone());
    let (status, headers, body) = match script(&seen) {
        Reply::Json(status, body) => (status, &["content-type: application/json"][..], body.to_string()),
        Reply::Raw(status, headers, body) => (status, headers, body),
        Reply::Drop => return,
        Reply::Hang => {
            // Until the client gives up.
            while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {}
            return;
        }
        Reply::Truncate => {
            let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"id\":";
            stream.write_all(half.as_bytes()).await.unwrap();
            return;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    // A client that refuses a large body hangs up early.
    stream
        .write_all(format!("{head}{lines}\r\n{body}").as_bytes())
        .await
        .ok();
}

async fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let mut raw = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        raw.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&raw);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut first = head.lines().next()?.split(' ');
        let seen = Seen {
            method: first.next()?.to_owned(),
            target: first.next()?.to_owned(),
            head: head.to_owned(),
            body: body.to_owned(),
        };
        let length = seen.header("content-length").map_or(0, |n| n.parse().unwrap());
        if seen.body.len() >= length {
            return Some(seen);
        }
    }
}

pub(crate) fn proof() -> Intent {
    Intent::recorded("test:step".to_owned())
}

pub(crate) fn http() -> config::Http {
    config::Http {
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn ghl(base: Url) -> config::Ghl {
    config::Ghl {
        base_url: base,
        api_key: SecretString::from("pit-one-secret"),
        api_key_next: None,
        location_id: "loc1".to_owned(),
        webhook_secret: None,
        webhook_public_keys: Vec::new(),
        webhook_require_signature: true,
        rate_limit: config::Rate {
            count: 1000,
            period: Duration::from_secs(1),
        },
        daily_limit: 200_000,
        conversation_provider_id: Some("prov1".to_owned()),
        call_provider_id: Some("calls1".to_owned()),
        custom_fields: Default::default(),
    }
}

pub(crate) fn aloware(base: Url) -> config::Aloware {
    config::Aloware {
        base_url: base,
        api_token: SecretString::from("alo+secret/token"),
        webhook_user: SecretString::from("u"),
        webhook_pass: SecretString::from("p"),
        webhook_bearer: None,
        allowed_events: Vec::new(),
        rate_limit: config::Rate {
            count: 1000,
            period: Duration::from_secs(1),
        },
        tag_lists: Default::default(),
        call_surface: config::CallSurface::Documented,
    }
}

pub(crate) fn texting(base: Option<Url>) -> config::Texting {
    config::Texting {
        base_url: base,
        api_key: Some(SecretString::from("texting-secret")),
        webhook_secrets: Vec::new(),
        public_url: None,
        from_numbers: vec!["+16195550100".to_owned()],
        location_id: None,
        sync_to_aloware: false,
        vendor: crate::domain::TextingVendor::Generic,
        quiet_hours: config::QuietHours::Off,
        answer_window: Duration::ZERO,
        recipient_limit: config::Rate {
            count: 1000,
            period: Duration::from_secs(1),
        },
        rate_limit: config::Rate {
            count: 1000,
            period: Duration::from_secs(1),
        },
        max_segments: 10,
        stop_reply: None,
    }
}
