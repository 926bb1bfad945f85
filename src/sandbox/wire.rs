//! A request as a simulator sees it, and the answer it gives back.
//!
//! Knows no vendor and no server: simulators stay plain functions of a
//! request, so faults, recording and latency can be laid around them.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use serde_json::{Map, Value};

/// One of the three simulated vendors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vendor {
    /// GoHighLevel.
    Ghl,
    /// Aloware.
    Aloware,
    /// The texting vendor.
    Texting,
}

/// A decoded request.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: BTreeMap<String, String>,
    /// Parsed JSON; `Null` for an empty body, text for one that is not JSON.
    pub(super) body: Value,
    /// The body was declared as JSON but does not parse.
    pub(super) malformed: bool,
}

impl Request {
    /// Decodes what actix received. The query is read as browsers and servers
    /// do: an unescaped `+` is a space.
    pub(super) fn read(request: &HttpRequest, raw: &Bytes) -> Self {
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_ascii_lowercase(), value)
            })
            .collect::<BTreeMap<_, _>>();
        let declared_json = headers
            .get("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"));
        let parsed = serde_json::from_slice::<Value>(raw);
        let malformed = declared_json && !raw.is_empty() && parsed.is_err();
        let body = match parsed {
            _ if raw.is_empty() => Value::Null,
            Ok(value) => value,
            Err(_) => Value::String(String::from_utf8_lossy(raw).into_owned()),
        };
        Self {
            method: request.method().as_str().to_owned(),
            path: percent_encoding::percent_decode_str(request.uri().path())
                .decode_utf8_lossy()
                .into_owned(),
            query: url::form_urlencoded::parse(request.query_string().as_bytes())
                .into_owned()
                .collect(),
            headers,
            body,
            malformed,
        }
    }

    /// A header by lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first query parameter of that name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The path cut at its slashes, without the leading one.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.strip_prefix('/').unwrap_or(&self.path).split('/').collect()
    }

    /// The JSON object of the body; empty when there is none, or when the
    /// request does not say that it is JSON (servers then skip parsing it).
    pub(super) fn object(&self) -> Map<String, Value> {
        let declared = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"));
        match &self.body {
            Value::Object(map) if declared => map.clone(),
            _ => Map::new(),
        }
    }

    /// The token of `Authorization: Bearer …`.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// What goes back to the client.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// A JSON answer.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: Some("application/json; charset=utf-8"),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        }
    }

    /// A web page where an API answer was expected.
    pub(super) fn html(status: u16) -> Self {
        let page = "<!DOCTYPE html>\n<html><head><title>App</title></head><body></body></html>\n";
        Self {
            status,
            content_type: Some("text/html; charset=UTF-8"),
            headers: Vec::new(),
            body: Bytes::from_static(page.as_bytes()),
        }
    }

    /// An answer with this text, JSON if it looks like it.
    pub(super) fn text(status: u16, body: &str) -> Self {
        let json = serde_json::from_str::<Value>(body).is_ok();
        Self {
            status,
            content_type: match (body.is_empty(), json) {
                (true, _) => None,
                (false, true) => Some("application/json; charset=utf-8"),
                (false, false) => Some("text/plain; charset=utf-8"),
            },
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    /// Adds a header unless it is already there.
    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        if !self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name)) {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}
