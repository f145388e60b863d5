//! Looking a request up: down the tree, the most specific branch first, back where it leads nowhere.
//!
//! The cost is bounded by the table, not by 2^depth: a node of a tree is reached in one way only, so a search
//! visits each node at most once, and a path visits at most two nodes where routes branch into a literal and
//! a parameter. A lookup allocates only for parameters, and for `Allow`.

use super::methods::{Method, MethodSet};
use super::{Endpoint, Found, Matched, Node, RESERVED_SEGMENT, RouteTable, Trie};
use crate::path::{NormalPath, host_name};
use picloud_model::protocol::{AppSnapshot, StaticEntry};

impl RouteTable {
    /// What answers `method` at `path`; `host` as the request has it, with or without port.
    pub fn find(&self, host: Option<&str>, path: &NormalPath<'_>, method: &str) -> Found<'_> {
        let below = &path.as_str()[1..];
        if let Some(after) = below.strip_prefix(RESERVED_SEGMENT)
            && (after.is_empty() || after.starts_with('/'))
        {
            return reserved(after, Method::new(method));
        }
        let mut search = Search { table: self, method: Method::new(method), allowed: MethodSet::default() };
        let under_host = match host {
            Some(host) if !self.by_host.is_empty() => self.by_host.get(&*host_name(host)),
            _ => None,
        };
        for trie in under_host.into_iter().chain([&self.without_host]) {
            if let Some(hit) = search.descend(trie, &trie.nodes[0], Some(below)) {
                return self.found(hit, path);
            }
        }
        if search.allowed.is_empty() {
            Found::Nothing
        } else if search.method.is_options() {
            Found::Options(search.allowed.allow())
        } else {
            Found::MethodNotAllowed(search.allowed.allow())
        }
    }

    fn found<'t>(&'t self, hit: Hit<'t>, path: &NormalPath<'_>) -> Found<'t> {
        let (endpoint, head_as_get) = match hit {
            Hit::Route { endpoint, head_as_get } => (endpoint, head_as_get),
            Hit::File { app, file } => return Found::File { app: &self.apps[app as usize], file },
            Hit::Folder => return Found::Folder,
        };
        let app = &self.apps[endpoint.app as usize];
        Found::Script(Matched {
            app,
            route: &app.routes[endpoint.route as usize],
            script: endpoint.script.map(|index| &app.scripts[index as usize]),
            params: params(endpoint, path),
            head_as_get,
        })
    }
}

fn reserved(after: &str, method: Method<'_>) -> Found<'static> {
    if after != "/health" {
        Found::Nothing
    } else if method.reads_files() {
        Found::Health
    } else if method.is_options() {
        Found::Options(MethodSet::READ.allow())
    } else {
        Found::MethodNotAllowed(MethodSet::READ.allow())
    }
}

fn params(endpoint: &Endpoint, path: &NormalPath<'_>) -> Vec<(String, String)> {
    if endpoint.params.is_empty() {
        return Vec::new();
    }
    let mut values = Vec::with_capacity(endpoint.params.len());
    let mut wanted = endpoint.params.iter().peekable();
    let mut left = Some(&path.as_str()[1..]);
    let mut at = 0;
    while let Some(param) = wanted.peek() {
        let text = left.unwrap_or_default();
        let (segment, after) = split(text);
        if param.segment == at {
            values.push((param.name.to_string(), if param.rest { text } else { segment }.to_owned()));
            wanted.next();
        }
        left = after;
        at += 1;
    }
    values
}

/// The first segment, and what follows its `/`.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.as_bytes().iter().position(|byte| *byte == b'/') {
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
        None => (text, None),
    }
}

/// What a search ends with.
enum Hit<'t> {
    Route { endpoint: &'t Endpoint, head_as_get: bool },
    File { app: u32, file: &'t StaticEntry },
    Folder,
}

struct Search<'t, 'm> {
    table: &'t RouteTable,
    method: Method<'m>,
    /// The methods of everything that matched the path but not the method.
    allowed: MethodSet,
}

impl<'t> Search<'t, '_> {
    /// The best match below `node` for the rest of the path; `None` is the path's end, `Some("")` the empty segment
    /// after a trailing `/`.
    fn descend(&mut self, trie: &'t Trie, node: &'t Node, left: Option<&str>) -> Option<Hit<'t>> {
        let Some(left) = left else {
            return self.pick(&node.here).or_else(|| self.pick(&node.rest)).or_else(|| self.file(node, None));
        };
        let (segment, after) = split(left);
        if !node.literals.is_empty()
            && let Some(child) = node.literals.get(segment)
            && let Some(hit) = self.descend(trie, &trie.nodes[*child as usize], after)
        {
            return Some(hit);
        }
        if let Some(child) = node.param
            && !segment.is_empty()
            && let Some(hit) = self.descend(trie, &trie.nodes[child as usize], after)
        {
            return Some(hit);
        }
        self.pick(&node.rest).or_else(|| self.file(node, Some(left)))
    }

    fn pick(&mut self, endpoints: &'t [Endpoint]) -> Option<Hit<'t>> {
        let taken_by = |method| endpoints.iter().find(|endpoint| endpoint.methods.takes(method));
        if let Some(endpoint) = taken_by(self.method) {
            return Some(Hit::Route { endpoint, head_as_get: false });
        }
        if self.method.is_head()
            && let Some(endpoint) = taken_by(Method::GET)
        {
            return Some(Hit::Route { endpoint, head_as_get: true });
        }
        for endpoint in endpoints {
            self.allowed.add(&endpoint.methods);
        }
        None
    }

    /// The static file at `left` below the node; `None` stands for the folder itself without its `/`.
    fn file(&mut self, node: &'t Node, left: Option<&str>) -> Option<Hit<'t>> {
        let hit = node.statics.iter().find_map(|&index| {
            let app = &*self.table.apps[index as usize];
            match left {
                Some(path) => static_hit(app, index, path),
                None => static_file(app, "index.html").map(|_index| Hit::Folder),
            }
        })?;
        if self.method.reads_files() {
            return Some(hit);
        }
        self.allowed.add(&MethodSet::READ);
        None
    }
}

/// `x.css` and `static/x.css` are one file; a folder is its `index.html`.
fn static_hit<'a>(app: &'a AppSnapshot, index: u32, path: &str) -> Option<Hit<'a>> {
    for path in [Some(path), path.strip_prefix("static/")].into_iter().flatten() {
        let folder = path.is_empty() || path.ends_with('/');
        let file = if folder { static_file(app, &format!("{path}index.html")) } else { static_file(app, path) };
        if let Some(file) = file {
            return Some(Hit::File { app: index, file });
        }
        if !folder && static_file(app, &format!("{path}/index.html")).is_some() {
            return Some(Hit::Folder);
        }
    }
    None
}

fn static_file<'a>(app: &'a AppSnapshot, path: &str) -> Option<&'a StaticEntry> {
    app.static_files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|index| &app.static_files[index])
}
