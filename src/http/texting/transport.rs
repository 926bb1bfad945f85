//! From whatever a delivery came as to JSON, which is all that ingest reads:
//! JSON stays as it is; a form, a multipart form and a query become one flat
//! object of strings, a repeated name an array of them.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use multer::{Multipart, parse_boundary};
use serde_json::{Map, Value, json};
use url::form_urlencoded::parse;

use super::{Carrier, Verified};

/// How much of a body that nobody can read is kept.
const LONGEST_UNREADABLE: usize = 64 << 10;

/// The delivery as JSON, and as it came where it is neither JSON nor a form. A
/// Content-Type that lies is not believed.
pub async fn to_json(delivery: &Verified, content_type: &str) -> Bytes {
    let content = &delivery.content;
    if delivery.carrier == Carrier::Query {
        return object(parse(content).into_owned());
    }
    let multipart = match parse_boundary(content_type) {
        Ok(boundary) => fields(content.clone(), boundary).await.ok(),
        Err(_) => None,
    };
    match multipart {
        Some(fields) => object(fields.into_iter()),
        None if is_form(content, content_type) => object(parse(content.trim_ascii()).into_owned()),
        None => content.clone(),
    }
}

/// A delivery that is authentic and yet nothing, to be kept and looked at.
pub fn unreadable(delivery: &Verified) -> Bytes {
    let kept = delivery.content.get(..LONGEST_UNREADABLE).unwrap_or(&delivery.content);
    let text = String::from_utf8_lossy(kept);
    json!({"unreadable": text}).to_string().into()
}

/// Whether a body is a form: by its looks where the Content-Type does not say
/// so. JSON never looks like one.
fn is_form(body: &[u8], content_type: &str) -> bool {
    let declared = content_type
        .get(..FORM.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(FORM));
    let body = body.trim_ascii();
    let foreign = |byte: &u8| byte.is_ascii_control() || b" \"<>{}".contains(byte);
    let opens = body.first().is_none_or(|first| b"\"<{[".contains(first));
    !opens && body.contains(&b'=') && (declared || !body.iter().any(foreign))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The text fields of a multipart form; files are counted and left out.
async fn fields(body: Bytes, boundary: String) -> Result<Vec<(String, String)>, multer::Error> {
    let whole = stream::iter([Ok::<_, Infallible>(body)]);
    let mut parts = Multipart::new(whole, boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await? {
        match part.name().map(str::to_owned) {
            Some(name) if part.file_name().is_none() => fields.push((name, part.text().await?)),
            _ => metrics::counter!("texting_files_ignored_total").increment(1),
        }
    }
    Ok(fields)
}

fn object(fields: impl Iterator<Item = (String, String)>) -> Bytes {
    let mut map: Map<String, Value> = Map::new();
    for (name, value) in fields {
        match map.get_mut(&name) {
            None => {
                map.insert(name, Value::String(value));
            }
            Some(Value::Array(values)) => values.push(Value::String(value)),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(map).to_string().into()
}
