//! Functions that make arrays longer, each with the exact check of `array_items`.

use super::{array_room, length, room, set};
use crate::alloc;
use crate::error::RhaiError;
use rhai::{Array, Blob, Dynamic, Map, Module, NativeCallContext};

pub(super) fn register(module: &mut Module) {
    set(module, "push", push);
    set(module, "append", append);
    set(module, "+", concat);
    set(module, "insert", insert);
    set(module, "pad", pad);
}

fn push(context: NativeCallContext, array: &mut Array, item: Dynamic) -> Result<(), RhaiError> {
    array_room(&context, array.len() + 1, 1)?;
    array.push(item);
    Ok(())
}

fn append(context: NativeCallContext, array: &mut Array, other: Array) -> Result<(), RhaiError> {
    array_room(&context, array.len() + other.len(), other.len())?;
    array.extend(other);
    Ok(())
}

fn concat(context: NativeCallContext, mut array: Array, other: Array) -> Result<Array, RhaiError> {
    array_room(&context, array.len() + other.len(), other.len())?;
    array.extend(other);
    Ok(array)
}

fn insert(context: NativeCallContext, array: &mut Array, index: i64, item: Dynamic) -> Result<(), RhaiError> {
    array_room(&context, array.len() + 1, 1)?;
    let len = array.len();
    // As Rhai counts: from the end where negative, clamped at both ends.
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let at = if index < 0 { len.saturating_sub(distance) } else { distance.min(len) };
    array.insert(at, item);
    Ok(())
}

fn pad(context: NativeCallContext, array: &mut Array, len: i64, item: Dynamic) -> Result<(), RhaiError> {
    let len = length(len);
    if len > array.len() {
        let extra = len - array.len();
        array_room(&context, len, extra)?;
        room(&context, extra.saturating_mul(clone_bytes(&item, 0)))?;
        array.resize(len, item);
    }
    Ok(())
}

/// How deep [`clone_bytes`] looks; deeper values count as too large to be copied.
const CLONE_DEPTH_MAX: usize = 512;

/// Bytes on the heap that a clone of `value` takes: strings and shared values are not copied, everything else is.
fn clone_bytes(value: &Dynamic, depth: usize) -> usize {
    /// A map's entry: key, value and its share of the nodes.
    const ENTRY_BYTES: usize = 64;
    if depth > CLONE_DEPTH_MAX {
        return usize::MAX;
    }
    if value.is_shared() {
        return 0;
    }
    if let Some(array) = value.read_lock::<Array>() {
        let items: usize = array.iter().map(|item| clone_bytes(item, depth + 1)).fold(24, usize::saturating_add);
        return items.saturating_add(array.len() * alloc::ITEM_BYTES);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let values: usize = map.values().map(|item| clone_bytes(item, depth + 1)).fold(24, usize::saturating_add);
        return values.saturating_add(map.len() * ENTRY_BYTES);
    }
    value.read_lock::<Blob>().map_or(0, |blob| 24 + blob.len())
}
