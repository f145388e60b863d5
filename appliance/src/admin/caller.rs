//! The extractors that handlers take: who asks, which app, which query.

use super::refusal::Refusal;
use crate::appliance::Appliance;
use axum::extract::{FromRequestParts, Path, Query, RawPathParams};
use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use picloud_model::app::App;
use picloud_model::principal::Principal;
use picloud_model::problem::{Code, Problem};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The appliance, as handlers see it.
pub(super) type State = axum::extract::State<Arc<Appliance>>;

/// Who asks; a handler without it does not know.
pub(super) struct Caller(pub(super) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let principal = parts.extensions.get::<Principal>().cloned();
        let unknown = || Problem::new(Code::Unauthenticated, "nobody is known to ask");
        Ok(Self(principal.ok_or_else(unknown)?))
    }
}

/// The app that the URL names; 404 where there is none.
pub(super) struct InApp(pub(super) App);

impl FromRequestParts<Arc<Appliance>> for InApp {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, appliance: &Arc<Appliance>) -> Result<Self, Refusal> {
        let params = RawPathParams::from_request_parts(parts, appliance).await;
        let params = params.map_err(|error| Problem::new(Code::Malformed, error.to_string()))?;
        let name = params.iter().find(|(key, _value)| *key == "app").map(|(_key, value)| value).unwrap_or_default();
        let app = appliance.store.app(name).await?;
        Ok(Self(app.ok_or_else(|| Problem::not_found("app", name))?))
    }
}

/// The URL's parts, decoded.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(error) => Err(Problem::new(Code::Malformed, format!("the URL cannot be read: {error}")).into()),
        }
    }
}

/// What stands after `?`; an unknown name there is refused.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => {
                let source = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                Err(Problem::new(Code::Malformed, format!("the query cannot be read: {source}")).into())
            }
        }
    }
}

/// What the caller has seen of the thing it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// `If-Match: "3"`: it must be at this version.
    pub(super) version: Option<i64>,
    /// `If-Match: *`: it must be there, at any version.
    pub(super) present: bool,
    /// `If-None-Match: *`: it must not be there.
    pub(super) absent: bool,
}

impl Seen {
    /// The version that a store call expects: 0 stands for "must not exist".
    pub(super) fn expected(self) -> Option<i64> {
        if self.absent { Some(0) } else { self.version }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        read_seen(&parts.headers).map_err(Refusal)
    }
}

fn read_seen(headers: &HeaderMap) -> Result<Seen, Problem> {
    let refuse =
        |name: &str, hint: &str| Err(Problem::new(Code::Malformed, format!("`{name}` cannot be read")).hint(hint));
    let mut seen = Seen::default();
    if let Some(value) = headers.get(IF_MATCH) {
        let tag = value.to_str().unwrap_or_default().trim();
        let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
        match (tag, digits.parse()) {
            ("*", _) => seen.present = true,
            (_, Ok(version)) => seen.version = Some(version),
            // A well-formed tag that we never gave matches nothing.
            (_, Err(_)) if tag.starts_with('"') || tag.starts_with("W/") => seen.version = Some(-1),
            (_, Err(_)) => return refuse("If-Match", "send the ETag of the answer as it is: If-Match: \"3\""),
        }
    }
    if let Some(value) = headers.get(IF_NONE_MATCH) {
        seen.absent = value == "*";
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_a_tag_as_it_was_given() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, value.parse().unwrap());
            read_seen(&headers)
        };
        assert_eq!(read("\"3\"").unwrap().expected(), Some(3));
        assert_eq!(read("3").unwrap().expected(), Some(3));
        assert!(read("*").unwrap().present);
        assert_eq!(read("\"abc\"").unwrap().expected(), Some(-1), "a foreign tag matches nothing");
        assert!(read("abc").is_err());
    }
}
