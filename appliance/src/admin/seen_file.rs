//! What the caller has seen of a file it changes: its ETag is the SHA-256 of its bytes, and its version holds as well.

use super::asked::next_tag;
use super::refusal::Refusal;
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use picloud_model::file::File;
use picloud_model::problem::{Code, Problem};
use picloud_store::FileExpected;

/// `If-Match` and `If-None-Match` of a request that changes a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenFile {
    at: Option<Tags>,
    not_at: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// Each the text of a strong tag.
    These(Vec<String>),
}

impl Tags {
    fn hold(&self, file: &File) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => {
                let (sha256, version) = (file.sha256.to_string(), file.version.to_string());
                tags.iter().any(|tag| tag.eq_ignore_ascii_case(&sha256) || *tag == version)
            }
        }
    }
}

impl SeenFile {
    /// What the store is to expect of the file, which is `file` as far as is known; refuses what cannot hold.
    pub(super) fn expected_of(&self, file: &File) -> Result<FileExpected, Problem> {
        let refuse = |header: HeaderName| {
            let detail =
                format!("`{header}` does not hold: the file is \"{}\" now, version {}", file.sha256, file.version);
            let hint = "read it again, and change what is there now";
            Err(Problem::new(Code::PreconditionFailed, detail).hint(hint))
        };
        if self.at.as_ref().is_some_and(|tags| !tags.hold(file)) {
            return refuse(IF_MATCH);
        }
        if self.not_at.as_ref().is_some_and(|tags| tags.hold(file)) {
            return refuse(IF_NONE_MATCH);
        }
        // What was compared must still be so when it is changed.
        let compared = self.at.is_some() || self.not_at.is_some();
        Ok(if compared { FileExpected::Version(file.version) } else { FileExpected::Anything })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SeenFile {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        // A weak tag promises less than a change needs, so that `If-Match` never holds for one.
        let (at, not_at) = (read(&parts.headers, IF_MATCH, false)?, read(&parts.headers, IF_NONE_MATCH, true)?);
        Ok(Self { at, not_at })
    }
}

fn read(headers: &HeaderMap, name: HeaderName, weak: bool) -> Result<Option<Tags>, Problem> {
    let malformed = || {
        Problem::new(Code::Malformed, format!("`{name}` cannot be read"))
            .hint(format!("send the ETag of the answer as it is, with its quotes: {name}: \"5891…\""))
    };
    let mut lines = headers.get_all(&name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for line in lines {
        let mut rest = line.to_str().map_err(|_not_text| malformed())?.trim();
        if rest == "*" {
            return Ok(Some(Tags::Any));
        }
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let (tag, after) = next_tag(rest).ok_or_else(malformed)?;
            if weak || !tag.weak {
                tags.push(tag.text.to_owned());
            }
            rest = after;
        }
    }
    Ok(Some(Tags::These(tags)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::hash::ContentHash;
    use picloud_model::ids::FileId;

    #[test]
    fn a_file_is_known_by_its_bytes_or_its_version() {
        let sha256 = ContentHash::of(b"x");
        let (name, content_type, metadata) = ("x".to_owned(), "text/plain".to_owned(), "{}".to_owned());
        let file = File {
            id: FileId::new(),
            name,
            content_type,
            size: 1,
            sha256,
            version: 7,
            created_at: 0,
            updated_at: 0,
            metadata,
        };
        let tag = format!("\"{sha256}\"");
        for (header, value, expected) in [
            (IF_MATCH, tag.as_str(), Ok(FileExpected::Version(7))),
            (IF_MATCH, "\"7\"", Ok(FileExpected::Version(7))),
            (IF_MATCH, "\"6\", 7", Ok(FileExpected::Version(7))),
            (IF_MATCH, "*", Ok(FileExpected::Version(7))),
            (IF_MATCH, "W/\"7\"", Err(Code::PreconditionFailed)),
            (IF_MATCH, "\"8\"", Err(Code::PreconditionFailed)),
            (IF_MATCH, "\"8", Err(Code::Malformed)),
            (IF_NONE_MATCH, "*", Err(Code::PreconditionFailed)),
            (IF_NONE_MATCH, &format!("W/{tag}"), Err(Code::PreconditionFailed)),
            (IF_NONE_MATCH, "\"8\"", Ok(FileExpected::Version(7))),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(&header, value.parse().unwrap());
            let seen = read(&headers, IF_MATCH, false)
                .and_then(|at| Ok(SeenFile { at, not_at: read(&headers, IF_NONE_MATCH, true)? }));
            let read = seen.and_then(|seen| seen.expected_of(&file)).map_err(|problem| problem.code);
            assert_eq!(read, expected, "{header}: {value}");
        }
        assert_eq!(SeenFile::default().expected_of(&file), Ok(FileExpected::Anything));
    }
}
