//! Apps and routes for tests, in few words.

use picloud_model::limits::Limits;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry, StaticEntry};
use picloud_model::route::RouteAuth;
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, ContentHash};

/// An app without hosts and static files, with one endpoint `main` that every route leads to.
pub(crate) fn app(id: i64, name: &str, routes: &[RouteEntry]) -> AppSnapshot {
    let main = ScriptEntry {
        name: "main".to_owned(),
        kind: ScriptKind::Endpoint,
        version: 1,
        hash: ContentHash::of(b"1"),
        quarantined_after_crashes: None,
        placement: picloud_model::placement::Placement::default(),
        elsewhere: false,
    };
    AppSnapshot {
        http_allow: Vec::new(),
        id: AppId(id),
        name: name.to_owned(),
        hosts: Vec::new(),
        env: Vec::new(),
        limits: Limits::default(),
        routes: routes.to_vec(),
        scripts: vec![main],
        static_files: Vec::new(),
    }
}

/// A public route to `main`.
pub(crate) fn route(methods: &[&str], path: &str) -> RouteEntry {
    RouteEntry {
        id: 0,
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        path: path.to_owned(),
        script: "main".to_owned(),
        auth: RouteAuth::Public,
    }
}

/// A static file with `content`.
pub(crate) fn file(path: &str, content: &[u8]) -> StaticEntry {
    StaticEntry {
        path: path.to_owned(),
        hash: ContentHash::of(content),
        size_bytes: content.len() as u64,
        updated_at: 1_700_000_000_000,
    }
}
