//! `==`, `!=`, `contains`, `index_of` and `dedup` on arrays and maps, with a bound on depth and a look at the clock.
//!
//! A map or array may hold the same large string a hundred thousand times, so comparing two of them is not linear in
//! what was charged.

use super::{pulse, set, set_pure};
use crate::error::{RhaiError, Stop};
use crate::run_state::RunState;
use rhai::{Array, Dynamic, Map, Module, NativeCallContext};

pub(super) fn register(module: &mut Module) {
    set_pure(module, "==", |context: NativeCallContext, a: &mut Array, b: Array| {
        Comparison::new(&context).arrays(a, &b, 1)
    });
    set_pure(module, "!=", |context: NativeCallContext, a: &mut Array, b: Array| {
        Comparison::new(&context).arrays(a, &b, 1).map(|equal| !equal)
    });
    set_pure(module, "==", |context: NativeCallContext, a: &mut Map, b: Map| Comparison::new(&context).maps(a, &b, 1));
    set_pure(module, "!=", |context: NativeCallContext, a: &mut Map, b: Map| {
        Comparison::new(&context).maps(a, &b, 1).map(|equal| !equal)
    });
    set_pure(module, "contains", |context: NativeCallContext, array: &mut Array, value: Dynamic| {
        position(&context, array, &value, 0).map(|index| index >= 0)
    });
    set_pure(module, "index_of", |context: NativeCallContext, array: &mut Array, value: Dynamic| {
        position(&context, array, &value, 0)
    });
    set_pure(module, "index_of", |context: NativeCallContext, array: &mut Array, value: Dynamic, start: i64| {
        position(&context, array, &value, start)
    });
    set(module, "dedup", |context: NativeCallContext, array: &mut Array| dedup(&context, array));
}

/// The index of the first item equal to `value` from `start` on (from the end where negative), else -1.
fn position(context: &NativeCallContext, array: &mut Array, value: &Dynamic, start: i64) -> Result<i64, RhaiError> {
    let distance = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if start < 0 { array.len().saturating_sub(distance) } else { distance };
    let mut comparison = Comparison::new(context);
    for (index, item) in array.iter().enumerate().skip(start) {
        if comparison.equal(item, value, 1)? {
            return Ok(i64::try_from(index).unwrap_or(i64::MAX));
        }
    }
    Ok(-1)
}

fn dedup(context: &NativeCallContext, array: &mut Array) -> Result<(), RhaiError> {
    let mut comparison = Comparison::new(context);
    let mut failed = None;
    array.dedup_by(|next, kept| {
        failed.is_none()
            && comparison.equal(kept, next, 1).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
    });
    failed.map_or(Ok(()), Err)
}

/// Bytes compared between two looks at the clock.
const LOOK_EVERY_BYTES: usize = 64 * 1024;

/// A comparison under way.
struct Comparison<'c> {
    context: &'c NativeCallContext<'c>,
    depth_max: usize,
    until_look: usize,
}

impl<'c> Comparison<'c> {
    fn new(context: &'c NativeCallContext<'c>) -> Self {
        Self { context, depth_max: crate::alloc::caps().value_depth, until_look: LOOK_EVERY_BYTES }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), RhaiError> {
        match self.until_look.checked_sub(bytes) {
            Some(left) => self.until_look = left,
            None => {
                self.until_look = LOOK_EVERY_BYTES;
                pulse(self.context)?;
            }
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize) -> Result<(), RhaiError> {
        if depth > self.depth_max {
            let state = RunState::of(self.context);
            return Err(state.stop(Stop::limit("value_depth", state.call.limits.value_depth)));
        }
        Ok(())
    }

    fn arrays(&mut self, a: &Array, b: &Array, depth: usize) -> Result<bool, RhaiError> {
        self.check_depth(depth)?;
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b) {
            if !self.equal(a, b, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn maps(&mut self, a: &Map, b: &Map, depth: usize) -> Result<bool, RhaiError> {
        self.check_depth(depth)?;
        if a.len() != b.len() {
            return Ok(false);
        }
        for ((key_a, a), (key_b, b)) in a.iter().zip(b) {
            self.spend(key_a.len())?;
            if key_a != key_b || !self.equal(a, b, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn equal(&mut self, a: &Dynamic, b: &Dynamic, depth: usize) -> Result<bool, RhaiError> {
        /// What comparing two small values costs, in bytes compared.
        const SMALL: usize = 32;
        self.spend(SMALL)?;
        if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
            return Ok(a == b);
        }
        if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
            if a.len() != b.len() {
                return Ok(false);
            }
            self.spend(a.len())?;
            return Ok(a.as_str() == b.as_str());
        }
        if let (Ok(a), Ok(b)) = (a.as_array_ref(), b.as_array_ref()) {
            return self.arrays(&a, &b, depth);
        }
        if let (Ok(a), Ok(b)) = (a.as_map_ref(), b.as_map_ref()) {
            return self.maps(&a, &b, depth);
        }
        if let (Ok(a), Ok(b)) = (a.as_blob_ref(), b.as_blob_ref()) {
            self.spend(a.len())?;
            return Ok(*a == *b);
        }
        self.others(a, b)
    }

    /// Values of other types, which Rhai's operators compare; `false` where it has none for the two.
    fn others(&mut self, a: &Dynamic, b: &Dynamic) -> Result<bool, RhaiError> {
        if a.is_unit() || b.is_unit() {
            return Ok(a.is_unit() && b.is_unit());
        }
        if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
            return Ok(a == b);
        }
        // Of the types left none holds others: characters, floats and the SDK's handles.
        let (mut a, mut b) = (a.flatten_clone(), b.flatten_clone());
        match self.context.call_native_fn_raw(rhai::OP_EQUALS, true, &mut [&mut a, &mut b]) {
            Ok(value) => Ok(value.as_bool().unwrap_or(false)),
            Err(error) if matches!(*error, rhai::EvalAltResult::ErrorFunctionNotFound(..)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
