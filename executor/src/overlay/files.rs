//! Files of a dry run.

use super::merge::{Asked, BasePage, merged};
use super::{Ports, confused, elsewhere};
use crate::context::CallContext;
use crate::services::Files;
use picloud_model::file::{File, FilePatch, FileQuery, FilesReply, FilesRequest, NewFile};
use picloud_model::hash::ContentHash;
use picloud_model::ids::FileId;
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceFailure;
use serde_bytes::ByteBuf;

/// A file that the run has made or changed.
#[derive(Clone)]
pub(super) struct Stored {
    file: File,
    /// Where it gave it new ones; else they are where they were.
    data: Option<Vec<u8>>,
}

/// Collection and id.
type At = (String, FileId);

impl Files for Ports {
    fn files(&self, call: &CallContext, request: FilesRequest) -> Result<FilesReply, ServiceFailure> {
        let _kept_elsewhere = elsewhere(match &request {
            FilesRequest::Create { data, .. } => data.capacity(),
            FilesRequest::Update { data: Some(data), .. } => data.capacity(),
            _ => 0,
        });
        match request {
            FilesRequest::Create { collection, file, data } => self.create(collection, file, data),
            FilesRequest::Head { collection, id } => Ok(FilesReply::File(self.file(call, &(collection, id))?)),
            FilesRequest::Get { collection, id, bytes_max } => self.bytes(call, (collection, id), bytes_max),
            FilesRequest::Update { collection, id, patch, data, if_version } => {
                let at = (collection, id);
                let found = self.file(call, &at)?;
                let found = found.filter(|file| if_version.is_none_or(|version| version == file.version));
                let Some(file) = found else { return Ok(FilesReply::File(None)) };
                self.update(at, file, patch, data)
            }
            FilesRequest::Delete { collection, id } => {
                let at = (collection, id);
                let found = self.file(call, &at)?;
                if let Some(file) = &found {
                    let mut written = self.written();
                    written.would("files.delete", target(&at.0, file), b"");
                    written.files.insert(at, None);
                }
                Ok(FilesReply::Was(found.is_some()))
            }
            FilesRequest::List { collection, query } => self.file_list(call, &collection, &query),
            FilesRequest::Sign { collection, id, grant } => match self.file(call, &(collection.clone(), id))? {
                Some(file) => {
                    self.written().would("files.sign", target(&collection, &file), grant.method.as_bytes());
                    Ok(FilesReply::Url("/.picloud/files/dry-run".to_owned()))
                }
                None => {
                    let message = format!("there is no file {id} in collection `{collection}`");
                    Err(ServiceFailure { code: Code::NotFound, message })
                }
            },
        }
    }
}

fn target(collection: &str, file: &File) -> String {
    format!("{collection}/{} ({})", file.id, file.name)
}

/// What is said of a file's change: its type and size, or what of its metadata.
fn summary(file: &File) -> String {
    format!("{}, {} bytes, {}", file.content_type, file.size, file.metadata)
}

impl Ports {
    fn create(&self, collection: String, file: NewFile, data: Vec<u8>) -> Result<FilesReply, ServiceFailure> {
        let mut written = self.written();
        written.take(data.len())?;
        let now = self.base.clock.now_ms();
        let file = File {
            id: FileId::new(),
            name: file.name,
            content_type: file.content_type,
            size: data.len() as u64,
            sha256: ContentHash::of(&data),
            version: written.version(),
            created_at: now,
            updated_at: now,
            metadata: file.metadata,
        };
        written.would("files.create", target(&collection, &file), summary(&file).as_bytes());
        written.files.insert((collection, file.id), Some(Stored { file: file.clone(), data: Some(data) }));
        Ok(FilesReply::File(Some(file)))
    }

    fn update(
        &self,
        at: At,
        file: File,
        patch: FilePatch,
        data: Option<ByteBuf>,
    ) -> Result<FilesReply, ServiceFailure> {
        let mut written = self.written();
        written.take(data.as_ref().map_or(0, |data| data.len()))?;
        let before = written.files.remove(&at).flatten().and_then(|stored| stored.data);
        let mut file = File {
            name: patch.name.unwrap_or(file.name),
            content_type: patch.content_type.unwrap_or(file.content_type),
            metadata: patch.metadata.unwrap_or(file.metadata),
            version: written.version(),
            updated_at: self.base.clock.now_ms(),
            ..file
        };
        let data = data.map(ByteBuf::into_vec);
        if let Some(data) = &data {
            (file.size, file.sha256) = (data.len() as u64, ContentHash::of(data));
        }
        written.would("files.update", target(&at.0, &file), summary(&file).as_bytes());
        written.files.insert(at, Some(Stored { file: file.clone(), data: data.or(before) }));
        Ok(FilesReply::File(Some(file)))
    }

    /// The file, for the run.
    fn file(&self, call: &CallContext, at: &At) -> Result<Option<File>, ServiceFailure> {
        if let Some(written) = self.written().files.get(at) {
            return Ok(written.as_ref().map(|stored| stored.file.clone()));
        }
        match self.base.files.files(call, FilesRequest::Head { collection: at.0.clone(), id: at.1 })? {
            FilesReply::File(file) => Ok(file),
            _ => Err(confused()),
        }
    }

    fn bytes(&self, call: &CallContext, at: At, bytes_max: u64) -> Result<FilesReply, ServiceFailure> {
        match self.written().files.get(&at) {
            Some(None) => return Ok(FilesReply::Bytes(None)),
            Some(Some(Stored { data: Some(data), .. })) if data.len() as u64 > bytes_max => {
                let message = format!("the file has {} bytes, more than {bytes_max}", data.len());
                return Err(ServiceFailure { code: Code::TooLarge, message });
            }
            Some(Some(Stored { data: Some(data), .. })) => {
                return Ok(FilesReply::Bytes(Some(data.clone().into())));
            }
            Some(Some(Stored { data: None, .. })) | None => {}
        }
        let (collection, id) = at;
        self.base.files.files(call, FilesRequest::Get { collection, id, bytes_max })
    }

    fn file_list(&self, call: &CallContext, collection: &str, query: &FileQuery) -> Result<FilesReply, ServiceFailure> {
        let place = |file: &File| (file.name.clone(), file.id);
        let mut over: Vec<File> = self
            .written()
            .files
            .iter()
            .filter(|((of, _), _)| of == collection)
            .filter_map(|(_, stored)| stored.as_ref().map(|stored| stored.file.clone()))
            .filter(|file| file.name.starts_with(&query.prefix))
            .collect();
        over.sort_by_key(place);
        let asked = Asked {
            of: format!("files {collection} {}", query.prefix),
            cursor: query.cursor.as_deref(),
            limit: query.limit as usize,
            reverse: false,
        };
        let is_untouched = |file: &File| !self.written().files.contains_key(&(collection.to_owned(), file.id));
        let page = merged(&asked, over, place, is_untouched, |cursor| {
            let query = FileQuery { cursor, ..query.clone() };
            match self.base.files.files(call, FilesRequest::List { collection: collection.to_owned(), query })? {
                FilesReply::List { files, cursor } => Ok(Some(BasePage { items: files, cursor })),
                FilesReply::BadCursor => Ok(None),
                _ => Err(confused()),
            }
        })?;
        Ok(page.map_or(FilesReply::BadCursor, |page| FilesReply::List { files: page.items, cursor: page.cursor }))
    }
}
