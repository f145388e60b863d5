//! The graph of imports of an app: missing modules, circles, depth.

use super::{diagnostic, walk};
use crate::engine;
use picloud_model::limits::Limits;
use picloud_model::script::Diagnostic;
use rhai::Position;
use std::collections::{BTreeMap, BTreeSet};

/// One thing wrong with who imports what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFault {
    /// The script or module it stands in.
    pub importer: String,
    /// The module whose import there is at fault.
    pub import: String,
    /// What is wrong, without line and column.
    pub diagnostic: Diagnostic,
}

impl ImportFault {
    /// The same with the line and column of the import in `source`, which is the importer's.
    #[must_use]
    pub fn located(mut self, source: &str, limits: &Limits) -> Self {
        let Ok(ast) = engine::to_compile(limits).compile(source) else { return self };
        let position = walk::import_position(&ast, &self.import);
        self.diagnostic.line = position.line().unwrap_or(0);
        self.diagnostic.column = position.position().unwrap_or(0);
        self
    }
}

/// Checks who imports what: `graph` has every endpoint and module of the app with its imports, `modules` the names of
/// those that are modules. Each fault names the importer it stands in.
pub fn check_imports(
    graph: &BTreeMap<String, Vec<String>>,
    modules: &BTreeSet<String>,
    depth_max: u64,
) -> Result<(), Vec<ImportFault>> {
    let mut faults = Vec::new();
    let mut fault = |importer: &str, import: &str, message: String, hint: String| {
        let diagnostic = diagnostic(Position::NONE, message, Some(hint));
        faults.push(ImportFault { importer: importer.to_owned(), import: import.to_owned(), diagnostic });
    };
    for (importer, imports) in graph {
        for name in imports.iter().filter(|name| !modules.contains(*name)) {
            let message = if graph.contains_key(name) {
                format!("`{importer}` imports `{name}`, which is an endpoint and no module")
            } else {
                format!("`{importer}` imports module `{name}`, which does not exist")
            };
            fault(importer, name, message, format!("add modules/{name}.rhai, or take the import out"));
        }
    }
    let mut depths = BTreeMap::new();
    let mut circles = BTreeSet::new();
    for importer in graph.keys() {
        Search { graph, depths: &mut depths, circles: &mut circles }.depth(importer, &mut Vec::new());
    }
    for circle in circles {
        let chain = circle.iter().chain(circle.first()).cloned().collect::<Vec<_>>().join(" → ");
        let message = format!("modules import each other in a circle: {chain}");
        let import = circle.get(1).unwrap_or(&circle[0]);
        fault(&circle[0], import, message, "move what both need into a third module".to_owned());
    }
    for (importer, (depth, chain)) in &depths {
        // Only the tops are named, else every step of one chain would be.
        let is_top = !graph.values().flatten().any(|name| name == importer);
        // An endpoint is no module itself: its chain counts from what it imports.
        let depth = depth - u64::from(!modules.contains(importer));
        if is_top && depth > depth_max {
            let message =
                format!("imports are {depth} deep, more than module_depth = {depth_max}: {}", chain.join(" → "));
            let import = chain.get(1).map_or("", String::as_str);
            fault(importer, import, message, "import the deeper modules directly, or join some".to_owned());
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

struct Search<'g> {
    graph: &'g BTreeMap<String, Vec<String>>,
    /// How many scripts the longest chain from a script has, itself included, and that chain.
    depths: &'g mut BTreeMap<String, (u64, Vec<String>)>,
    /// Each circle once, its first name being the least.
    circles: &'g mut BTreeSet<Vec<String>>,
}

impl Search<'_> {
    fn depth(&mut self, name: &str, path: &mut Vec<String>) -> (u64, Vec<String>) {
        if let Some(start) = path.iter().position(|above| above == name) {
            let mut circle = path[start..].to_vec();
            let least = circle.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(index, _)| index);
            circle.rotate_left(least);
            self.circles.insert(circle);
            return (0, Vec::new());
        }
        if let Some(known) = self.depths.get(name) {
            return known.clone();
        }
        path.push(name.to_owned());
        let imports = self.graph.get(name).map(Vec::as_slice).unwrap_or_default();
        let longest = imports.iter().map(|import| self.depth(import, path)).max_by_key(|(depth, _)| *depth);
        path.pop();
        let (depth, mut chain) = longest.unwrap_or_default();
        chain.insert(0, name.to_owned());
        self.depths.insert(name.to_owned(), (depth + 1, chain.clone()));
        (depth + 1, chain)
    }
}
