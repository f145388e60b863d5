//! Signed URLs of files, as the ingress asks for them.

use super::{StoreHost, from_problem};
use crate::admin::from_store;
use crate::files::reading::Reader;
use crate::files::sign::{Claims, Verb, fingerprint};
use crate::files::uploads::Upload;
use crate::files::{digest, rules};
use bytes::Bytes;
use picloud_model::event::Cause;
use picloud_model::file::{File, FilePatch, NewFile};
use picloud_model::hash::ContentHash;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{
    AppSnapshot, STATIC_CHUNK_BYTES_MAX, ServiceFailure, ServiceReply, SignedReply, SignedRequest,
};
use picloud_store::{FileChange, FileExpected, FileWithBlob, FileWrite, StoredBlob};
use std::sync::Arc;

/// What a request says of the bytes that it brings.
struct Announced {
    content_type: Option<String>,
    content_length: Option<u64>,
    digest: Option<String>,
}

impl StoreHost {
    pub(super) async fn signed(&self, request: SignedRequest) -> Result<ServiceReply, ServiceFailure> {
        let reply = match request {
            SignedRequest::Open { token, method, content_type, content_length, digest } => {
                self.open_signed(&token, &method, Announced { content_type, content_length, digest }).await
            }
            SignedRequest::Read { token, sha256, offset, len } => {
                let reader = Reader { token: fingerprint(&token), sha256 };
                self.read_signed(&token, reader, offset, len.min(STATIC_CHUNK_BYTES_MAX)).await
            }
            SignedRequest::Write { upload, bytes } => self.write_signed(upload, bytes.into()).await,
            SignedRequest::Finish { upload } => {
                let finished = self.finish_signed(upload).await;
                self.signed.uploads.end(upload);
                finished
            }
            SignedRequest::Abandon { upload } => {
                self.signed.uploads.end(upload);
                Ok(SignedReply::Done)
            }
        };
        reply.map(ServiceReply::Signed).map_err(from_problem)
    }

    async fn open_signed(&self, token: &str, method: &str, announced: Announced) -> Result<SignedReply, Problem> {
        let claims = self.signed.signer.read(token)?;
        claims.check(method, self.clock.now_ms())?;
        let app = self.app_of(&claims)?;
        match claims.verb {
            Verb::Get => {
                let FileWithBlob { file, blob } = self.signed_file(&claims).await?;
                // Who only looks at it has not used it.
                if method == "GET" {
                    let token = fingerprint(token);
                    self.use_once(&claims, token).await?;
                    self.signed.reading.begin(Reader { token, sha256: file.sha256 }, blob);
                }
                Ok(SignedReply::File(file))
            }
            Verb::Put => self.begin_upload(&app, claims, token, announced).await.map(SignedReply::Upload),
            Verb::Delete => {
                self.use_once(&claims, fingerprint(token)).await?;
                let cause = Cause::first(self.clock.now_ms(), &app.limits);
                let deleted = self
                    .store
                    .delete_file(claims.app, &claims.collection, claims.id, FileExpected::Anything, &cause, None)
                    .await;
                if deleted.map_err(from_store)? { Ok(SignedReply::Done) } else { Err(not_found(&claims)) }
            }
        }
    }

    async fn begin_upload(
        &self,
        app: &AppSnapshot,
        claims: Claims,
        token: &str,
        announced: Announced,
    ) -> Result<u64, Problem> {
        let Announced { content_type, content_length, digest } = announced;
        let content_type = rules::content_type_sent(content_type.as_deref())?;
        if let Some(must) = &claims.content_type
            && content_type.as_ref().is_none_or(|is| essence(is) != essence(must))
        {
            let is = content_type.map_or_else(|| "says nothing".to_owned(), |is| format!("says `{is}`"));
            return Err(Problem::new(Code::Forbidden, format!("this URL takes `{must}`, and `Content-Type` {is}"))
                .hint(format!("send the file with Content-Type: {must}")));
        }
        let expected = digest.as_deref().map(digest::read).transpose()?.flatten();
        let bytes_max = claims.bytes_max.unwrap_or(u64::MAX).min(app.limits.file_bytes);
        if content_length.is_some_and(|length| length > bytes_max) {
            return Err(self.too_large(&claims, app));
        }
        self.signed.uploads.check_room()?;
        self.blobs.room_for(content_length.unwrap_or(0)).await.map_err(rules::from_blob)?;
        let writer = self.blobs.create(bytes_max).await.map_err(rules::from_blob)?;
        self.signed.uploads.begin(Upload { claims, token: fingerprint(token), content_type, expected, writer })
    }

    fn too_large(&self, claims: &Claims, app: &AppSnapshot) -> Problem {
        match claims.bytes_max.filter(|max| *max < app.limits.file_bytes) {
            Some(max) => Problem::new(Code::TooLarge, format!("this URL takes at most {max} bytes"))
                .limit("bytes_max", max)
                .hint("have a URL made for a larger file"),
            None => rules::size(u64::MAX, &app.limits).expect_err("no limit is as large"),
        }
    }

