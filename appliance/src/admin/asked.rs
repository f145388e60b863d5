//! The extractors for what a request says beside who asks: the URL's parts, the query, what the caller has seen.

use super::refusal::Refusal;
use axum::extract::{FromRequestParts, Path, Query};
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, request::Parts};
use picloud_model::problem::{Code, Problem};
use serde::de::DeserializeOwned;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// `If-Match`: what it must be at.
    at: Option<Tags>,
    /// `If-None-Match`: what it must not be at.
    not_at: Option<Tags>,
}

/// The ETags of a header, as far as they can be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever is there.
    Any,
    /// Any of these versions.
    Versions(Vec<i64>),
}

impl Tags {
    fn holds(&self, now: Option<i64>) -> bool {
        match self {
            Self::Any => now.is_some(),
            Self::Versions(versions) => now.is_some_and(|now| versions.contains(&now)),
        }
    }
}

impl Seen {
    /// The version that a store call expects, where the thing is at `now` as far as is known: 0 stands for "must not
    /// exist". Refuses what cannot hold; what changes meanwhile is for the store to see.
    pub(super) fn expected_at(&self, now: Option<i64>) -> Result<Option<i64>, Problem> {
        let refuse = |header: &str| {
            let now = now.map_or("it is not there".to_owned(), |now| format!("it is at \"{now}\" now"));
            Err(Problem::new(Code::PreconditionFailed, format!("`{header}` does not hold: {now}"))
                .hint("read it again, and change what is there now"))
        };
        if self.at.as_ref().is_some_and(|tags| !tags.holds(now)) {
            return refuse("If-Match");
        }
        match &self.not_at {
            Some(tags) if tags.holds(now) => refuse("If-None-Match"),
            Some(Tags::Any) => Ok(Some(0)),
            Some(_) => Ok(now),
            None => Ok(self.at.as_ref().and(now)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        read_seen(&parts.headers).map_err(Refusal)
    }
}

fn read_seen(headers: &HeaderMap) -> Result<Seen, Problem> {
    // A weak tag promises less than a change needs, so that `If-Match` never holds for one.
    Ok(Seen { at: read_tags(headers, IF_MATCH, false)?, not_at: read_tags(headers, IF_NONE_MATCH, true)? })
}

fn read_tags(headers: &HeaderMap, name: HeaderName, weak: bool) -> Result<Option<Tags>, Problem> {
    let malformed = || {
        Problem::new(Code::Malformed, format!("`{name}` cannot be read"))
            .hint(format!("send the ETag of the answer as it is: {name}: \"3\""))
    };
    let mut lines = headers.get_all(&name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let mut versions = Vec::new();
    for line in lines {
        let line = line.to_str().map_err(|_not_text| malformed())?.trim();
        if line == "*" {
            return Ok(Some(Tags::Any));
        }
        let mut rest = line;
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let (tag, after) = next_tag(rest).ok_or_else(malformed)?;
            // A well-formed tag that we never gave matches nothing.
            versions.extend(tag.version().filter(|_version| weak || !tag.weak));
            rest = after;
        }
    }
    Ok(Some(Tags::Versions(versions)))
}

/// One entity tag.
pub(super) struct Tag<'a> {
    /// Whether it promises little.
    pub(super) weak: bool,
    /// Without its quotes.
    pub(super) text: &'a str,
}

impl Tag<'_> {
    fn version(&self) -> Option<i64> {
        self.text.parse().ok()
    }
}

/// `"3", W/"4"` → the first tag, and what follows its comma. Digits without quotes are taken, too.
pub(super) fn next_tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |quoted| (true, quoted));
    let (tag, after) = match quoted.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => {
            let end = quoted.find(',').unwrap_or(quoted.len());
            let digits = quoted[..end].trim_end();
            let only_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            only_digits.then_some((digits, &quoted[end..]))?
        }
    };
    let after = after.trim_start();
    let after = if after.is_empty() { after } else { after.strip_prefix(',')?.trim_start() };
    Some((Tag { weak, text: tag }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: HeaderName, values: &[&str]) -> Result<Seen, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        read_seen(&headers)
    }

    #[test]
    fn if_match_holds_where_one_of_its_tags_is_the_version_now() {
        for (values, now, expected) in [
            (&["\"3\""][..], Some(3), Some(Some(3))),
            (&["3"], Some(3), Some(Some(3))),
            (&["\"1\", \"3\""], Some(3), Some(Some(3))),
            (&["\"1\"", "\"3\""], Some(3), Some(Some(3))),
            (&["\"1\" ,\"2\""], Some(3), None),
            (&["*"], Some(3), Some(Some(3))),
            (&["*"], None, None),
            (&["\"3\""], None, None),
            (&["W/\"3\""], Some(3), None),
            (&["\"abc, \""], Some(3), None),
        ] {
            let read = read(IF_MATCH, values).unwrap().expected_at(now);
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{values:?} at {now:?}");
            assert!(read.is_ok() || read.unwrap_err().code == Code::PreconditionFailed);
        }
        for bad in ["abc", "\"3", "\"3\" \"4\"", "W/3a", "3 4", "-1", ""] {
            assert_eq!(read(IF_MATCH, &[bad]).unwrap_err().code, Code::Malformed, "{bad}");
        }
    }

    #[test]
    fn if_none_match_holds_where_none_of_its_tags_is_the_version_now() {
        for (value, now, expected) in [
            ("*", None, Some(Some(0))),
            ("*", Some(3), None),
            ("W/\"3\"", Some(3), None),
            ("\"4\"", Some(3), Some(Some(3))),
        ] {
            let read = read(IF_NONE_MATCH, &[value]).unwrap().expected_at(now);
            assert_eq!(read.ok(), expected, "{value} at {now:?}");
        }
        assert_eq!(Seen::default().expected_at(Some(3)), Ok(None), "nothing asked, nothing expected");
    }
}
