//! Functions that make object maps larger, each with the exact check of `map_entries`.
//!
//! `m[k] = v` calls no function, so nothing can look there: it is bounded by `memory_bytes` alone.

use super::{map_room, set, set_pure};
use crate::error::RhaiError;
use rhai::{Array, Dynamic, ImmutableString, Map, Module, NativeCallContext};

pub(super) fn register(module: &mut Module) {
    set(module, "set", set_entry);
    set(module, "mixin", mixin);
    set(module, "+=", mixin);
    set(module, "+", merge);
    set(module, "fill_with", fill_with);
    set_pure(module, "keys", keys);
}

fn set_entry(context: NativeCallContext, map: &mut Map, key: ImmutableString, value: Dynamic) -> Result<(), RhaiError> {
    if let Some(present) = map.get_mut(key.as_str()) {
        *present = value;
        return Ok(());
    }
    map_room(&context, map.len() + 1)?;
    map.insert(key.as_str().into(), value);
    Ok(())
}

fn mixin(context: NativeCallContext, map: &mut Map, other: Map) -> Result<(), RhaiError> {
    map.extend(other);
    map_room(&context, map.len())
}

fn merge(context: NativeCallContext, mut map: Map, other: Map) -> Result<Map, RhaiError> {
    mixin(context, &mut map, other)?;
    Ok(map)
}

fn fill_with(context: NativeCallContext, map: &mut Map, other: Map) -> Result<(), RhaiError> {
    for (key, value) in other {
        map.entry(key).or_insert(value);
    }
    map_room(&context, map.len())
}

fn keys(context: NativeCallContext, map: &mut Map) -> Result<Array, RhaiError> {
    super::array_room(&context, map.len(), map.len())?;
    Ok(map.keys().map(|key| Dynamic::from(ImmutableString::from(key.as_str()))).collect())
}
