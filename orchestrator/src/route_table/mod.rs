//! The route table: a pure function from host, path and method to what answers, over one immutable snapshot.
//!
//! One table holds all apps. An app without hosts is found at `/{name}` and its paths below (the app
//! `default` at its paths as they are); an app with hosts at its paths, under those hosts alone. A host
//! match beats none; then, segment by segment, a literal beats `{name}` beats `{*rest}` beats the app's
//! static files. The method is part of matching: the most specific route that takes it wins. Where a
//! path is known but not with that method, the answer is 405, or 204 for `OPTIONS`, with `Allow`.
//!
//! `{name}` is one segment that is not empty; `{*rest}` is whatever follows, also nothing (`/a/{*rest}`
//! matches `/a` and `/a/`). Otherwise a trailing `/` counts, but for an app's root: `/{app}` is `/{app}/`.
//! `HEAD` goes to a route that lists it, else to one of the same shape that takes `GET`. A route without
//! methods takes every method but `OPTIONS`.
//!
//! The same code refuses ambiguity when an app is saved. No I/O, no clock, no locks.

mod build;
mod find;
mod methods;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;

use methods::MethodSet;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry, StaticEntry};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The first segment no app can have.
pub const RESERVED_SEGMENT: &str = ".picloud";

/// All routes of all apps at one moment.
#[derive(Debug, Default)]
pub struct RouteTable {
    apps: Vec<Arc<AppSnapshot>>,
    without_host: Trie,
    by_host: HashMap<Box<str>, Trie>,
}

/// What stands behind a path.
#[derive(Debug)]
pub enum Found<'t> {
    /// A script.
    Script(Matched<'t>),
    /// A static file.
    File {
        /// Whose.
        app: &'t Arc<AppSnapshot>,
        /// Which.
        file: &'t StaticEntry,
    },
    /// A folder with an `index.html`, asked for without the `/` at its end: links in it would go astray.
    Folder,
    /// The worker's own health.
    Health,
    /// The path is known, but not with this method; the value of `Allow`.
    MethodNotAllowed(String),
    /// `OPTIONS` of a known path that no route answers itself; the value of `Allow`.
    Options(String),
    /// No app knows the path.
    Nothing,
}

/// A route that takes the request.
#[derive(Debug)]
pub struct Matched<'t> {
    /// The app.
    pub app: &'t Arc<AppSnapshot>,
    /// The route.
    pub route: &'t RouteEntry,
    /// Its endpoint; `None` if the app has no such script, which its parent should never send.
    pub script: Option<&'t ScriptEntry>,
    /// The path's parameters in their order; no allocation where there are none.
    pub params: Vec<(String, String)>,
    /// Whether a `HEAD` is to be run as a `GET`.
    pub head_as_get: bool,
}

/// Two routes that both match one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConflict {
    /// The app of the one.
    pub app: String,
    /// The one, as `GET /rooms/{room}`.
    pub title: String,
    /// The app of the other.
    pub other_app: String,
    /// The other.
    pub other_title: String,
    /// A method both take.
    pub method: String,
    /// The host both are under, if any.
    pub host: Option<String>,
    /// A path both match.
    pub example: String,
}

impl fmt::Display for RouteConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, title, other_app, other_title, method, host, example } = self;
        write!(f, "route `{title}` of app `{app}` and route `{other_title}` of app `{other_app}` ")?;
        write!(f, "both match `{method} {example}`")?;
        if let Some(host) = host {
            write!(f, " on host `{host}`")?;
        }
        Ok(())
    }
}

impl std::error::Error for RouteConflict {}

/// The routes under one host: a tree with one level a segment. Node 0 is the root.
#[derive(Debug)]
struct Trie {
    nodes: Vec<Node>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

/// What can follow one beginning of a path.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, u32>,
    param: Option<u32>,
    /// Routes that end here.
    here: Vec<Endpoint>,
    /// Routes that take whatever follows.
    rest: Vec<Endpoint>,
    /// Apps whose static files are below here.
    statics: Vec<u32>,
}

/// A route at its place in the tree.
#[derive(Clone, Debug)]
struct Endpoint {
    app: u32,
    route: u32,
    script: Option<u32>,
    methods: MethodSet,
    params: Vec<Param>,
}

/// A parameter of a route.
#[derive(Clone, Debug)]
struct Param {
    /// Which segment of the path, from 0.
    segment: usize,
    /// Whether it takes everything from there on.
    rest: bool,
    name: Box<str>,
}
