//! What can be known to be wrong before a script runs: names that lead nowhere, imports, the shape of modules.
//!
//! Nothing is evaluated here, so the process that holds the data may do it. Runs at save and again at load.

mod imports;
mod names;
mod parts;
mod shape;
mod walk;

pub use imports::{ImportFault, check_imports};
pub(crate) use parts::parts;

use crate::compile::Program;
use crate::sdk;
use picloud_model::limits::Limits;
use picloud_model::script::{Diagnostic, ScriptKind};
use rhai::{AST, Position};

/// What validation found in a source that may be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The modules it imports, each once, in the order of the source.
    pub imports: Vec<String>,
    /// What is doubtful, but no reason to refuse it.
    pub warnings: Vec<Diagnostic>,
}

/// Checks a source without running anything. All that is wrong is named at once; of syntax, the first error of each
/// statement and function.
pub fn validate(name: &str, kind: ScriptKind, source: &str, limits: &Limits) -> Result<Validated, Vec<Diagnostic>> {
    let program = Program::compile(name, kind, source, limits)?;
    let imports = program.imports.into_iter().map(|import| import.name).collect();
    Ok(Validated { imports, warnings: program.warnings })
}

/// One `import`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The module.
    pub(crate) name: String,
}

/// What [`check`] found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) imports: Vec<Import>,
    pub(crate) used: sdk::Used,
    /// Whether anything names `ctx`.
    pub(crate) names_ctx: bool,
    /// Whether a closure names `ctx`.
    pub(crate) captures_ctx: bool,
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Checks a syntax tree.
pub(crate) fn check(ast: &AST, kind: ScriptKind) -> Findings {
    let mut findings = Findings::default();
    let aliases = walk::aliases(ast);
    walk::check_imports(ast, &mut findings);
    names::check(ast, kind, &aliases, &mut findings);
    if kind == ScriptKind::Module {
        shape::check(ast, &mut findings);
    }
    if !findings.imports.is_empty() {
        // The modules' functions may name any.
        findings.used = sdk::Used::ALL;
    }
    for list in [&mut findings.errors, &mut findings.warnings] {
        list.sort_by_key(|found| (found.line, found.column));
        list.dedup();
    }
    findings
}

fn diagnostic(position: Position, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic {
        file: None,
        line: position.line().unwrap_or(0),
        column: position.position().unwrap_or(0),
        message,
        hint,
    }
}
