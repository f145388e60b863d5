//! Requests to the admin API as data, so that tests can look at what a key would have sent.

use crate::path::ApiPath;
use bytes::Bytes;
use http::Method;
use picloud_model::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One request to the admin API.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What to do.
    pub(crate) method: Method,
    /// With what.
    pub(crate) path: ApiPath,
    /// Only if the thing is at this version now (the ETag, without its quotes).
    pub(crate) if_match: Option<String>,
    /// JSON, or a file's bytes; empty for none.
    pub(crate) body: Bytes,
    /// Of the body, where it is not JSON.
    pub(crate) content_type: Option<String>,
    /// What else goes into its head: `if-none-match`, `range`, `x-picloud-metadata`. Names are in lower case.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Request {
    /// Without a body.
    pub(crate) fn new(method: Method, path: ApiPath) -> Self {
        Self { method, path, if_match: None, body: Bytes::new(), content_type: None, headers: Vec::new() }
    }

    /// Reads.
    pub(crate) fn get(path: ApiPath) -> Self {
        Self::new(Method::GET, path)
    }

    /// POSTs a value.
    pub(crate) fn post(path: ApiPath, value: &impl Serialize) -> Self {
        Self::new(Method::POST, path).json(value)
    }

    /// PUTs a value.
    pub(crate) fn put(path: ApiPath, value: &impl Serialize) -> Self {
        Self::new(Method::PUT, path).json(value)
    }

    /// PATCHes a value.
    pub(crate) fn patch(path: ApiPath, value: &impl Serialize) -> Self {
        Self::new(Method::PATCH, path).json(value)
    }

    /// Deletes.
    pub(crate) fn delete(path: ApiPath) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Only if the thing is at this version now.
    #[must_use]
    pub(crate) fn if_match(mut self, version: impl ToString) -> Self {
        self.if_match = Some(version.to_string());
        self
    }

    /// With bytes as they are, which are of this type.
    #[must_use]
    pub(crate) fn bytes(mut self, body: impl Into<Bytes>, content_type: &str) -> Self {
        self.body = body.into();
        self.content_type = Some(content_type.to_owned());
        self
    }

    /// With one more header.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Only if the thing is not there: what somebody else made meanwhile is never written over.
    #[must_use]
    pub(crate) fn if_absent(self) -> Self {
        self.header("if-none-match", "*")
    }

    fn json(mut self, value: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(value).expect("what is sent has names as keys").into();
        self
    }
}

/// What came back, with a status below 400.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// 2xx or 3xx.
    pub(crate) status: u16,
    /// The version in the ETag, without its quotes.
    pub(crate) etag: Option<String>,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` where it is empty.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let text: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(text).map_err(|error| {
            let detail = format!("the answer is not what this version expects: {error}");
            Problem::new(picloud_model::problem::Code::Internal, detail)
                .hint("`picloud version` shows both versions; they should be the same")
        })
    }
}

/// An answer, or why there is none. That nobody answers at all is `code: node-away`.
pub(crate) type Answered = Result<Answer, Problem>;
