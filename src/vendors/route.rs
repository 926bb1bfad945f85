//! Paths and queries of vendor calls, encoded so that no id can leave its
//! segment and no `+` is read as a blank.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::VendorError;

/// Everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path below a vendor's base address, built of fixed text and encoded ids.
#[derive(Debug)]
pub(crate) struct Route(String);

impl Route {
    /// Starts with a fixed, already encoded path such as `/contacts`.
    pub(crate) fn new(fixed: &'static str) -> Self {
        Self(fixed.to_owned())
    }

    /// Adds one encoded segment. `.` and `..`, which address parsing would
    /// resolve even when percent-encoded, and blank ids are refused.
    pub(crate) fn id(mut self, raw: &str) -> Result<Self, VendorError> {
        if matches!(raw, "" | "." | "..") {
            return Err(VendorError::Refused {
                reason: "an id that cannot stand in a path",
            });
        }
        self.0.push('/');
        self.0.extend(utf8_percent_encode(raw, ENCODED));
        Ok(self)
    }

    /// Adds fixed text such as `/tags`.
    pub(crate) fn then(mut self, fixed: &'static str) -> Self {
        self.0.push_str(fixed);
        self
    }

    /// The encoded path.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The query with every name and value encoded, `+` included.
pub(crate) fn query(pairs: &[(&'static str, &str)]) -> String {
    pairs
        .iter()
        .map(|(name, value)| {
            format!(
                "{}={}",
                utf8_percent_encode(name, ENCODED),
                utf8_percent_encode(value, ENCODED)
            )
        })
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_id_stays_one_segment() {
        let base = url::Url::parse("https://vendor.example/v2").unwrap();
        for hostile in ["../users/1?x=", "a/b", "%2e%2e", "a#b", "..\\x", "é\n", "... "] {
            let route = Route::new("/contacts").id(hostile).unwrap().then("/tags");
            let url = url::Url::parse(&format!("{base}{}", route.as_str())).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            assert_eq!(segments.len(), 4, "{hostile}: {url}");
            assert_eq!((segments[1], segments[3]), ("contacts", "tags"), "{hostile}: {url}");
            assert_eq!((url.query(), url.fragment()), (None, None), "{hostile}: {url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_id_comes_back_from_its_own_segment(id: String) {
            let Ok(route) = Route::new("/contacts").id(&id) else {
                return Ok(());
            };
            let url = url::Url::parse(&format!("https://vendor.example{}", route.as_str())).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            proptest::prop_assert_eq!(segments.len(), 2);
            let read = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
            proptest::prop_assert_eq!(read.as_ref(), id.as_str());
        }
    }

    #[test]
    fn dot_segments_are_refused_because_no_encoding_saves_them() {
        for id in [".", "..", ""] {
            assert!(
                matches!(Route::new("/contacts").id(id), Err(VendorError::Refused { .. })),
                "{id}"
            );
        }
    }

    #[test]
    fn a_plus_sign_in_a_query_is_encoded() {
        assert_eq!(
            query(&[("number", "+16195550111"), ("q", "a b&c")]),
            "number=%2B16195550111&q=a%20b%26c"
        );
    }
}
