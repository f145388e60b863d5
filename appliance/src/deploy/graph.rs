//! Who imports whom: missing modules, cycles and depth, as the executor defines them.

use picloud_model::limits::Limits;
use picloud_model::script::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with the imports, each with the script it is wrong in; line and column where `source_of` has its text.
pub(super) fn check<'s>(
    graph: &BTreeMap<String, Vec<String>>,
    modules: &BTreeSet<String>,
    limits: &Limits,
    source_of: impl Fn(&str) -> Option<&'s str>,
) -> Vec<(String, Diagnostic)> {
    let faults = picloud_executor::check_imports(graph, modules, limits.module_depth).err().unwrap_or_default();
    let located = faults.into_iter().map(|fault| match source_of(&fault.importer) {
        Some(source) => fault.located(source, limits),
        None => fault,
    });
    located.map(|fault| (fault.importer, fault.diagnostic)).collect()
}
