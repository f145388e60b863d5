//! `files`: bytes of the app with a name, a type and metadata. Arguments are checked here; what they do is the port's.

use super::Namespace;
use super::options::{Options, arg};
use crate::error::{KIND_SERVICE, RhaiError, catchable, failed};
use crate::json;
use crate::run_state::{Calls, RunState};
use picloud_model::clock::rfc3339;
use picloud_model::file::{
    CONTENT_TYPE_BYTES_MAX, FILE_METADATA_BYTES_MAX, FILE_NAME_BYTES_MAX, File, FilePatch, FileQuery, FilesReply,
    FilesRequest, NewFile, SignedGrant,
};
use picloud_model::ids::FileId;
use picloud_model::kv::check_collection;
use picloud_model::problem::Code;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};
use serde_bytes::ByteBuf;

const EXAMPLE: &str = r#"
let photos = files::collection("photos");
let photo = photos.create(#{ name: "cat.txt", content_type: "text/plain", data: "meow", metadata: #{ cat: "Minka" } });
let bytes = photos.get(photo.id);
photos.update(photo.id, #{ metadata: #{ cat: "Minka", seen: true }, if_version: photo.version });

// For somebody who is to fetch it without a key, for ten minutes:
let url = photos.sign(photo.id, #{ method: "GET", ttl_ms: 600000 });

let names = [];
for file in photos.list(#{ prefix: "cat", limit: 50 }).files { names.push(file.name); }
photos.delete(photo.id)
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "files",
        "Files of this app: bytes with a name, a media type and metadata of their own. What was written is on the disk when \
         the call returns. Metadata is `#{id, name, content_type, size, sha256, version, created_at, updated_at, metadata}`. \
         Bytes count as memory of the run while it holds them: large files go through the admin API or signed URLs. An \
         `id` that is none is the id of no file.",
    )
    .example(EXAMPLE)
    .function("collection(name: string) -> files", "A handle to a collection, which need not exist yet.", collection)
    .method(
        "files.create(file: map) -> map",
        "Makes a file of `#{name, content_type, data, metadata}` and answers with its metadata. `data` is a blob or a string; \
         `metadata`, a map, may be left out. A missing field throws naming it.",
        create,
    )
    .method("files.head(id: string) -> map", "The file's metadata, or `()`.", head)
    .method("files.get(id: string) -> blob", "The file's bytes, or `()`.", get)
    .method(
        "files.update(id: string, changes: map) -> map",
        "Changes `name`, `content_type`, `data` or `metadata`, whichever are given, and answers with the metadata, or `()` \
         where there is no such file. With `if_version`, only if it is at this version: else `false`.",
        update,
    )
    .method("files.delete(id: string) -> bool", "Deletes a file; whether it was there.", delete)
    .method("files.list() -> map", "The first page of all files: `#{files, cursor}`.", |context: NativeCallContext, on: &mut Files| {
        page(&RunState::of(&context), on, &Options::none("files.list"))
    })
    .method(
        "files.list(options: map) -> map",
        "`#{files: [metadata], cursor}`, by name; `cursor` is `()` at the end. Options: `prefix` of the name, `cursor` (of the \
         last page), `limit`.",
        |context: NativeCallContext, on: &mut Files, options: Dynamic| {
            let options = Options::new("files.list", options, &["prefix", "cursor", "limit"])?;
            page(&RunState::of(&context), on, &options)
        },
    )
    .method("files.sign(id: string) -> string", "The same as `sign(id, #{})`.", |context: NativeCallContext, on: &mut Files, id: Dynamic| {
        sign(&RunState::of(&context), on, &id, &Options::none("files.sign"))
    })
    .method(
        "files.sign(id: string, options: map) -> string",
        "A path on this server that needs no key. Options: `method` (`GET`, which allows HEAD, `PUT` or `DELETE`; else `GET`), \
         `ttl_ms` (how long it holds; else 15 minutes, at most 7 days), `once: true`, and of a PUT `max_bytes` and \
         `content_type`.",
        |context: NativeCallContext, on: &mut Files, id: Dynamic, options: Dynamic| {
            let options = Options::new("files.sign", options, &["method", "ttl_ms", "max_bytes", "content_type", "once"])?;
            sign(&RunState::of(&context), on, &id, &options)
        },
    )
}

/// How long a signed URL holds where nothing is said.
const SIGNED_TTL_MS: u64 = 15 * 60 * 1000;
/// How long one may hold.
const SIGNED_TTL_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;

/// What `files::collection` answers with; holds no app, which comes from the call.
#[derive(Clone)]
pub(super) struct Files(ImmutableString);

type Fallible<T> = Result<T, RhaiError>;

fn collection(name: Dynamic) -> Fallible<Files> {
    let name = arg("files::collection", "name").text(&name)?;
    check_collection(&name).map_err(|why| arg("files::collection", "name").fault(why))?;
    Ok(Files(name))
}

fn ask(run: &RunState, function: &str, request: FilesRequest) -> Fallible<FilesReply> {
    run.count(Calls::File, 1)?;
    run.before_wait();
    let reply = run.services.files.files(&run.call, request).map_err(|failure| failed(run, function, &failure))?;
    run.charge(reply_bytes(&reply))?;
    Ok(reply)
}

/// What the port's thread allocated for a reply.
fn reply_bytes(reply: &FilesReply) -> u64 {
    let of_file = |file: &File| file.name.capacity() + file.content_type.capacity() + file.metadata.capacity();
    let bytes = match reply {
        FilesReply::Bytes(Some(bytes)) => bytes.capacity(),
        FilesReply::File(Some(file)) => of_file(file),
        FilesReply::List { files, .. } => {
            files.capacity() * size_of::<File>() + files.iter().map(of_file).sum::<usize>()
        }
        _ => 0,
    };
    bytes as u64
}

fn confused(function: &str) -> RhaiError {
    catchable(KIND_SERVICE, Code::Internal, format!("{function}: the files gave an answer of another kind"))
}

/// The id; `None` for a text that no file has for its id.
fn id_of(function: &'static str, id: &Dynamic) -> Fallible<Option<FileId>> {
    Ok(arg(function, "id").text(id)?.parse().ok())
}

/// Name and media type, if given, checked.
fn text(options: &Options, function: &'static str, name: &'static str, bytes_max: usize) -> Fallible<Option<String>> {
    let Some(text) = options.text(name)? else { return Ok(None) };
    if !(1..=bytes_max).contains(&text.len()) {
        return Err(arg(function, name).fault(format_args!("must be 1 to {bytes_max} bytes long, not {}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(arg(function, name).fault("has a control character"));
    }
    Ok(Some(text.to_string()))
}

fn metadata(run: &RunState, options: &Options, function: &'static str) -> Fallible<Option<String>> {
    let Some(value) = options.any("metadata") else { return Ok(None) };
    let metadata_arg = arg(function, "metadata");
    let map = metadata_arg.map(value.clone())?;
    let bytes_max = FILE_METADATA_BYTES_MAX as u64;
    let json = metadata_arg.json(run, &map.into(), "its limit", bytes_max)?;
    Ok(Some(String::from_utf8(json).expect("JSON we wrote is UTF-8")))
}

fn data(run: &RunState, options: &Options, function: &'static str) -> Fallible<Option<Vec<u8>>> {
    let Some(value) = options.any("data") else { return Ok(None) };
    let data_arg = arg(function, "data");
    let bytes = data_arg.bytes(run, value)?;
    let bytes_max = run.call.limits.file_bytes;
    if bytes.len() as u64 > bytes_max {
        return Err(data_arg.too_large(format_args!("has {} bytes, more than file_bytes = {bytes_max}", bytes.len())));
    }
    Ok(Some(bytes))
}

fn create(context: NativeCallContext, on: &mut Files, file: Dynamic) -> Fallible<Dynamic> {
    const FUNCTION: &str = "files.create";
    let run = RunState::of(&context);
    let fields = Options::fields(FUNCTION, "file", file, &["name", "content_type", "data", "metadata"])?;
    let name = text(&fields, FUNCTION, "name", FILE_NAME_BYTES_MAX)?.ok_or_else(|| fields.missing("name"))?;
    let content_type = text(&fields, FUNCTION, "content_type", CONTENT_TYPE_BYTES_MAX)?;
    let content_type = content_type.ok_or_else(|| fields.missing("content_type"))?;
    let data = data(&run, &fields, FUNCTION)?.ok_or_else(|| fields.missing("data"))?;
    let metadata = metadata(&run, &fields, FUNCTION)?.unwrap_or_else(|| "{}".to_owned());
    let file = NewFile { name, content_type, metadata };
    match ask(&run, FUNCTION, FilesRequest::Create { collection: on.0.to_string(), file, data })? {
        FilesReply::File(Some(file)) => file_map(&run, FUNCTION, file).map(Dynamic::from),
        _ => Err(confused(FUNCTION)),
    }
}

fn head(context: NativeCallContext, on: &mut Files, id: Dynamic) -> Fallible<Dynamic> {
    const FUNCTION: &str = "files.head";
    let run = RunState::of(&context);
    let Some(id) = id_of(FUNCTION, &id)? else { return Ok(Dynamic::UNIT) };
    match ask(&run, FUNCTION, FilesRequest::Head { collection: on.0.to_string(), id })? {
        FilesReply::File(Some(file)) => file_map(&run, FUNCTION, file).map(Dynamic::from),
        FilesReply::File(None) => Ok(Dynamic::UNIT),
        _ => Err(confused(FUNCTION)),
    }
}

fn get(context: NativeCallContext, on: &mut Files, id: Dynamic) -> Fallible<Dynamic> {
    const FUNCTION: &str = "files.get";
    let run = RunState::of(&context);
    let Some(id) = id_of(FUNCTION, &id)? else { return Ok(Dynamic::UNIT) };
    run.count(Calls::File, 1)?;
    run.before_wait();
    let bytes_max = run.memory_left();
    let request = FilesRequest::Get { collection: on.0.to_string(), id, bytes_max };
    let reply = run.services.files.files(&run.call, request).map_err(|failure| match failure.code {
        Code::TooLarge => {
            let message = format!(
                "{FUNCTION}: id: the file is larger than the {bytes_max} bytes that are left of memory_bytes = {}",
                run.call.limits.memory_bytes
            );
            catchable(KIND_SERVICE, Code::TooLarge, message)
        }
        _ => failed(&run, FUNCTION, &failure),
    })?;
    run.charge(reply_bytes(&reply))?;
    match reply {
        FilesReply::Bytes(Some(bytes)) => Ok(Dynamic::from_blob(bytes.into_vec())),
        FilesReply::Bytes(None) => Ok(Dynamic::UNIT),
        _ => Err(confused(FUNCTION)),
    }
}

fn update(context: NativeCallContext, on: &mut Files, id: Dynamic, changes: Dynamic) -> Fallible<Dynamic> {
    const FUNCTION: &str = "files.update";
    let run = RunState::of(&context);
    let known = ["name", "content_type", "data", "metadata", "if_version"];
    let changes = Options::fields(FUNCTION, "changes", changes, &known)?;
    let patch = FilePatch {
        name: text(&changes, FUNCTION, "name", FILE_NAME_BYTES_MAX)?,
        content_type: text(&changes, FUNCTION, "content_type", CONTENT_TYPE_BYTES_MAX)?,
        metadata: metadata(&run, &changes, FUNCTION)?,
    };
    let data = data(&run, &changes, FUNCTION)?.map(ByteBuf::from);
    let if_version = changes.int("if_version")?;
    if patch == FilePatch::default() && data.is_none() {
        return Err(arg(FUNCTION, "changes").fault("none of `name`, `content_type`, `data` and `metadata` is given"));
    }
    let Some(id) = id_of(FUNCTION, &id)? else { return Ok(Dynamic::UNIT) };
    let request = FilesRequest::Update { collection: on.0.to_string(), id, patch, data, if_version };
    match ask(&run, FUNCTION, request)? {
        FilesReply::File(Some(file)) => file_map(&run, FUNCTION, file).map(Dynamic::from),
        FilesReply::File(None) => Ok(if if_version.is_some() { Dynamic::FALSE } else { Dynamic::UNIT }),
        _ => Err(confused(FUNCTION)),
    }
}

fn delete(context: NativeCallContext, on: &mut Files, id: Dynamic) -> Fallible<bool> {
    const FUNCTION: &str = "files.delete";
    let run = RunState::of(&context);
    let Some(id) = id_of(FUNCTION, &id)? else { return Ok(false) };
    match ask(&run, FUNCTION, FilesRequest::Delete { collection: on.0.to_string(), id })? {
        FilesReply::Was(was) => Ok(was),
        _ => Err(confused(FUNCTION)),
    }
}

fn page(run: &RunState, on: &Files, options: &Options) -> Fallible<Map> {
    const FUNCTION: &str = "files.list";
    let limit = options.within("limit", 1..=super::kv::page_max())?.unwrap_or(run.call.limits.list_page);
    let query = FileQuery {
        prefix: options.text("prefix")?.map(String::from).unwrap_or_default(),
        cursor: options.text("cursor")?.map(String::from),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
    };
    match ask(run, FUNCTION, FilesRequest::List { collection: on.0.to_string(), query })? {
        FilesReply::List { files, cursor } => {
            let mut list = Array::with_capacity(files.len());
            for file in files {
                list.push(file_map(run, FUNCTION, file)?.into());
                run.ensure_memory(0)?;
            }
            let mut page = Map::new();
            page.insert("files".into(), list.into());
            page.insert("cursor".into(), cursor.map_or(Dynamic::UNIT, Dynamic::from));
            Ok(page)
        }
        FilesReply::BadCursor => Err(arg(FUNCTION, "cursor").fault("is not one this list gave")),
        _ => Err(confused(FUNCTION)),
    }
}

fn sign(run: &RunState, on: &Files, id: &Dynamic, options: &Options) -> Fallible<String> {
    const FUNCTION: &str = "files.sign";
    let method = options.text("method")?.map_or_else(|| "GET".to_owned(), |method| method.to_ascii_uppercase());
    if !matches!(method.as_str(), "GET" | "PUT" | "DELETE") {
        return Err(arg(FUNCTION, "method").fault("must be GET, PUT or DELETE"));
    }
    let grant = SignedGrant {
        ttl_ms: options.within("ttl_ms", 1..=SIGNED_TTL_MS_MAX)?.unwrap_or(SIGNED_TTL_MS),
        bytes_max: options.within("max_bytes", 0..=run.call.limits.file_bytes)?,
        content_type: text(options, FUNCTION, "content_type", CONTENT_TYPE_BYTES_MAX)?,
        once: options.flag("once")?,
        method,
    };
    for (name, given) in [("max_bytes", grant.bytes_max.is_some()), ("content_type", grant.content_type.is_some())] {
        if given && grant.method != "PUT" {
            return Err(arg(FUNCTION, name).fault("is for `method: \"PUT\"` only"));
        }
    }
    let Some(id) = id_of(FUNCTION, id)? else {
        let message = format!("{FUNCTION}: id: there is no such file in collection `{}`", on.0);
        return Err(catchable(crate::error::KIND_ARGUMENT, Code::NotFound, message));
    };
    match ask(run, FUNCTION, FilesRequest::Sign { collection: on.0.to_string(), id, grant })? {
        FilesReply::Url(url) => Ok(url),
        _ => Err(confused(FUNCTION)),
    }
}

/// Metadata as scripts see it.
fn file_map(run: &RunState, function: &str, file: File) -> Fallible<Map> {
    let metadata = json::parse(file.metadata.as_bytes(), run).map_err(|error| match error {
        json::ParseError::Stopped(stopped) => stopped,
        syntax => {
            let message = format!("{function}: the stored metadata of `{}` {syntax}", file.id);
            catchable(KIND_SERVICE, Code::Corrupted, message)
        }
    })?;
    let mut map = Map::new();
    map.insert("id".into(), file.id.to_string().into());
    map.insert("name".into(), file.name.into());
    map.insert("content_type".into(), file.content_type.into());
    map.insert("size".into(), i64::try_from(file.size).unwrap_or(i64::MAX).into());
    map.insert("sha256".into(), file.sha256.to_string().into());
    map.insert("version".into(), file.version.into());
    map.insert("created_at".into(), rfc3339(file.created_at).into());
    map.insert("updated_at".into(), rfc3339(file.updated_at).into());
    map.insert("metadata".into(), metadata);
    Ok(map)
}
