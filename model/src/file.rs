//! Files: their metadata, and what scripts and people ask about them. Bytes go other ways, in pieces.

use crate::clock::UnixMs;
use crate::hash::ContentHash;
use crate::ids::FileId;
use serde::{Deserialize, Serialize};

/// Longest name of a file, in bytes. It is shown and never becomes part of a path.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// Largest own metadata of a file, as JSON.
pub const FILE_METADATA_BYTES_MAX: usize = 8 * 1024;

/// A file as scripts, events and the admin API show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct File {
    /// The same over all versions.
    pub id: FileId,
    /// What whoever made it calls it; need not be unique.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, in hex; the ETag.
    #[schema(value_type = String)]
    pub sha256: ContentHash,
    /// Grows with every change; drawn from the sequence of KV versions.
    pub version: i64,
    /// When it was made.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// When it last changed.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMs,
    /// JSON of an object: what its maker says about it.
    #[serde(with = "crate::file::as_json_object")]
    #[schema(value_type = Object)]
    pub metadata: String,
}

/// One collection as the admin API lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileCollection {
    /// Its name.
    pub name: String,
    /// Files in it.
    pub files: i64,
    /// Their bytes.
    pub size_bytes: i64,
}

/// A file to be made; its bytes are given beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewFile {
    /// What to call it.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// JSON of an object.
    pub metadata: String,
}

/// A change of a file: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilePatch {
    /// Another name.
    pub name: Option<String>,
    /// Another media type.
    pub content_type: Option<String>,
    /// JSON of an object.
    pub metadata: Option<String>,
}

/// What to list of a collection, by name and then by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileQuery {
    /// Only names that begin so.
    pub prefix: String,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// What a script asks of its app's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FilesRequest {
    /// Answered with [`FilesReply::File`].
    Create {
        /// The collection.
        collection: String,
        /// The file.
        file: NewFile,
        /// Its bytes.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// Answered with [`FilesReply::File`].
    Head {
        /// The collection.
        collection: String,
        /// The file.
        id: FileId,
    },
    /// Answered with [`FilesReply::Bytes`].
    Get {
        /// The collection.
        collection: String,
        /// The file.
        id: FileId,
        /// The caller can take no more than this; more is a failure with [`Code::TooLarge`](crate::Code).
        bytes_max: u64,
    },
    /// Answered with [`FilesReply::File`].
    Update {
        /// The collection.
        collection: String,
        /// The file.
        id: FileId,
        /// What changes beside the bytes.
        patch: FilePatch,
        /// New bytes, if it is to have others.
        data: Option<serde_bytes::ByteBuf>,
        /// Only if it is at this version.
        if_version: Option<i64>,
    },
    /// Answered with [`FilesReply::Was`].
    Delete {
        /// The collection.
        collection: String,
        /// The file.
        id: FileId,
    },
    /// Answered with [`FilesReply::List`].
    List {
        /// The collection.
        collection: String,
        /// What to list.
        query: FileQuery,
    },
    /// Answered with [`FilesReply::Url`].
    Sign {
        /// The collection.
        collection: String,
        /// The file.
        id: FileId,
        /// What the URL allows.
        grant: SignedGrant,
    },
}

/// What a signed URL allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedGrant {
    /// `GET` (and HEAD), `PUT` or `DELETE`.
    pub method: String,
    /// How long from now.
    pub ttl_ms: u64,
    /// Of a PUT: most bytes.
    pub bytes_max: Option<u64>,
    /// Of a PUT: the media type it must have.
    pub content_type: Option<String>,
    /// Whether it can be used once only.
    pub once: bool,
}

/// What it is answered with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FilesReply {
    /// The file as it is now; `None` where it is not there, or not at the expected version.
    File(Option<File>),
    /// The file and its bytes, where it is there.
    Bytes(Option<serde_bytes::ByteBuf>),
    /// Whether it was there.
    Was(bool),
    /// A page.
    List {
        /// The files.
        files: Vec<File>,
        /// Where the next page begins.
        cursor: Option<String>,
    },
    /// A path on the ingress, with its signature: `/.picloud/files/…`.
    Url(String),
    /// The cursor is not one of ours.
    BadCursor,
}

/// An object for people, its text between processes (which travel without names and cannot hold any JSON).
pub mod as_json_object {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes it.
    pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_str(text);
        }
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        value.serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        if !deserializer.is_human_readable() {
            return String::deserialize(deserializer);
        }
        Ok(serde_json::Value::deserialize(deserializer)?.to_string())
    }
}
