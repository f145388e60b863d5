//! Functions that make blobs longer or turn them into arrays, checked before they build.

use super::{array_room, blob_room, length, set, set_pure};
use crate::error::RhaiError;
use rhai::{Array, Blob, Dynamic, Module, NativeCallContext};

pub(super) fn register(module: &mut Module) {
    set(module, "blob", |context: NativeCallContext, len: i64| filled(&context, len, 0));
    set(module, "blob", |context: NativeCallContext, len: i64, value: i64| filled(&context, len, value));
    set(module, "pad", pad);
    set(module, "append", append);
    set_pure(module, "to_array", to_array);
}

fn filled(context: &NativeCallContext, len: i64, value: i64) -> Result<Blob, RhaiError> {
    let len = length(len);
    blob_room(context, len)?;
    Ok(vec![low_byte(value); len])
}

fn pad(context: NativeCallContext, blob: &mut Blob, len: i64, value: i64) -> Result<(), RhaiError> {
    let len = length(len);
    if len > blob.len() {
        blob_room(&context, len)?;
        blob.resize(len, low_byte(value));
    }
    Ok(())
}

fn append(context: NativeCallContext, blob: &mut Blob, other: Blob) -> Result<(), RhaiError> {
    blob_room(&context, blob.len() + other.len())?;
    blob.extend(other);
    Ok(())
}

fn to_array(context: NativeCallContext, blob: &mut Blob) -> Result<Array, RhaiError> {
    array_room(&context, blob.len(), blob.len())?;
    Ok(blob.iter().map(|byte| Dynamic::from_int(i64::from(*byte))).collect())
}

fn low_byte(value: i64) -> u8 {
    value.to_le_bytes()[0]
}
