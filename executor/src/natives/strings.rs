//! Functions on strings whose result is not in proportion to their arguments, checked before they build.

use super::{array_room, length, room, set, set_pure, string_room};
use crate::error::RhaiError;
use rhai::{Array, Dynamic, ImmutableString, Module, NativeCallContext};

pub(super) fn register(module: &mut Module) {
    set(module, "replace", |context: NativeCallContext, text: &mut ImmutableString, find: &str, with: &str| {
        replace(&context, text, find, with)
    });
    set(module, "replace", |context: NativeCallContext, text: &mut ImmutableString, find: &str, with: char| {
        replace(&context, text, find, with.encode_utf8(&mut [0; 4]))
    });
    set(module, "replace", |context: NativeCallContext, text: &mut ImmutableString, find: char, with: &str| {
        replace(&context, text, find.encode_utf8(&mut [0; 4]), with)
    });
    set(module, "replace", |context: NativeCallContext, text: &mut ImmutableString, find: char, with: char| {
        replace(&context, text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]))
    });
    set(module, "pad", |context: NativeCallContext, text: &mut ImmutableString, len: i64, with: char| {
        pad(&context, text, len, with.encode_utf8(&mut [0; 4]))
    });
    set(module, "pad", |context: NativeCallContext, text: &mut ImmutableString, len: i64, with: &str| {
        pad(&context, text, len, with)
    });
    register_splits(module);
}

fn register_splits(module: &mut Module) {
    set_pure(module, "to_chars", |context: NativeCallContext, text: &str| {
        let count = text.chars().count();
        array_room(&context, count, count)?;
        Ok::<Array, RhaiError>(text.chars().map(Dynamic::from).collect())
    });
    set_pure(module, "split", |context: NativeCallContext, text: &mut ImmutableString| {
        if text.is_empty() { Ok(vec![text.clone().into()]) } else { collect(&context, text.split_whitespace()) }
    });
    set_pure(module, "split", |context: NativeCallContext, text: &mut ImmutableString, by: &str| {
        collect(&context, text.split(by))
    });
    set_pure(module, "split", |context: NativeCallContext, text: &mut ImmutableString, by: char| {
        collect(&context, text.split(by))
    });
    set_pure(module, "split", |context: NativeCallContext, text: &mut ImmutableString, by: &str, most: i64| {
        collect(&context, text.splitn(at_least_one(most), by))
    });
    set_pure(module, "split", |context: NativeCallContext, text: &mut ImmutableString, by: char, most: i64| {
        collect(&context, text.splitn(at_least_one(most), by))
    });
    set_pure(module, "split_rev", |context: NativeCallContext, text: &mut ImmutableString, by: &str| {
        collect(&context, text.rsplit(by))
    });
    set_pure(module, "split_rev", |context: NativeCallContext, text: &mut ImmutableString, by: char| {
        collect(&context, text.rsplit(by))
    });
    set_pure(module, "split_rev", |context: NativeCallContext, text: &mut ImmutableString, by: &str, most: i64| {
        collect(&context, text.rsplitn(at_least_one(most), by))
    });
    set_pure(module, "split_rev", |context: NativeCallContext, text: &mut ImmutableString, by: char, most: i64| {
        collect(&context, text.rsplitn(at_least_one(most), by))
    });
}

fn at_least_one(most: i64) -> usize {
    usize::try_from(most.max(1)).unwrap_or(usize::MAX)
}

/// Bytes on the heap of a string in an array, beside its text.
const STRING_BYTES: usize = 64;

fn collect<'t>(context: &NativeCallContext, pieces: impl Iterator<Item = &'t str>) -> Result<Array, RhaiError> {
    let mut array = Array::new();
    for piece in pieces {
        array_room(context, array.len() + 1, 1)?;
        room(context, piece.len() + STRING_BYTES)?;
        array.push(piece.into());
    }
    Ok(array)
}

fn replace(context: &NativeCallContext, text: &mut ImmutableString, find: &str, with: &str) -> Result<(), RhaiError> {
    if text.is_empty() {
        return Ok(());
    }
    let count = if find.is_empty() { text.chars().count() + 1 } else { text.matches(find).count() };
    if count > 0 {
        let added = count.saturating_mul(with.len());
        string_room(context, (text.len() - count * find.len()).saturating_add(added))?;
        *text = text.replace(find, with).into();
    }
    Ok(())
}

fn pad(context: &NativeCallContext, text: &mut ImmutableString, len: i64, with: &str) -> Result<(), RhaiError> {
    let len = length(len);
    let present = text.chars().count();
    if len <= present || with.is_empty() {
        return Ok(());
    }
    let missing = len - present;
    let unit = with.chars().count();
    let bytes = (missing / unit).saturating_mul(with.len()).saturating_add(with.len());
    // At least a byte a character: refused before it is counted out.
    string_room(context, text.len().saturating_add(missing.min(bytes)))?;
    let mut padded = String::with_capacity(text.len() + bytes);
    padded.push_str(text);
    padded.extend(with.chars().cycle().take(missing));
    string_room(context, padded.len())?;
    *text = padded.into();
    Ok(())
}
