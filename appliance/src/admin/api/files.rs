//! Files: the bytes are the body, their SHA-256 is the ETag. Bytes go through in parts, both ways.

use super::file_bytes::{Upload, answer, discard, receive};
use super::paging::{default_limit, page_of};
use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named};
use crate::admin::body::{done, json, ok};
use crate::admin::openapi::{Conflict, StorageFull};
use crate::admin::refusal::{Answer, from_store};
use crate::admin::seen_file::SeenFile;
use crate::appliance::Appliance;
use crate::files::rules;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::body::Body as _;
use picloud_model::app::App;
use picloud_model::event::Cause;
use picloud_model::file::{File, FileCollection, FilePatch, FileQuery, NewFile};
use picloud_model::ids::FileId;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_store::{FileChange, FileWithBlob, FileWrite};
use serde::Deserialize;

/// The header that says what else is to be known of a file.
const METADATA: &str = "x-picloud-metadata";
/// Longest that may stand after `?`, in characters: with 12 bytes each it still fits into a head.
const METADATA_QUERY_CHARS_MAX: usize = 2048;

/// What stands after `?` of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ListQuery {
    /// Only names that begin so.
    #[serde(default)]
    prefix: String,
    /// Where the last page ended.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// What is said of a new file after `?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct CreateQuery {
    /// Its name; where absent, the one of `Content-Disposition`.
    #[param(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// A JSON object of what else is to be known of it; a longer one in the header `X-PiCloud-Metadata`.
    #[param(max_length = 2048, example = "{}")]
    metadata: Option<String>,
    /// The id that it had, for a file that is brought back out of a backup; a new one where absent.
    #[param(format = "uuid", value_type = Option<String>)]
    id: Option<FileId>,
}

/// What changes of a file, after `?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct PutQuery {
    /// Another name.
    #[param(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Another JSON object; a longer one in the header `X-PiCloud-Metadata`.
    #[param(max_length = 2048, example = "{}")]
    metadata: Option<String>,
    /// Leaves the bytes as they are; the body must be empty then.
    #[serde(default)]
    keep_bytes: bool,
}

/// The app's collections of files by name.
#[utoipa::path(get, path = "/apps/{app}/files", responses((status = 200, body = Page<FileCollection>)))]
pub(in crate::admin) async fn collections(
    asked: InApp<may::ReadFiles>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    let items = asked.store.file_collections(asked.app.id).await?;
    Ok(ok(&page_of(items, &page, &asked.app.limits.resolve(), |collection| &collection.name)?))
}

/// The files of a collection, by name.
#[utoipa::path(get, path = "/apps/{app}/files/{collection}", responses((status = 200, body = Page<File>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadFiles>,
    Named((_app, collection)): Named<(String, String)>,
    Asked(query): Asked<ListQuery>,
) -> Answer<Response> {
    rules::collection(&collection)?;
    let limit = query.limit.unwrap_or_else(|| default_limit(&asked.app.limits.resolve()));
    crate::kv::check_page(limit)?;
    let query = FileQuery { prefix: query.prefix, cursor: query.cursor, limit };
    Ok(ok(&asked.store.files(asked.app.id, &collection, &query).await?))
}

/// Makes a file of the body. `Content-Type` is its type; a `Content-Digest` that is not that of the body is refused.
#[utoipa::path(
    post,
    path = "/apps/{app}/files/{collection}",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = File, headers(("ETag"))), Conflict, StorageFull),
)]
pub(in crate::admin) async fn create(
    asked: InApp<may::WriteFiles>,
    Named((_app, collection)): Named<(String, String)>,
    Asked(query): Asked<CreateQuery>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    rules::collection(&collection)?;
    let name = query.name.or_else(|| name_in(&headers)).ok_or_else(|| {
        Problem::new(Code::Malformed, "the file has no `name`").hint("give it after `?`: …?name=photo.jpg")
    })?;
    rules::name(&name)?;
    let content_type = rules::content_type_sent(text_of(&headers))?.unwrap_or_else(|| rules::UNKNOWN_TYPE.to_owned());
    let metadata = metadata_in(query.metadata, &headers)?.unwrap_or_else(|| "{}".to_owned());
    let limits = asked.app.limits.resolve();
    let upload = Upload { headers: &headers, body, bytes_max: limits.file_bytes };
    let blob = receive(&asked.blobs, upload).await?;
    let (act, blob_id) = (asked.act(), blob.id);
    let file = NewFile { name, content_type, metadata };
    let write = FileWrite {
        collection,
        id: query.id.unwrap_or_else(FileId::new),
        file,
        blob,
        quota_bytes: limits.files_app_bytes,
    };
    let cause = Cause::first(act.at, &limits);
    match asked.store.create_file(asked.app.id, write, &cause, Some(&act)).await {
        Ok(file) => Ok(described(StatusCode::CREATED, &file)),
        Err(error) => {
            let problem = from_store(error);
            discard(&asked.blobs, blob_id, &problem).await;
            Err(problem.into())
        }
    }
}

/// The bytes of a file, or a range of them.
#[utoipa::path(
    get,
    path = "/apps/{app}/files/{collection}/{file}",
    responses(
        (status = 200, content(("application/octet-stream")), headers(("ETag"))),
        (status = 206, content(("application/octet-stream")), headers(("ETag"), ("Content-Range"))),
        (status = 304, headers(("ETag"))),
        (status = 416, headers(("Content-Range"))),
    ),
)]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadFiles>,
    Named((_app, collection, id)): Named<(String, String, String)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let found = find(&asked, &asked.app, &collection, &id).await?;
    Ok(answer(&asked.blobs, &Method::GET, &headers, found).await?)
}