    async fn write_signed(&self, id: u64, bytes: Bytes) -> Result<SignedReply, Problem> {
        let mut upload = self.signed.uploads.take(id)?;
        match upload.writer.write(bytes).await {
            Ok(()) => {
                self.signed.uploads.put_back(id, upload);
                Ok(SignedReply::Done)
            }
            Err(error) => {
                self.signed.uploads.end(id);
                match (error, self.app_of(&upload.claims)) {
                    (picloud_store::blobs::BlobError::TooLarge { .. }, Ok(app)) => {
                        Err(self.too_large(&upload.claims, &app))
                    }
                    (error, _) => Err(rules::from_blob(error)),
                }
            }
        }
    }

    async fn finish_signed(&self, id: u64) -> Result<SignedReply, Problem> {
        let Upload { claims, token, content_type, expected, writer } = *self.signed.uploads.take(id)?;
        let app = self.app_of(&claims)?;
        let blob = writer.finish(expected).await.map_err(rules::from_blob)?;
        let blob_id = blob.id;
        let stored = async {
            // Only what is whole uses the URL up.
            self.use_once(&claims, token).await?;
            self.store_signed(&app, &claims, content_type, blob).await
        };
        let file = match stored.await {
            Ok(file) => file,
            Err(problem) => {
                // A database that failed may have made the row nevertheless: the sweep looks.
                if problem.code != Code::Internal
                    && let Err(error) = self.blobs.remove(blob_id).await
                {
                    tracing::warn!(%error, "the bytes of a file that was refused stay until they are swept");
                }
                return Err(problem);
            }
        };
        Ok(SignedReply::File(file))
    }

    /// The file with its new bytes; made where it is not there.
    async fn store_signed(
        &self,
        app: &AppSnapshot,
        claims: &Claims,
        content_type: Option<String>,
        blob: StoredBlob,
    ) -> Result<File, Problem> {
        let cause = Cause::first(self.clock.now_ms(), &app.limits);
        let quota_bytes = app.limits.files_app_bytes;
        let change = FileChange {
            collection: claims.collection.clone(),
            id: claims.id,
            expected: FileExpected::Anything,
            patch: FilePatch { content_type: content_type.clone(), ..FilePatch::default() },
            blob: Some(blob.clone()),
            quota_bytes,
        };
        if let Some(file) = self.store.update_file(claims.app, change, &cause, None).await.map_err(from_store)? {
            return Ok(file);
        }
        let file = NewFile {
            name: claims.id.to_string(),
            content_type: content_type.unwrap_or_else(|| rules::UNKNOWN_TYPE.to_owned()),
            metadata: "{}".to_owned(),
        };
        let collection = claims.collection.clone();
        let write = FileWrite { collection, id: claims.id, file, blob, quota_bytes };
        self.store.create_file(claims.app, write, &cause, None).await.map_err(from_store)
    }

    async fn read_signed(&self, token: &str, reader: Reader, offset: u64, len: u32) -> Result<SignedReply, Problem> {
        // Its time may be over by now: what was begun in time goes on.
        let claims = self.signed.signer.read(token)?;
        let blob = match self.signed.reading.blob(&reader) {
            Some(blob) => blob,
            None => {
                let FileWithBlob { file, blob } = self.signed_file(&claims).await?;
                if file.sha256 != reader.sha256 {
                    return Err(Problem::new(Code::PreconditionFailed, "the file was changed while it was read"));
                }
                self.signed.reading.begin(reader, blob.clone());
                blob
            }
        };
        let range = offset..offset.saturating_add(u64::from(len));
        let part = self.signed.reading.part(&self.blobs, &reader, &blob, range).await;
        Ok(SignedReply::Bytes(part.map_err(rules::from_blob)?))
    }

    async fn signed_file(&self, claims: &Claims) -> Result<FileWithBlob, Problem> {
        let found = self.store.file(claims.app, &claims.collection, claims.id).await.map_err(from_store)?;
        found.ok_or_else(|| not_found(claims))
    }

    async fn use_once(&self, claims: &Claims, token: ContentHash) -> Result<(), Problem> {
        if !claims.once {
            return Ok(());
        }
        let first = self.store.use_signature_once(token, claims.expires_at, self.clock.now_ms()).await;
        if first.map_err(from_store)? { Ok(()) } else { Err(used()) }
    }

    fn app_of(&self, claims: &Claims) -> Result<Arc<AppSnapshot>, Problem> {
        let app = self.registry.app(claims.app);
        app.ok_or_else(|| Problem::new(Code::NotFound, "the app of this URL does not exist any more"))
    }
}

/// `Image/PNG; x=y` and `image/png` are the same.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn used() -> Problem {
    Problem::new(Code::Gone, "this URL was used, and it holds once").hint("have a new one made")
}

fn not_found(claims: &Claims) -> Problem {
    Problem::not_found("file", claims.id)
}
