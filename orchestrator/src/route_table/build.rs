//! Building the table from a snapshot, and finding what is ambiguous in it.

use super::{Endpoint, MethodSet, Param, RouteConflict, RouteTable, Trie};
use crate::path::{NormalPath, host_name};
use picloud_model::app::DEFAULT_APP;
use picloud_model::protocol::{AppSnapshot, RouteEntry};
use picloud_model::route::{Segment, parse_path};
use std::sync::Arc;

impl RouteTable {
    /// The table of `apps`, or the first two routes found that are in conflict: the same host, the same shape
    /// (equal literals, parameters in the same places) and a method in common.
    pub fn build(apps: &[Arc<AppSnapshot>]) -> Result<Self, RouteConflict> {
        let (table, mut conflicts) = Self::build_serving(apps);
        if conflicts.is_empty() { Ok(table) } else { Err(conflicts.swap_remove(0)) }
    }

    /// The table of `apps` as well as it can be had: of two routes in conflict the first one stays. For a worker,
    /// which serves what its parent has accepted and must not stop over one app.
    pub fn build_serving(apps: &[Arc<AppSnapshot>]) -> (Self, Vec<RouteConflict>) {
        let mut table = Self { apps: apps.to_vec(), ..Self::default() };
        let mut conflicts = Vec::new();
        for (index, app) in apps.iter().enumerate() {
            let index = number(index);
            let (prefix, hosts) = if !app.hosts.is_empty() {
                (None, app.hosts.iter().map(|host| Some(host_name(host))).collect())
            } else if app.name == DEFAULT_APP {
                (None, vec![None])
            } else {
                (Some(app.name.as_str()), vec![None])
            };
            let routes: Vec<Planned> =
                (0..).zip(&app.routes).filter_map(|(at, route)| plan(app, index, at, route)).collect();
            for host in hosts {
                let trie = match &host {
                    None => &mut table.without_host,
                    Some(host) => table.by_host.entry(host.as_ref().into()).or_default(),
                };
                let mut place = Placing { trie, apps, host: host.as_deref(), conflicts: &mut conflicts };
                place.app(app, index, prefix, &routes);
            }
        }
        (table, conflicts)
    }
}

/// A route, read.
struct Planned {
    segments: Vec<Segment>,
    endpoint: Endpoint,
}

fn plan(app: &AppSnapshot, app_index: u32, at: u32, route: &RouteEntry) -> Option<Planned> {
    let segments = match parse_path(&route.path) {
        Ok(segments) => segments,
        Err(refused) => {
            // Saving refuses such a path, so this is a fault of ours; the other routes are served all the same.
            tracing::error!(app = app.name, route = route.path, "route left out: {}", refused.message);
            return None;
        }
    };
    let script = app.scripts.binary_search_by(|entry| entry.name.as_str().cmp(&route.script)).ok().map(number);
    let methods = MethodSet::of_route(&route.methods);
    Some(Planned { segments, endpoint: Endpoint { app: app_index, route: at, script, methods, params: Vec::new() } })
}

/// Puts the routes of one app under one host.
struct Placing<'b> {
    trie: &'b mut Trie,
    apps: &'b [Arc<AppSnapshot>],
    host: Option<&'b str>,
    conflicts: &'b mut Vec<RouteConflict>,
}

impl Placing<'_> {
    fn app(&mut self, app: &AppSnapshot, index: u32, prefix: Option<&str>, routes: &[Planned]) {
        let root = match prefix {
            Some(name) => self.literal(0, name),
            None => 0,
        };
        let depth = usize::from(prefix.is_some());
        for planned in routes {
            self.route(root, depth, planned);
            // `/kitchen` is `/kitchen/`.
            if prefix.is_some() && planned.segments == [Segment::Literal(String::new())] {
                self.end(root, false, planned.endpoint.clone());
            }
        }
        if !app.static_files.is_empty() {
            self.trie.nodes[root as usize].statics.push(index);
        }
    }

    fn route(&mut self, root: u32, depth: usize, planned: &Planned) {
        let mut node = root;
        let mut endpoint = planned.endpoint.clone();
        let mut takes_rest = false;
        for (segment, pattern) in (depth..).zip(&planned.segments) {
            match pattern {
                Segment::Literal(text) => node = self.literal(node, text),
                Segment::Param(name) => {
                    endpoint.params.push(Param { segment, rest: false, name: name.as_str().into() });
                    node = self.param(node);
                }
                Segment::Rest(name) => {
                    endpoint.params.push(Param { segment, rest: true, name: name.as_str().into() });
                    takes_rest = true;
                }
            }
        }
        self.end(node, takes_rest, endpoint);
    }

    fn literal(&mut self, node: u32, text: &str) -> u32 {
        let next = number(self.trie.nodes.len());
        let literals = &mut self.trie.nodes[node as usize].literals;
        if let Some(child) = literals.get(text) {
            return *child;
        }
        literals.insert(text.into(), next);
        self.trie.nodes.push(super::Node::default());
        next
    }

    fn param(&mut self, node: u32) -> u32 {
        let next = number(self.trie.nodes.len());
        let child = *self.trie.nodes[node as usize].param.get_or_insert(next);
        if child == next {
            self.trie.nodes.push(super::Node::default());
        }
        child
    }

    fn end(&mut self, node: u32, takes_rest: bool, endpoint: Endpoint) {
        let node = &mut self.trie.nodes[node as usize];
        let endpoints = if takes_rest { &mut node.rest } else { &mut node.here };
        let other =
            endpoints.iter().find_map(|other| endpoint.methods.common(&other.methods).map(|both| (other, both)));
        match other {
            None => endpoints.push(endpoint),
            Some((other, method)) => {
                let conflict = conflict(self.apps, self.host, &endpoint, other, method);
                self.conflicts.push(conflict);
            }
        }
    }
}

fn conflict(
    apps: &[Arc<AppSnapshot>],
    host: Option<&str>,
    one: &Endpoint,
    other: &Endpoint,
    method: &str,
) -> RouteConflict {
    let named = |endpoint: &Endpoint| {
        let app = &apps[endpoint.app as usize];
        let route = &app.routes[endpoint.route as usize];
        let methods = if route.methods.is_empty() { "*".to_owned() } else { route.methods.join(",") };
        (app.name.clone(), format!("{methods} {}", route.path))
    };
    let (app, title) = named(one);
    let (other_app, other_title) = named(other);
    // Of the two, `other` may be an app's root, which `/app` stands for too: the shorter one is what both match.
    let example = [one, other].map(|endpoint| example(apps, endpoint)).into_iter().min_by_key(String::len);
    let example = example.expect("there are two");
    RouteConflict {
        app,
        title,
        other_app,
        other_title,
        method: method.to_owned(),
        host: host.map(str::to_owned),
        example,
    }
}

/// A path that the route matches.
fn example(apps: &[Arc<AppSnapshot>], endpoint: &Endpoint) -> String {
    let app = &apps[endpoint.app as usize];
    let mut path =
        if app.hosts.is_empty() && app.name != DEFAULT_APP { format!("/{}", app.name) } else { String::new() };
    for segment in parse_path(&app.routes[endpoint.route as usize].path).unwrap_or_default() {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(&text),
            Segment::Param(name) | Segment::Rest(name) => path.push_str(&name),
        }
    }
    NormalPath::from_decoded(&path).encoded()
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("an appliance has fewer than 2^32 routes")
}