/// What a file is, as headers.
#[utoipa::path(
    head,
    path = "/apps/{app}/files/{collection}/{file}",
    responses((status = 200, headers(("ETag"))), (status = 304, headers(("ETag")))),
)]
pub(in crate::admin) async fn head(
    asked: InApp<may::ReadFiles>,
    Named((_app, collection, id)): Named<(String, String, String)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let found = find(&asked, &asked.app, &collection, &id).await?;
    Ok(answer(&asked.blobs, &Method::HEAD, &headers, found).await?)
}

/// Gives a file other bytes, or with `keep_bytes=true` another name, type or metadata only.
#[utoipa::path(
    put,
    path = "/apps/{app}/files/{collection}/{file}",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = File, headers(("ETag"))), StorageFull),
)]
pub(in crate::admin) async fn put(
    asked: InApp<may::WriteFiles>,
    Named((_app, collection, id)): Named<(String, String, String)>,
    Asked(query): Asked<PutQuery>,
    seen: SeenFile,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    query.name.as_deref().map_or(Ok(()), rules::name)?;
    let (content_type, metadata) =
        (rules::content_type_sent(text_of(&headers))?, metadata_in(query.metadata, &headers)?);
    let patch = FilePatch { name: query.name, content_type, metadata };
    let FileWithBlob { file, .. } = find(&asked, &asked.app, &collection, &id).await?;
    let expected = seen.expected_of(&file)?;
    let limits = asked.app.limits.resolve();
    let blob = if query.keep_bytes {
        check_empty(&body)?;
        None
    } else {
        Some(receive(&asked.blobs, Upload { headers: &headers, body, bytes_max: limits.file_bytes }).await?)
    };
    let (act, blob_id) = (asked.act(), blob.as_ref().map(|blob| blob.id));
    let change = FileChange { collection, id: file.id, expected, patch, blob, quota_bytes: limits.files_app_bytes };
    let cause = Cause::first(act.at, &limits);
    let problem = match asked.store.update_file(asked.app.id, change, &cause, Some(&act)).await {
        Ok(Some(file)) => return Ok(described(StatusCode::OK, &file)),
        // It was removed while its bytes came.
        Ok(None) => Problem::not_found("file", id),
        Err(error) => from_store(error),
    };
    if let Some(blob_id) = blob_id {
        discard(&asked.blobs, blob_id, &problem).await;
    }
    Err(problem.into())
}

/// Removes a file.
#[utoipa::path(delete, path = "/apps/{app}/files/{collection}/{file}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteFiles>,
    Named((_app, collection, id)): Named<(String, String, String)>,
    seen: SeenFile,
) -> Answer<Response> {
    let FileWithBlob { file, .. } = find(&asked, &asked.app, &collection, &id).await?;
    let expected = seen.expected_of(&file)?;
    let act = asked.act();
    let cause = Cause::first(act.at, &asked.app.limits.resolve());
    if asked.store.delete_file(asked.app.id, &collection, file.id, expected, &cause, Some(&act)).await? {
        Ok(done().into_response())
    } else {
        Err(Problem::not_found("file", id).into())
    }
}

/// The file, or that it is not there: what is no id names none.
async fn find(state: &Appliance, app: &App, collection: &str, id: &str) -> Answer<FileWithBlob> {
    rules::collection(collection)?;
    let not_found = || Problem::not_found("file", id).hint(format!("`picloud files list {collection}` shows the ids"));
    let file: FileId = id.parse().map_err(|_no_uuid| not_found())?;
    Ok(state.store.file(app.id, collection, file).await?.ok_or_else(not_found)?)
}

/// What else is said of the file, after `?` or in its header.
fn metadata_in(asked: Option<String>, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let header = || {
        let text = headers.get(METADATA).map(|value| std::str::from_utf8(value.as_bytes()));
        let text = text.transpose().map_err(|_no_text| {
            Problem::new(Code::Malformed, "`X-PiCloud-Metadata` is no UTF-8").hint("give it after `?` as `metadata`")
        });
        text.map(|text| text.map(str::to_owned))
    };
    if asked.as_ref().is_some_and(|text| text.chars().count() > METADATA_QUERY_CHARS_MAX) {
        let detail = format!("`metadata` after `?` has more than {METADATA_QUERY_CHARS_MAX} characters");
        let problem = Problem::new(Code::TooLarge, detail);
        return Err(problem.hint("send it in the header `X-PiCloud-Metadata`"));
    }
    let text = asked.map_or_else(header, |text| Ok(Some(text)))?;
    text.map(|text| rules::metadata(&text)).transpose()
}

/// `Content-Type`; one that is no text is no media type either.
fn text_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"))
}

/// `attachment; filename="photo.jpg"`; other forms of names are for `?name=`.
fn name_in(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?;
    let mut parameters = text.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("filename"))?;
    Some(value.trim_matches('"').to_owned())
}

fn check_empty(body: &Body) -> Result<(), Problem> {
    if body.is_end_stream() {
        return Ok(());
    }
    let problem = Problem::new(Code::Malformed, "the request has a body, and `keep_bytes` is true");
    Err(problem.hint("leave out one of them"))
}

/// A file as the answer to who made or changed it.
fn described(status: StatusCode, file: &File) -> Response {
    let mut response = json(status, file, None);
    let tag = HeaderValue::try_from(format!("\"{}\"", file.sha256)).expect("digits in quotes are a header value");
    response.headers_mut().insert(ETAG, tag);
    response
}
