//! Rhai's standard functions, with those replaced whose cost or result is not in proportion to what is charged already.
//!
//! A native runs between two looks at the clock and the account, so each must be linear in memory the run already
//! holds, or check as it goes: sizes before building ([`room`], [`array_room`], …), time with [`pulse`]. What Rhai's
//! own functions do within those bounds stays Rhai's. Every replacement here answers what Rhai's would.
//!
//! Not registered at all: Rhai's `timestamp` (time comes from the run's clock, `time::now_ms()`).

mod arrays;
mod blobs;
mod compare;
mod maps;
pub(crate) mod print;
mod sort;
mod strings;

use crate::alloc;
use crate::error::RhaiError;
use crate::run_state::RunState;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, BitFieldPackage, LanguageCorePackage, LogicPackage, MoreStringPackage,
    Package,
};
use rhai::{FuncRegistration, Module, NativeCallContext, RhaiNativeFunc, Shared, Variant};
use std::sync::LazyLock;

static STANDARD: LazyLock<Shared<Module>> = LazyLock::new(|| {
    let mut standard = Module::new();
    LanguageCorePackage::init(&mut standard);
    ArithmeticPackage::init(&mut standard);
    BasicStringPackage::init(&mut standard);
    BasicIteratorPackage::init(&mut standard);
    BasicFnPackage::init(&mut standard);
    BitFieldPackage::init(&mut standard);
    LogicPackage::init(&mut standard);
    BasicMathPackage::init(&mut standard);
    BasicArrayPackage::init(&mut standard);
    BasicBlobPackage::init(&mut standard);
    BasicMapPackage::init(&mut standard);
    MoreStringPackage::init(&mut standard);
    // Looked up lazily, a function costs a walk over all of them at its first call in every run: 43 µs.
    standard.register_lazy_functions();
    let mut checked = Module::new();
    arrays::register(&mut checked);
    blobs::register(&mut checked);
    compare::register(&mut checked);
    maps::register(&mut checked);
    print::register(&mut checked);
    sort::register(&mut checked);
    strings::register(&mut checked);
    set(&mut checked, "sleep", |_context: NativeCallContext, _seconds: i64| no_sleep());
    set(&mut checked, "sleep", |_context: NativeCallContext, _seconds: f64| no_sleep());
    standard.combine_flatten(checked);
    standard.build_index();
    Shared::new(standard)
});

/// How long a script wants something to be: none where it says less, and what no limit allows where it says more than
/// this processor can count.
fn length(said: i64) -> usize {
    usize::try_from(said.max(0)).unwrap_or(usize::MAX)
}

/// The standard functions, built once a process.
pub(crate) fn standard() -> Shared<Module> {
    STANDARD.clone()
}

fn no_sleep() -> Result<(), RhaiError> {
    Err(crate::error::argument("sleep", "seconds", "a run may not sleep: it would keep its thread from others"))
}

/// Registers a replacement that may change its first argument.
fn set<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
    module: &mut Module,
    name: &str,
    function: FUNC,
) where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
{
    FuncRegistration::new(name).in_internal_namespace().set_into_module(module, function);
}

/// Registers a replacement that only reads its first argument, so that constants have it too.
fn set_pure<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
    module: &mut Module,
    name: &str,
    function: FUNC,
) where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
{
    FuncRegistration::new(name).in_internal_namespace().with_purity(true).set_into_module(module, function);
}

/// Counts as an operation: ends the run when its time, its memory or its operations are over.
pub(crate) fn pulse(context: &NativeCallContext) -> Result<(), RhaiError> {
    if alloc::tick() && crate::engine::look(&RunState::of(context)) {
        return Err(crate::error::terminated());
    }
    Ok(())
}

/// Room for `bytes` more?
fn room(context: &NativeCallContext, bytes: usize) -> Result<(), RhaiError> {
    if alloc::has_room(bytes) { Ok(()) } else { RunState::of(context).ensure_memory(bytes as u64) }
}

/// May an array have `items`, and is there room for `extra` more of them?
fn array_room(context: &NativeCallContext, items: usize, extra: usize) -> Result<(), RhaiError> {
    if items > alloc::caps().array_items {
        RunState::of(context).check_array(items as u64)?;
    }
    room(context, extra.saturating_mul(alloc::ITEM_BYTES))
}

/// May a string have `bytes`, and is there room for one?
fn string_room(context: &NativeCallContext, bytes: usize) -> Result<(), RhaiError> {
    if bytes > alloc::caps().string_bytes {
        RunState::of(context).check_string(bytes as u64)?;
    }
    room(context, bytes)
}

/// May a blob have `bytes`, and is there room for one?
fn blob_room(context: &NativeCallContext, bytes: usize) -> Result<(), RhaiError> {
    if bytes > alloc::caps().blob_bytes {
        RunState::of(context).check_blob(bytes as u64)?;
    }
    room(context, bytes)
}

/// May a map have `entries`?
fn map_room(context: &NativeCallContext, entries: usize) -> Result<(), RhaiError> {
    if entries > alloc::caps().map_entries { RunState::of(context).check_map(entries as u64) } else { Ok(()) }
}
