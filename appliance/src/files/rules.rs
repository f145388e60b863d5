//! What may be said of a file, and what a failure of its bytes is to whoever asked.

use crate::appliance::with_sources;
use picloud_model::file::{CONTENT_TYPE_BYTES_MAX, FILE_METADATA_BYTES_MAX, FILE_NAME_BYTES_MAX};
use picloud_model::kv::check_collection;
use picloud_model::limits::Limits;
use picloud_model::problem::{Code, Problem};
use picloud_store::blobs::BlobError;

/// The media type of bytes of which nothing is known.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Refuses a name that no collection can have.
pub fn collection(name: &str) -> Result<(), Problem> {
    check_collection(name).map_err(|detail| Problem::new(Code::Malformed, detail))
}

/// Refuses a name that no file can have. It is shown and never a path, so that nearly everything can be one.
pub fn name(name: &str) -> Result<(), Problem> {
    let malformed = |detail: String, hint: &str| Err(Problem::new(Code::Malformed, detail).hint(hint));
    if name.is_empty() {
        malformed("the file's `name` is empty".to_owned(), "give it one, such as `photo.jpg`")
    } else if name.len() > FILE_NAME_BYTES_MAX {
        let detail = format!("the file's `name` has {} bytes, more than {FILE_NAME_BYTES_MAX}", name.len());
        malformed(detail, "shorten it; what else is to be known of the file can stand in its metadata")
    } else if let Some(control) = name.chars().find(|character| character.is_control()) {
        let detail = format!("the file's `name` holds {control:?}, a control character");
        malformed(detail, "leave it out")
    } else {
        Ok(())
    }
}

/// The media type that a request gives its body; `None` where it says nothing of it.
pub fn content_type_sent(header: Option<&str>) -> Result<Option<String>, Problem> {
    // What curl says of every body, which is never what a file is.
    let Some(text) = header.map(str::trim).filter(|text| *text != "application/x-www-form-urlencoded") else {
        return Ok(None);
    };
    content_type(text)?;
    Ok(Some(text.to_owned()))
}

/// Refuses what is no media type: `type/subtype`, then perhaps parameters.
pub fn content_type(text: &str) -> Result<(), Problem> {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let is_token = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(allowed)
    };
    let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    let is_text = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_type && is_text && text.len() <= CONTENT_TYPE_BYTES_MAX {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    Err(Problem::new(Code::Malformed, format!("the file's `content_type` {shown:?} is no media type"))
        .hint(format!("give one such as `image/jpeg`, of at most {CONTENT_TYPE_BYTES_MAX} bytes")))
}

/// Refuses metadata that is no JSON object, or too large; answers it without needless blanks.
pub fn metadata(text: &str) -> Result<String, Problem> {
    let malformed = |detail: String| {
        Problem::new(Code::Malformed, detail).hint("give a JSON object, such as {\"album\": \"summer\"}")
    };
    let read = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    let object = read.map_err(|error| malformed(format!("the file's `metadata` is no JSON object: {error}")))?;
    let text = serde_json::Value::Object(object).to_string();
    if text.len() > FILE_METADATA_BYTES_MAX {
        let detail =
            format!("the file's `metadata` has {} bytes as JSON, more than {FILE_METADATA_BYTES_MAX}", text.len());
        return Err(Problem::new(Code::TooLarge, detail)
            .limit("file_metadata_bytes", FILE_METADATA_BYTES_MAX as u64)
            .hint("keep what is long in KV, under the file's id"));
    }
    Ok(text)
}

/// Refuses bytes that are more than a file of the app may have, before they come.
pub fn size(bytes: u64, limits: &Limits) -> Result<(), Problem> {
    if bytes > limits.file_bytes { Err(too_large(limits.file_bytes)) } else { Ok(()) }
}

/// What a failure of the bytes is to whoever asked. Logs what is not theirs to know.
pub fn from_blob(error: BlobError) -> Problem {
    match error {
        BlobError::TooLarge { limit_bytes } => too_large(limit_bytes),
        BlobError::Mismatch { .. } => {
            Problem::new(Code::Malformed, error.to_string()).hint("nothing was stored; send the file again")
        }
        BlobError::Full { .. } => {
            tracing::warn!(%error, "a file was refused");
            Problem::new(Code::StorageFull, "the disk for files is full: nothing was stored")
                .hint("make room (`df -h`), or remove files; reading goes on meanwhile")
        }
        BlobError::Corrupted { .. } => {
            tracing::error!(%error, "a file is damaged");
            Problem::new(Code::Corrupted, "the file's bytes on the disk are not what was stored")
                .hint("restore it from a backup, or store it again; the log of the appliance names its place")
        }
        BlobError::Taken { .. } | BlobError::Io { .. } | BlobError::Stopped => {
            tracing::error!(error = %with_sources(&error), "the disk of files failed");
            Problem::internal()
        }
    }
}

fn too_large(limit_bytes: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("the file has more than {limit_bytes} bytes"))
        .limit("file_bytes", limit_bytes)
        .hint("raise `file_bytes` under [limits] in app.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_said_of_a_file() {
        for good in ["a", "ä b.jpg", "../x", &"n".repeat(255)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\0", &"n".repeat(256)] {
            assert_eq!(name(bad).unwrap_err().code, Code::Malformed, "{bad}");
        }
        for good in ["text/plain", "image/svg+xml", "text/html; charset=utf-8"] {
            assert!(content_type(good).is_ok(), "{good}");
        }
        for bad in ["", "text", "/plain", "text/", "te xt/plain", "text/plain\r\nx: y", "text/ä", &"x/y".repeat(100)] {
            assert_eq!(content_type(bad).unwrap_err().code, Code::Malformed, "{bad}");
        }
        assert_eq!(metadata("{ \"a\": 1 }").unwrap(), "{\"a\":1}");
        for bad in ["", "[]", "1", "{"] {
            assert_eq!(metadata(bad).unwrap_err().code, Code::Malformed, "{bad}");
        }
        let large = format!("{{\"a\": \"{}\"}}", "x".repeat(FILE_METADATA_BYTES_MAX));
        assert_eq!(metadata(&large).unwrap_err().code, Code::TooLarge);
    }
}
