//! Query parameters. Blank counts as not given; a name given twice is an error.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, web};

use super::problem::Problem;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the request's query.
    ///
    /// # Errors
    /// 400 when it is malformed or names a parameter twice.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| Problem::bad_request("query string is malformed"))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs.into_inner() {
            if params.insert(name, value.trim().to_owned()).is_some() {
                return Err(Problem::bad_request("a query parameter stands twice"));
            }
        }
        Ok(Self(params))
    }

    /// The value of `name`, if it has one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn params(uri: &str) -> Result<Params, Problem> {
        Params::of(&TestRequest::with_uri(uri).to_http_request())
    }

    #[test]
    fn blanks_count_as_not_given_and_repeats_are_refused() {
        let read = params("/x?a=1&b=&c=%20&d=%2B1%20619").unwrap();
        assert_eq!((read.get("a"), read.get("b"), read.get("c")), (Some("1"), None, None));
        assert_eq!(read.get("d"), Some("+1 619"));
        assert!(params("/x?a=1&a=2").is_err());
        assert!(params("/x").unwrap().get("a").is_none());
    }
}
