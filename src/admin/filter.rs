//! What an operator may ask the lists for. Anything not understood is refused:
//! a mistyped filter that is ignored shows the wrong rows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use super::AdminError;
use crate::domain::{EventStatus, Source};
use crate::store::event_views::Wanted;

/// Rows shown when nobody says how many.
const DEFAULT_LIMIT: u16 = 50;
/// Most rows of one answer.
const MAX_LIMIT: u16 = 500;

/// A filter of `GET /api/admin/events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Which rows.
    pub wanted: Wanted,
    /// How many.
    pub limit: u16,
}

impl Filter {
    /// Reads the filter from named parameters.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] that names the parameter.
    pub fn read<'p>(get: impl Fn(&str) -> Option<&'p str>) -> Result<Self, AdminError> {
        let since = get("since").map(|text| moment("since", text)).transpose()?;
        let until = get("until").map(|text| moment("until", text)).transpose()?;
        Ok(Self {
            wanted: Wanted {
                source: get("source").map(source).transpose()?,
                status: get("status").map(status).transpose()?,
                entity_id: get("entityId").map(str::to_owned),
                before_seq: get("cursor").map(read_cursor).transpose()?,
                since,
                until,
            },
            limit: get("limit").map_or(Ok(DEFAULT_LIMIT), limit)?,
        })
    }
}

/// 1 to 500.
///
/// # Errors
/// [`AdminError::Invalid`].
pub fn limit(text: &str) -> Result<u16, AdminError> {
    text.parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| invalid("limit must be a whole number from 1 to 500"))
}

/// The limit when none was asked for.
pub const fn default_limit() -> u16 {
    DEFAULT_LIMIT
}

/// A status of the event tables.
///
/// # Errors
/// [`AdminError::Invalid`].
pub fn status(text: &str) -> Result<&'static str, AdminError> {
    EventStatus::parse(text)
        .map(EventStatus::as_str)
        .ok_or_else(|| invalid("status must be pending, processing, done or error"))
}

fn source(text: &str) -> Result<&'static str, AdminError> {
    match Source::parse(text) {
        Some(source @ (Source::Aloware | Source::Ghl)) => Ok(source.as_str()),
        Some(Source::Texting) => Err(invalid(
            "source must be aloware or ghl; texting has its own list, /api/admin/texting/events",
        )),
        None => Err(invalid("source must be aloware or ghl")),
    }
}

fn moment(name: &str, text: &str) -> Result<DateTime<Utc>, AdminError> {
    // An unescaped `+` of an offset arrives as a blank.
    let text = text.replace(' ', "+");
    DateTime::parse_from_rfc3339(&text)
        .map(|moment| moment.to_utc())
        .map_err(|_| invalid(&format!("{name} must be a time as in 2026-08-05T20:58:44Z")))
}

/// Where the next page starts. Opaque to callers.
pub fn write_cursor(seq: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("seq:{seq}"))
}

fn read_cursor(text: &str) -> Result<i64, AdminError> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("seq:")?.parse().ok())
        .ok_or_else(|| invalid("cursor is not one of ours"))
}

fn invalid(detail: &str) -> AdminError {
    AdminError::Invalid(detail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &'static str)]) -> Result<Filter, String> {
        Filter::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn limits_are_whole_numbers_from_1_to_500_and_nothing_else() {
        assert_eq!(read(&[]).unwrap().limit, 50);
        assert_eq!(read(&[("limit", "1")]).unwrap().limit, 1);
        assert_eq!(read(&[("limit", "500")]).unwrap().limit, 500);
        for wrong in ["0", "501", "-1", "abc", "1.5", "+5", "5x", "99999999999999999999", "٥"] {
            assert!(read(&[("limit", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_the_place_it_was_made_of() {
        let cursor: &'static str = Box::leak(write_cursor(4_711).into_boxed_str());
        assert_eq!(read(&[("cursor", cursor)]).unwrap().wanted.before_seq, Some(4_711));
        for wrong in ["4711", "!!", "c2VxOng"] {
            assert!(read(&[("cursor", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_values_are_refused_by_name() {
        for (name, value) in [
            ("source", "hubspot"),
            ("source", "texting"),
            ("status", "DONE"),
            ("since", "yesterday"),
            ("until", "2026-08-05"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
        let filter = read(&[
            ("source", "ghl"),
            ("status", "error"),
            ("since", "2026-08-05T20:58:44 02:00"),
        ])
        .unwrap();
        assert_eq!(
            (filter.wanted.source, filter.wanted.status),
            (Some("ghl"), Some("error"))
        );
        assert_eq!(filter.wanted.since.unwrap().to_rfc3339(), "2026-08-05T18:58:44+00:00");
    }
}
