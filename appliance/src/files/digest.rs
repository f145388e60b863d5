//! `Content-Digest` and `Repr-Digest` (RFC 9530): what the sender says its bytes are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use picloud_model::hash::ContentHash;
use picloud_model::problem::{Code, Problem};

/// The headers, in the order they are looked at. No part of a file is ever sent alone, so that both mean the same.
const HEADERS: [&str; 2] = ["content-digest", "repr-digest"];

/// The SHA-256 that the sender announces, if it does.
pub fn announced(headers: &HeaderMap) -> Result<Option<ContentHash>, Problem> {
    let mut found = None;
    for value in HEADERS.iter().flat_map(|name| headers.get_all(*name)) {
        let read = read(value.to_str().unwrap_or("?"))?;
        if found.is_some() && read.is_some() && found != read {
            return Err(malformed("two digests of the body differ"));
        }
        found = found.or(read);
    }
    Ok(found)
}

/// The SHA-256 in the value of such a header; `None` where it has others only, which need not be known.
pub fn read(value: &str) -> Result<Option<ContentHash>, Problem> {
    for item in value.split(',') {
        let (algorithm, digest) =
            item.trim().split_once('=').ok_or_else(|| malformed("the digest of the body cannot be read"))?;
        if !algorithm.eq_ignore_ascii_case("sha-256") {
            continue;
        }
        let inner = digest.strip_prefix(':').and_then(|digest| digest.split_once(':'));
        let bytes = inner.and_then(|(text, _parameters)| STANDARD.decode(text).ok());
        let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let hash = hash.ok_or_else(|| malformed("the SHA-256 of the body is not 32 bytes in base64"))?;
        return Ok(Some(ContentHash(hash)));
    }
    Ok(None)
}

/// `sha-256=:…:`
pub fn text_of(hash: &ContentHash) -> String {
    format!("sha-256=:{}:", STANDARD.encode(hash.0))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Code::Malformed, detail).hint("send it as Content-Digest: sha-256=:BASE64:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_among_others_and_refused_where_it_is_none() {
        let hash = ContentHash::of(b"hello");
        let text = text_of(&hash);
        assert_eq!(text, "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:");
        for (value, expected) in [
            (text.clone(), Some(Some(hash))),
            (format!("sha-512=:AAAA:, {text}"), Some(Some(hash))),
            (text.replace("sha", "SHA"), Some(Some(hash))),
            ("md5=:AAAA:".to_owned(), Some(None)),
            ("sha-256=:AAAA:".to_owned(), None),
            ("sha-256=abc".to_owned(), None),
            ("nonsense".to_owned(), None),
        ] {
            assert_eq!(read(&value).ok(), expected, "{value}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(announced(&headers).unwrap(), None);
        headers.insert("repr-digest", text.parse().unwrap());
        assert_eq!(announced(&headers).unwrap(), Some(hash));
        headers.insert("content-digest", text_of(&ContentHash::of(b"other")).parse().unwrap());
        assert!(announced(&headers).is_err());
    }
}
