//! The request a run answers, as the orchestrator hands it over: plain text and bytes, nothing parsed.
//!
//! Parsing happens in [`crate::ctx`] when a script asks for a part, so that a script that asks for nothing
//! pays for nothing.

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, …
    pub method: String,
    /// Normalised, without the query.
    pub path: String,
    /// The pattern of the route that matched.
    pub route: String,
    /// The route's parameters with what they matched, decoded.
    pub params: Vec<(String, String)>,
    /// What follows the `?`, as it came.
    pub query: String,
    /// Names in any case, values as text; repeated ones in the order they came.
    pub headers: Vec<(String, String)>,
    /// The client's address, without the port.
    pub remote_addr: String,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The first header called `name`, which is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
