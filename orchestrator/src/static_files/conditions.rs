//! What a request's conditions and range make of a file: all of it, a part, or nothing new.

use http::header::{self, HeaderName};
use http::{HeaderMap, Method};
use picloud_model::ContentHash;
use picloud_model::clock::UnixMs;
use picloud_model::protocol::StaticEntry;
use std::time::{Duration, SystemTime};

/// A file as conditions and ranges see it.
#[derive(Clone, Copy, Debug)]
pub struct Representation {
    /// Its content: the strong validator.
    pub hash: ContentHash,
    /// Its size.
    pub size_bytes: u64,
    /// When it was made or last changed.
    pub updated_at: UnixMs,
}

impl From<&StaticEntry> for Representation {
    fn from(entry: &StaticEntry) -> Self {
        Self { hash: entry.hash, size_bytes: entry.size_bytes, updated_at: entry.updated_at }
    }
}

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: the client has it.
    NotModified,
    /// Nothing: it has no such bytes.
    NotSatisfiable,
    /// The bytes from `from` up to and without `to`.
    Send {
        /// The first byte.
        from: u64,
        /// Behind the last.
        to: u64,
        /// Whether a range was asked for.
        partial: bool,
    },
}

/// What `request` asks for of the file.
pub fn plan(method: &Method, request: &HeaderMap, entry: &Representation) -> Plan {
    if not_modified(request, entry) {
        return Plan::NotModified;
    }
    let whole = Plan::Send { from: 0, to: entry.size_bytes, partial: false };
    // A range means something for GET alone.
    let range = if *method == Method::GET { text(request, header::RANGE) } else { None };
    match range {
        Some(range) if range_still_applies(request, entry) => part(range, entry.size_bytes).unwrap_or(whole),
        _ => whole,
    }
}

/// The strong validator: the content's hash.
pub fn etag(entry: &Representation) -> String {
    format!("\"{}\"", entry.hash)
}

/// When the file last changed, to the second, as HTTP has it.
pub fn modified(entry: &Representation) -> SystemTime {
    let seconds = u64::try_from(entry.updated_at.div_euclid(1000)).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn not_modified(request: &HeaderMap, entry: &Representation) -> bool {
    if let Some(tags) = text(request, header::IF_NONE_MATCH) {
        let etag = etag(entry);
        return tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
    }
    let since = text(request, header::IF_MODIFIED_SINCE).and_then(|date| httpdate::parse_http_date(date).ok());
    since.is_some_and(|since| modified(entry) <= since)
}

/// Without `If-Range` always; with it, only while the client's part is of this very content.
fn range_still_applies(request: &HeaderMap, entry: &Representation) -> bool {
    match text(request, header::IF_RANGE) {
        None => !request.contains_key(header::IF_RANGE),
        Some(tag) if tag.starts_with('"') => tag == etag(entry),
        Some(date) => httpdate::parse_http_date(date).is_ok_and(|date| date == modified(entry)),
    }
}

/// One range of bytes. `None` for what is no such range or is several: RFC 9110 lets a server ignore those.
fn part(range: &str, size: u64) -> Option<Plan> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let number = |digits: &str| {
        let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number too big for us is beyond every file.
        all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    let (from, to) = match (first, last) {
        ("", suffix) => (size.saturating_sub(number(suffix)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => (number(first)?, number(last)?.saturating_add(1).min(size)),
    };
    if !first.is_empty() && !last.is_empty() && number(first)? > number(last)? {
        return None;
    }
    if from < to { Some(Plan::Send { from, to, partial: true }) } else { Some(Plan::NotSatisfiable) }
}

/// Whether `Accept-Encoding` allows `encoding`.
pub(super) fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let mut by_star = false;
    for item in values.flat_map(|value| value.split(',')) {
        let (name, quality) = item.split_once(';').unwrap_or((item, ""));
        let quality = quality.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
        let name = name.trim();
        if name.eq_ignore_ascii_case(encoding) {
            return quality > 0.0;
        }
        by_star |= name == "*" && quality > 0.0;
    }
    by_star
}

fn text(request: &HeaderMap, name: HeaderName) -> Option<&str> {
    request.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_or_ignored_or_not_satisfiable() {
        let send = |from, to| Some(Plan::Send { from, to, partial: true });
        for (range, expected) in [
            ("bytes=0-0", send(0, 1)),
            ("bytes=2-4", send(2, 5)),
            ("bytes=2-", send(2, 10)),
            ("bytes=-3", send(7, 10)),
            ("bytes=-30", send(0, 10)),
            ("bytes=5-99999999999999999999999", send(5, 10)),
            ("bytes=10-", Some(Plan::NotSatisfiable)),
            ("bytes=99999999999999999999999-", Some(Plan::NotSatisfiable)),
            ("bytes=-0", Some(Plan::NotSatisfiable)),
            ("bytes=4-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("chunks=1-2", None),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Some(Plan::NotSatisfiable));
    }

    #[test]
    fn an_encoding_is_taken_only_where_it_is_accepted() {
        for (value, br) in
            [("gzip, br", true), ("br;q=0", false), ("*", true), ("br;q=0, *", false), ("gzip", false), ("BR", true)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(accepts(&headers, "br"), br, "{value}");
        }
        assert!(!accepts(&HeaderMap::new(), "br"));
    }
}
