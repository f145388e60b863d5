//! Modules: `import "units" as u;` finds the module of the call's app, as its view says, and no other.
//!
//! Rhai bakes a module's own imports into it, so a compiled module is kept under the content of everything it
//! imports, directly or not (its [`Closure`]); two apps with the same sources share it, and a changed source
//! anywhere below makes another. The closure is worked out before anything is evaluated, and refuses circles and
//! depth there: evaluation never finds one, so there is no stack of modules under way to be cleaned up after a
//! panic.
//!
//! What holds for constants (tests/cases/modules.rhai shows each): a function sees those of its own module as
//! `global::NAME` only, wherever it imports something; importers see every constant as `alias::NAME`. A module's
//! functions see its top-level imports, and those imports' constants.

use crate::alloc::{self, Exempt};
use crate::cache::Cache;
use crate::compile::Program;
use crate::error::{RhaiError, catchable};
use crate::run::Shared;
use crate::run_state::RunState;
use crate::services::ScriptRef;
use picloud_model::ContentHash;
use picloud_model::problem::Code;
use picloud_model::script::ScriptKind;
use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A compiled module, shared by runs.
type SharedModule = rhai::Shared<Module>;

/// `kind` of errors about imports.
const KIND_IMPORT: &str = "import";

/// The content of a module and of all it imports, in the order they are met: what a compiled module depends on.
type Closure = Arc<[ContentHash]>;

/// Compiled modules by closure, for all apps of the process.
pub(crate) struct ModuleCache(Cache<Closure, SharedModule>);

impl ModuleCache {
    /// A cache of at most so many modules.
    pub(crate) fn new(entries_max: usize) -> Self {
        // Their sources weigh in the cache of programs already.
        Self(Cache::new(entries_max, usize::MAX))
    }
}

/// Finds modules for one run.
pub(crate) struct Resolver {
    state: Arc<RunState>,
}

impl Resolver {
    /// The resolver of the run `state`.
    pub(crate) fn new(state: Arc<RunState>) -> Self {
        Self { state }
    }
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<SharedModule, RhaiError> {
        self.load(engine, path, source.unwrap_or_default()).map_err(|mut error| {
            if error.position().is_none() {
                error.set_position(position);
            }
            error
        })
    }
}

impl Resolver {
    fn load(&self, engine: &Engine, name: &str, importer: &str) -> Result<SharedModule, RhaiError> {
        let state = &self.state;
        let mut walk = Walk { state, seen: BTreeSet::new(), path: vec![importer.to_owned()], hashes: Vec::new() };
        let root = walk.enter(name)?;
        let closure: Closure = walk.hashes.into();
        let modules = &state.executor.modules;
        if let Some(module) = modules.0.get(&closure) {
            state.keep(module.clone());
            return Ok(module);
        }
        let before = alloc::used();
        let mut module = Module::eval_ast_as_new(Scope::new(), &root.ast, engine)?;
        module.set_id(name);
        let module: SharedModule = module.into();
        // It was charged while it was built, so that building is bounded; from here on it is the cache's.
        alloc::release(alloc::used().saturating_sub(before));
        let _cache_work = Exempt::begin();
        modules.0.put(closure, module.clone(), 1);
        state.keep(module.clone());
        Ok(module)
    }
}

/// The way through the imports of one module.
struct Walk<'s> {
    state: &'s Arc<RunState>,
    seen: BTreeSet<String>,
    path: Vec<String>,
    hashes: Vec<ContentHash>,
}

impl Walk<'_> {
    fn enter(&mut self, name: &str) -> Result<Arc<Program>, RhaiError> {
        let importer = self.path.last().cloned().unwrap_or_default();
        if self.path.iter().skip(1).any(|above| above == name) {
            let chain = self.path.iter().skip(1).map(String::as_str).chain([name]).collect::<Vec<_>>().join(" → ");
            return Err(refused(format!("modules import each other in a circle: {chain}")));
        }
        let limits = &self.state.call.limits;
        if self.path.len() as u64 > limits.module_depth {
            let chain = self.path.join(" → ");
            return Err(refused(format!(
                "imports are deeper than module_depth = {}: {chain} → {name}",
                limits.module_depth
            )));
        }
        let found = self.state.call.view.script(name).filter(|found| found.kind == ScriptKind::Module);
        let Some(found) = found else {
            return Err(refused(format!("`{importer}` imports module `{name}`, which does not exist")));
        };
        let program = Shared::program(self.state, name, &found)?;
        self.seen.insert(name.to_owned());
        self.hashes.push(found.hash);
        self.path.push(name.to_owned());
        for import in &program.imports {
            // In a circle the name is on the path: entered again to be refused there.
            if !self.seen.contains(&import.name) || self.path.contains(&import.name) {
                self.enter(&import.name)?;
            }
        }
        self.path.pop();
        Ok(program)
    }
}

fn refused(message: String) -> RhaiError {
    catchable(KIND_IMPORT, Code::InvalidScript, message)
}

impl Shared {
    /// The compiled module behind `found`, for a run: what goes wrong is thrown.
    fn program(state: &Arc<RunState>, name: &str, found: &ScriptRef) -> Result<Arc<Program>, RhaiError> {
        state.executor.stored(state, name, found).map_err(|error| {
            let problem = error.problem();
            let message = match problem.errors.first() {
                Some(first) => format!("module `{name}` line {}: {}", first.line, first.message),
                None => format!("module `{name}`: {}", problem.detail),
            };
            EvalAltResult::ErrorInModule(name.to_owned(), catchable(KIND_IMPORT, problem.code, message), Position::NONE)
                .into()
        })
    }
}
