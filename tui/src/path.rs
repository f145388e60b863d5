//! Paths of the admin API, with every segment encoded, so that no name can reach another URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;

/// What RFC 3986 calls unreserved stays as it is; all else is encoded, `/` included.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path and query below `/api/v1`.
#[derive(Clone, Debug)]
pub(crate) struct ApiPath {
    text: String,
    has_query: bool,
    has_empty: bool,
}

impl ApiPath {
    /// `/api/v1/{segments…}`.
    pub(crate) fn new(segments: &[&str]) -> Self {
        Self { text: "/api/v1".to_owned(), has_query: false, has_empty: false }.below(segments)
    }

    /// With more segments; before any query.
    #[must_use]
    pub(crate) fn below(mut self, segments: &[&str]) -> Self {
        for segment in segments {
            self.has_empty |= segment.is_empty();
            write!(self.text, "/{}", encode(segment)).expect("a string takes all that is written to it");
        }
        self
    }

    /// Below one app.
    pub(crate) fn of_app(app: &str, segments: &[&str]) -> Self {
        Self::new(&[&["apps", app], segments].concat())
    }

    /// With a query parameter, where it has a value.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            let mark = if self.has_query { '&' } else { '?' };
            self.has_query = true;
            write!(self.text, "{mark}{name}={}", encode(&value.to_string()))
                .expect("a string takes all that is written to it");
        }
        self
    }

    /// With a query parameter that is `true`, where it is.
    #[must_use]
    pub(crate) fn flag(self, name: &str, set: bool) -> Self {
        self.query(name, set.then_some("true"))
    }

    /// Whether a segment is empty: such a path would be another one's.
    pub(crate) fn has_empty(&self) -> bool {
        self.has_empty
    }

    /// As it stands in the request.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A segment that is `.` or `..` would be taken for a step; encoded dots are not.
fn encode(text: &str) -> String {
    match text {
        "." | ".." => text.replace('.', "%2E"),
        _ => utf8_percent_encode(text, ENCODED).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_segment_is_noticed() {
        assert!(ApiPath::of_app("a", &["kv", "x", ""]).has_empty() && ApiPath::of_app("", &[]).has_empty());
        assert!(!ApiPath::of_app("a", &["kv", "x"]).query("prefix", Some("")).has_empty());
    }

    #[test]
    fn every_segment_and_value_is_encoded() {
        let path = ApiPath::of_app("a", &["kv", "x y", "b/ü?", ".."])
            .query("prefix", Some("a&b"))
            .flag("reverse", true)
            .flag("keys_only", false)
            .query("cursor", None::<String>);
        assert_eq!(path.as_str(), "/api/v1/apps/a/kv/x%20y/b%2F%C3%BC%3F/%2E%2E?prefix=a%26b&reverse=true");
    }
}
