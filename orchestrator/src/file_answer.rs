//! The head of an answer that is a file somebody stored: the same on the ingress and on the admin API.
//!
//! Whoever stores a file also chooses its type, so that a browser is told to guess nothing, and to show only what
//! cannot run anything.

use crate::static_files::conditions::{Plan, Representation, etag, modified, plan};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use picloud_model::file::File;
use picloud_model::{Code, Problem};

/// What stands as it is in `filename*` (RFC 8187).
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Types that a browser may show in place, beside images, sound and films.
const SHOWN: [&str; 3] = ["application/pdf", "text/plain", "text/csv"];

/// What `request` asks for of `file`.
pub fn plan_of(method: &Method, request: &HeaderMap, file: &File) -> Plan {
    plan(method, request, &representation(file))
}

/// The head of the answer, without a body and its length.
pub fn head_of(plan: &Plan, file: &File) -> Response<()> {
    let mut response = Response::new(());
    let representation = representation(file);
    *response.status_mut() = match plan {
        Plan::NotModified => StatusCode::NOT_MODIFIED,
        Plan::NotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        Plan::Send { partial: true, .. } => StatusCode::PARTIAL_CONTENT,
        Plan::Send { .. } => StatusCode::OK,
    };
    let headers = response.headers_mut();
    match plan {
        Plan::NotSatisfiable => {
            headers.insert(header::CONTENT_RANGE, ascii(format!("bytes */{}", file.size)));
            return response;
        }
        Plan::Send { from, to, partial: true } => {
            headers.insert(header::CONTENT_RANGE, ascii(format!("bytes {from}-{}/{}", to - 1, file.size)));
        }
        Plan::NotModified | Plan::Send { .. } => {}
    }
    headers.insert(header::ETAG, ascii(etag(&representation)));
    headers.insert(header::LAST_MODIFIED, ascii(httpdate::fmt_http_date(modified(&representation))));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(file.content_type.as_str()).unwrap_or(unknown));
    headers.insert(header::CONTENT_DISPOSITION, ascii(disposition(file)));
    response
}

/// What a client is told that asks for bytes behind the end.
pub fn not_satisfiable(file: &File) -> Problem {
    Problem::new(Code::RangeNotSatisfiable, format!("the file `{}` has only {} bytes", file.id, file.size))
}

fn representation(file: &File) -> Representation {
    Representation { hash: file.sha256, size_bytes: file.size, updated_at: file.updated_at }
}

/// `inline; filename="a b.png"; filename*=UTF-8''a%20b.png`
fn disposition(file: &File) -> String {
    let essence = file.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').unwrap_or((&essence, ""));
    // SVG can hold scripts.
    let is_shown =
        SHOWN.contains(&essence.as_str()) || matches!(kind, "image" | "audio" | "video") && !subtype.contains("xml");
    let how = if is_shown { "inline" } else { "attachment" };
    // Some programs take a path in a name for one.
    let plain = |character: char| match character {
        ' '..='~' if !matches!(character, '"' | '\\' | '/' | '%') => character,
        _ => '_',
    };
    let fallback: String = file.name.chars().map(plain).collect();
    let mut text = format!("{how}; filename=\"{fallback}\"");
    if fallback != file.name {
        text += &format!("; filename*=UTF-8''{}", utf8_percent_encode(&file.name.replace(['/', '\\'], "_"), EXTENDED));
    }
    text
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of digits, hashes, dates and encoded names")
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::ContentHash;
    use picloud_model::ids::FileId;

    fn file(name: &str, content_type: &str) -> File {
        File {
            id: FileId(uuid::Uuid::nil()),
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            size: 10,
            sha256: ContentHash::of(b"0123456789"),
            version: 1,
            created_at: 0,
            updated_at: 0,
            metadata: "{}".to_owned(),
        }
    }

    #[test]
    fn a_browser_shows_only_what_cannot_run_anything_and_a_name_cannot_leave_its_header() {
        for (name, content_type, expected) in [
            ("a b.png", "image/png", "inline; filename=\"a b.png\""),
            ("x.svg", "image/svg+xml", "attachment; filename=\"x.svg\""),
            ("x.html", "text/html; charset=utf-8", "attachment; filename=\"x.html\""),
            ("x", "TEXT/PLAIN", "inline; filename=\"x\""),
            ("x", "", "attachment; filename=\"x\""),
            ("ä\"\r\n;.txt", "text/x", "attachment; filename=\"____;.txt\"; filename*=UTF-8''%C3%A4%22%0D%0A%3B.txt"),
            ("../a", "video/mp4", "inline; filename=\".._a\"; filename*=UTF-8''.._a"),
        ] {
            assert_eq!(disposition(&file(name, content_type)), expected);
        }
    }

    #[test]
    fn a_head_says_what_was_made_of_conditions_and_range() {
        let file = file("a", "text/plain");
        let tag = format!("\"{}\"", file.sha256);
        for (name, value, status, range) in [
            ("accept", "*/*", 200, None),
            ("range", "bytes=2-3", 206, Some("bytes 2-3/10")),
            ("range", "bytes=10-", 416, Some("bytes */10")),
            ("if-none-match", tag.as_str(), 304, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let head = head_of(&plan_of(&Method::GET, &headers, &file), &file);
            assert_eq!(head.status(), status, "{name}: {value}");
            let told = head.headers().get("content-range").map(|value| value.to_str().unwrap());
            assert_eq!(told, range, "{name}: {value}");
            assert_eq!(head.headers().contains_key("etag"), status != 416);
        }
    }
}
