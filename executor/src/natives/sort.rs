//! `sort`, `sort_by`, `sort_desc` and `order…`: a merge sort that can fail, so that a run ends in the midst of one.
//!
//! Rhai's own swallows the errors of the comparing function, and panics where that is no total order.

use super::{pulse, room, set};
use crate::error::RhaiError;
use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Module, NativeCallContext, Position};
use std::cmp::Ordering;

pub(super) fn register(module: &mut Module) {
    for name in ["sort", "sort_by"] {
        set(module, name, |context: NativeCallContext, array: &mut Array, comparer: FnPtr| {
            sort_by(&context, array, |a, b| compare_with(&context, &comparer, a, b))
        });
    }
    for name in ["order", "order_by"] {
        set(module, name, |context: NativeCallContext, mut array: Array, comparer: FnPtr| {
            sort_by(&context, &mut array, |a, b| compare_with(&context, &comparer, a, b))?;
            Ok::<_, RhaiError>(array)
        });
    }
    set(module, "sort", |context: NativeCallContext, array: &mut Array| {
        check_one_type(array)?;
        sort_by(&context, array, |a, b| compare(&context, a, b))
    });
    set(module, "sort_desc", |context: NativeCallContext, array: &mut Array| {
        check_one_type(array)?;
        sort_by(&context, array, |a, b| compare(&context, b, a))
    });
    set(module, "order", |context: NativeCallContext, mut array: Array| {
        check_one_type(&array)?;
        sort_by(&context, &mut array, |a, b| compare(&context, a, b))?;
        Ok::<_, RhaiError>(array)
    });
    set(module, "order_desc", |context: NativeCallContext, mut array: Array| {
        check_one_type(&array)?;
        sort_by(&context, &mut array, |a, b| compare(&context, b, a))?;
        Ok::<_, RhaiError>(array)
    });
}

/// Sorts stably; leaves the array as it was when a comparison fails.
fn sort_by(
    context: &NativeCallContext,
    array: &mut Array,
    mut compare: impl FnMut(&Dynamic, &Dynamic) -> Result<Ordering, RhaiError>,
) -> Result<(), RhaiError> {
    let len = array.len();
    room(context, len.saturating_mul(2 * size_of::<usize>() + size_of::<Dynamic>()))?;
    let mut order: Vec<usize> = (0..len).collect();
    let mut merged: Vec<usize> = Vec::with_capacity(len);
    let mut width = 1;
    while width < len {
        merged.clear();
        for start in (0..len).step_by(2 * width) {
            let middle = (start + width).min(len);
            let end = (start + 2 * width).min(len);
            let (mut left, mut right) = (start, middle);
            while left < middle && right < end {
                if compare(&array[order[left]], &array[order[right]])? == Ordering::Greater {
                    merged.push(order[right]);
                    right += 1;
                } else {
                    merged.push(order[left]);
                    left += 1;
                }
            }
            merged.extend_from_slice(&order[left..middle]);
            merged.extend_from_slice(&order[right..end]);
        }
        std::mem::swap(&mut order, &mut merged);
        width *= 2;
    }
    let sorted = order.into_iter().map(|index| std::mem::take(&mut array[index])).collect();
    *array = sorted;
    Ok(())
}

fn compare_with(
    context: &NativeCallContext,
    comparer: &FnPtr,
    a: &Dynamic,
    b: &Dynamic,
) -> Result<Ordering, RhaiError> {
    pulse(context)?;
    let value = comparer.call_raw(context, None, [a.clone(), b.clone()])?;
    if let Ok(number) = value.as_int() {
        return Ok(number.cmp(&0));
    }
    match value.as_bool() {
        Ok(first) => Ok(if first { Ordering::Less } else { Ordering::Greater }),
        Err(other) => Err(fault(format!("the comparing function must answer a whole number or a bool, not {other}"))),
    }
}

fn compare(context: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Result<Ordering, RhaiError> {
    /// From this length on a comparison is worth a look at the clock.
    const LONG_BYTES: usize = 1024;
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return Ok(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        if a.len().min(b.len()) > LONG_BYTES {
            pulse(context)?;
        }
        return Ok(a.as_str().cmp(b.as_str()));
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return Ok(a.total_cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_char(), b.as_char()) {
        return Ok(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a.cmp(&b));
    }
    if a.is_unit() && b.is_unit() {
        return Ok(Ordering::Equal);
    }
    Err(fault(format!("elements of {} cannot be sorted", a.type_name())))
}

fn check_one_type(array: &Array) -> Result<(), RhaiError> {
    let Some(first) = array.first() else { return Ok(()) };
    if array.iter().any(|item| item.type_id() != first.type_id()) {
        return Err(fault("elements of different types cannot be sorted; say how with sort(|a, b| …)".to_owned()));
    }
    Ok(())
}

fn fault(message: String) -> RhaiError {
    EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into()
}
