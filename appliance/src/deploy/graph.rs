//! Who imports whom: missing modules, cycles and depth, as the executor defines them.

use picloud_model::limits::Limits;
use picloud_model::script::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with the imports, each with the script it is wrong in.
pub(super) fn check(
    graph: &BTreeMap<String, Vec<String>>,
    modules: &BTreeSet<String>,
    limits: &Limits,
) -> Vec<(String, Diagnostic)> {
    picloud_executor::check_imports(graph, modules, limits.module_depth).err().unwrap_or_default()
}
