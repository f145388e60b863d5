//! The one place that builds a Rhai engine: one to compile with, and one for every run.
//!
//! An engine per run costs about a microsecond, for the functions are shared modules; in turn its callbacks are
//! closures over the run, and nothing needs to be found through a thread or a lock.
//!
//! Rhai's own limits on sizes walk whole values at every call, and its count of operations forgets those of
//! callbacks; both are left off. `alloc` counts memory and operations instead, and [`look`] judges them.

use crate::alloc::{self, Noted};
use crate::compile::Program;
use crate::ctx::{self, Input};
use crate::error::Stop;
use crate::modules::Resolver;
use crate::run_state::RunState;
use crate::{natives, sdk};
use picloud_model::execution::LogLevel;
use picloud_model::limits::Limits;
use rhai::{Dynamic, Engine, Module, OptimizationLevel};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A run that is over within this time keeps the thread it began on; a longer one is handed over.
pub const INLINE_BUDGET: Duration = Duration::from_micros(100);

/// Stack bytes for each byte of memory. The cheapest nesting a script can build takes 40 bytes of its memory a
/// level (an array in an array); the dearest walk over it, cloning, takes under 400 bytes of stack.
const STACK_PER_MEMORY: u64 = 16;

/// Least stack of a thread that runs scripts: calls within calls need it whatever the values.
const STACK_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// The stack a thread needs to run scripts that may hold `memory_bytes`: no value they can afford is nested deeply
/// enough to overflow it. It is address space; only what is used becomes memory.
pub fn stack_bytes_for(memory_bytes: u64) -> usize {
    let bytes = memory_bytes.saturating_mul(STACK_PER_MEMORY).max(STACK_BYTES_MIN);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Operations between two looks at the clock, once a run has proved to be long.
const OPERATIONS_PER_LOOK: u64 = 1024;
/// The same while it may still be short.
const OPERATIONS_PER_FIRST_LOOKS: u64 = 256;

/// An engine that only compiles.
pub(crate) fn to_compile(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    let depth = usize::try_from(limits.expression_depth).unwrap_or(usize::MAX);
    engine.set_max_expr_depths(depth, depth);
    // Folding constants has no bound: `const A = B + B` forty times over would be a terabyte.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.disable_symbol("eval");
    sdk::allow_after_colons(&mut engine);
    engine
}

/// Builds the modules that all engines share.
pub(crate) fn warm_up() {
    let _built = (natives::standard(), sdk::global_module());
}

/// The engine of one run of `program`, which `input` started.
pub(crate) fn for_run(state: &Arc<RunState>, program: &Program, input: Input) -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(natives::standard());
    engine.register_global_module(sdk::global_module());
    sdk::register_namespaces(&mut engine, program.used);
    if program.names_ctx {
        provide_ctx(&mut engine, program, ctx::value(state.clone(), input));
    }
    let limits = &state.call.limits;
    engine.set_max_call_levels(usize::try_from(limits.call_levels).unwrap_or(usize::MAX));
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_default_tag(Dynamic::from(state.clone()));
    if !program.imports.is_empty() {
        engine.set_module_resolver(Resolver::new(state.clone()));
    }
    let run = state.clone();
    engine.on_progress(move |_operations| (alloc::tick() && look(&run)).then_some(Dynamic::UNIT));
    let run = state.clone();
    engine.on_print(move |text| sdk::log::write(&run, LogLevel::Info, text, String::new()));
    let run = state.clone();
    engine.on_debug(move |text, _source, _position| sdk::log::write(&run, LogLevel::Debug, text, String::new()));
    engine
}

/// Makes `ctx` visible everywhere, also in functions and modules, which do not see the scope.
fn provide_ctx(engine: &mut Engine, program: &Program, ctx: Dynamic) {
    if program.resolves_ctx {
        // Dearer, for it is asked for every variable; but a closure can only capture what is found this way.
        #[expect(deprecated, reason = "marked so only because its signature may change; the version is pinned")]
        engine.on_var(move |name, index, _context| Ok((index == 0 && name == "ctx").then(|| ctx.clone())));
    } else {
        let mut module = Module::new();
        module.set_var("ctx", ctx);
        module.build_index();
        engine.register_global_module(module.into());
    }
}

/// Looks at all that may end a run; whether it is to end now.
#[cold]
pub(crate) fn look(state: &RunState) -> bool {
    if state.stopped().is_some() {
        return true;
    }
    let limits = &state.call.limits;
    let operations = alloc::operations();
    let stop = match alloc::noted() {
        Noted::Bytes => Some(Stop::limit("string_bytes", limits.string_bytes)),
        Noted::Items => Some(Stop::limit("array_items", limits.array_items)),
        Noted::Nothing if alloc::used() > limits.memory_bytes => Some(Stop::limit("memory_bytes", limits.memory_bytes)),
        Noted::Nothing if operations > limits.max_operations => {
            Some(Stop::limit("max_operations", limits.max_operations))
        }
        Noted::Nothing => None,
    };
    let now = Instant::now();
    let stop = stop.or_else(|| (now >= state.call.deadline).then(|| state.deadline()));
    if let Some(stop) = stop {
        let _in_the_state = state.stop(stop);
        return true;
    }
    if !state.is_long() && now.duration_since(state.started) > INLINE_BUDGET {
        state.before_wait();
    }
    let step = if state.is_long() { OPERATIONS_PER_LOOK } else { OPERATIONS_PER_FIRST_LOOKS };
    alloc::check_at((operations + step).min(limits.max_operations + 1));
    false
}
