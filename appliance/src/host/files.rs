//! Files, as workers ask for them: bytes to the disk first, then the row; whatever fails between leaves no file.

use super::{StoreHost, from_problem};
use crate::admin::from_store;
use crate::files::rules;
use bytes::Bytes;
use picloud_model::file::{FilePatch, FileQuery, FilesReply, FilesRequest, NewFile, SignedGrant};
use picloud_model::ids::FileId;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{AppSnapshot, Caller, ServiceFailure, ServiceReply};
use picloud_store::{FileChange, FileExpected, FileWrite, StoreError, StoredBlob};

impl StoreHost {
    pub(super) async fn files(
        &self,
        app: &AppSnapshot,
        caller: &Caller,
        request: FilesRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        let reply = match request {
            FilesRequest::Create { collection, file, data } => {
                self.create_file(app, caller, collection, file, data).await
            }
            FilesRequest::Head { collection, id } => {
                let found = self.store.file(app.id, &collection, id).await.map_err(from_store);
                found.map(|found| FilesReply::File(found.map(|found| found.file)))
            }
            FilesRequest::Get { collection, id, bytes_max } => self.get_file(app, &collection, id, bytes_max).await,
            FilesRequest::Update { collection, id, patch, data, if_version } => {
                let expected = if_version.map_or(FileExpected::Anything, FileExpected::Version);
                let change =
                    FileChange { collection, id, expected, patch, blob: None, quota_bytes: app.limits.files_app_bytes };
                self.update_file(app, caller, change, data.map(|data| data.into_vec())).await
            }
            FilesRequest::Delete { collection, id } => {
                let cause = self.cause(app, caller);
                let was = self.store.delete_file(app.id, &collection, id, FileExpected::Anything, &cause, None).await;
                was.map(FilesReply::Was).map_err(from_store)
            }
            FilesRequest::List { collection, query } => self.list_files(app, &collection, query).await,
            FilesRequest::Sign { collection, id, grant } => self.sign_file(app, &collection, id, &grant).await,
        };
        reply.map(ServiceReply::Files).map_err(from_problem)
    }

    async fn create_file(
        &self,
        app: &AppSnapshot,
        caller: &Caller,
        collection: String,
        file: NewFile,
        data: Vec<u8>,
    ) -> Result<FilesReply, Problem> {
        rules::collection(&collection)?;
        rules::name(&file.name)?;
        rules::content_type(&file.content_type)?;
        let file = NewFile { metadata: rules::metadata(&file.metadata)?, ..file };
        let blob = self.blob_of(app, data).await?;
        let (blob_id, size_bytes) = (blob.id, blob.size_bytes);
        let quota_bytes = app.limits.files_app_bytes;
        let write = FileWrite { collection, id: FileId::new(), file, blob, quota_bytes };
        match self.store.create_file(app.id, write, &self.cause(app, caller), None).await {
            Ok(made) => {
                self.metrics.written(&app.name, &caller.script, size_bytes);
                Ok(FilesReply::File(Some(made)))
            }
            Err(error) => {
                self.remove_blob(blob_id).await;
                Err(from_store(error))
            }
        }
    }

    async fn get_file(
        &self,
        app: &AppSnapshot,
        collection: &str,
        id: FileId,
        bytes_max: u64,
    ) -> Result<FilesReply, Problem> {
        let Some(found) = self.store.file(app.id, collection, id).await.map_err(from_store)? else {
            return Ok(FilesReply::Bytes(None));
        };
        let size_bytes = found.blob.size_bytes;
        if size_bytes > bytes_max {
            let detail = format!("file {id} has {size_bytes} bytes, and the run has room for {bytes_max}");
            return Err(Problem::new(Code::TooLarge, detail)
                .limit("memory_bytes", app.limits.memory_bytes)
                .hint("hand out a signed URL of it: files.sign(id)"));
        }
        let bytes = self.blobs.read_whole(&found.blob, bytes_max).await.map_err(rules::from_blob)?;
        Ok(FilesReply::Bytes(Some(bytes.into())))
    }

    async fn update_file(
        &self,
        app: &AppSnapshot,
        caller: &Caller,
        mut change: FileChange,
        data: Option<Vec<u8>>,
    ) -> Result<FilesReply, Problem> {
        let FilePatch { name, content_type, metadata } = &mut change.patch;
        name.as_deref().map(rules::name).transpose()?;
        content_type.as_deref().map(rules::content_type).transpose()?;
        if let Some(text) = metadata {
            *text = rules::metadata(text)?;
        }
        if let Some(data) = data {
            // Bytes of a file that is not there need not be written first.
            let found = self.store.file(app.id, &change.collection, change.id).await.map_err(from_store)?;
            if found.is_none() {
                return Ok(FilesReply::File(None));
            }
            change.blob = Some(self.blob_of(app, data).await?);
        }
        let written = change.blob.as_ref().map(|blob| (blob.id, blob.size_bytes));
        let updated = self.store.update_file(app.id, change, &self.cause(app, caller), None).await;
        match (&updated, written) {
            (Ok(Some(_file)), Some((_blob, size_bytes))) => self.metrics.written(&app.name, &caller.script, size_bytes),
            (_not_updated, Some((blob, _size))) => self.remove_blob(blob).await,
            (_, None) => {}
        }
        match updated {
            Ok(updated) => Ok(FilesReply::File(updated)),
            Err(StoreError::Stale { .. }) => Ok(FilesReply::File(None)),
            Err(error) => Err(from_store(error)),
        }
    }

    async fn list_files(&self, app: &AppSnapshot, collection: &str, query: FileQuery) -> Result<FilesReply, Problem> {
        crate::kv::check_page(query.limit)?;
        match self.store.files(app.id, collection, &query).await {
            Ok(page) => Ok(FilesReply::List { files: page.items, cursor: page.cursor }),
            Err(StoreError::BadCursor) => Ok(FilesReply::BadCursor),
            Err(error) => Err(from_store(error)),
        }
    }

    async fn sign_file(
        &self,
        app: &AppSnapshot,
        collection: &str,
        id: FileId,
        grant: &SignedGrant,
    ) -> Result<FilesReply, Problem> {
        let found = self.store.file(app.id, collection, id).await.map_err(from_store)?;
        if found.is_none() {
            return Err(Problem::new(Code::NotFound, format!("collection `{collection}` has no file {id}"))
                .hint("a URL is signed for a file that is there: create it first"));
        }
        self.signed.signer.sign(app.id, collection, id, grant, self.clock.now_ms()).map(FilesReply::Url)
    }

    /// Puts bytes on the disk.
    async fn blob_of(&self, app: &AppSnapshot, data: Vec<u8>) -> Result<StoredBlob, Problem> {
        rules::size(data.len() as u64, &app.limits)?;
        let mut writer = self.blobs.create(app.limits.file_bytes).await.map_err(rules::from_blob)?;
        writer.write(Bytes::from(data)).await.map_err(rules::from_blob)?;
        writer.finish(None).await.map_err(rules::from_blob)
    }

    /// Gives back the room of a blob that got no row; what is left is swept later.
    async fn remove_blob(&self, blob: uuid::Uuid) {
        if let Err(error) = self.blobs.remove(blob).await {
            tracing::warn!(%error, %blob, "the bytes of a file that was refused stay for now");
        }
    }
}
