//! Values as text: `print`, `debug`, `to_string`, `to_debug` and interpolation, of bounded length and depth.
//!
//! Rhai falls back to an unbounded form when one of these fails, so none fails: past a bound the run is ended, and
//! what is returned meanwhile is what was written so far.

use super::set_pure;
use crate::alloc;
use crate::ctx::{Ctx, Request};
use crate::error::Stop;
use crate::run_state::RunState;
use crate::sdk::Answer;
use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map, Module, NativeCallContext};
use std::fmt::Write;

pub(super) fn register(module: &mut Module) {
    for name in ["print", "to_string", "debug", "to_debug"] {
        set_pure(module, name, |context: NativeCallContext, array: &mut Array| {
            checked(&context, |writer| writer.array(array, 1))
        });
        set_pure(module, name, |context: NativeCallContext, map: &mut Map| {
            checked(&context, |writer| writer.map(map, 1))
        });
    }
    for name in ["print", "to_string", "debug", "to_debug"] {
        set_pure(module, name, |context: NativeCallContext, ctx: &mut Ctx| {
            written(&context, &Dynamic::from(ctx.clone()))
        });
        set_pure(module, name, |context: NativeCallContext, request: &mut Request| {
            written(&context, &Dynamic::from(request.clone()))
        });
        set_pure(module, name, |context: NativeCallContext, answer: &mut Answer| {
            written(&context, &Dynamic::from(answer.clone()))
        });
    }
    for name in ["debug", "to_debug"] {
        set_pure(module, name, |context: NativeCallContext, text: &str| {
            checked(&context, |writer| writer.quoted(text))
        });
    }
}

fn written(context: &NativeCallContext, value: &Dynamic) -> ImmutableString {
    checked(context, |writer| writer.value(value, 1))
}

fn checked(context: &NativeCallContext, write: impl FnOnce(&mut Writer) -> Result<(), Cut>) -> ImmutableString {
    let caps = alloc::caps();
    let mut text = String::new();
    let mut writer = Writer { text: &mut text, bytes_max: caps.string_bytes, depth_max: caps.value_depth };
    if let Err(cut) = write(&mut writer) {
        let state = RunState::of(context);
        let limits = &state.call.limits;
        let _in_the_state = match cut {
            Cut::Long => state.stop(Stop::limit("string_bytes", limits.string_bytes)),
            Cut::Deep => state.stop(Stop::limit("value_depth", limits.value_depth)),
        };
    }
    text.into()
}

/// Writes `value` as Rhai would, but never much more than `bytes_max`.
pub(crate) fn write_bounded(text: &mut String, value: &Dynamic, bytes_max: usize) {
    /// Deep enough for people.
    const DEPTH_MAX: usize = 16;
    let mut writer = Writer { text, bytes_max, depth_max: DEPTH_MAX };
    if writer.value(value, 1).is_err() {
        text.push('…');
    }
}

/// Why writing ended early.
enum Cut {
    Long,
    Deep,
}

struct Writer<'t> {
    text: &'t mut String,
    bytes_max: usize,
    depth_max: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Dynamic, depth: usize) -> Result<(), Cut> {
        if let Ok(text) = value.as_immutable_string_ref() {
            return self.quoted(&text);
        }
        if let Ok(array) = value.as_array_ref() {
            return self.array(&array, depth);
        }
        if let Ok(map) = value.as_map_ref() {
            return self.map(&map, depth);
        }
        if let Ok(blob) = value.as_blob_ref() {
            return blob.iter().try_for_each(|byte| self.raw(&format!("{byte:02x}")));
        }
        if let Some(function) = value.read_lock::<FnPtr>() {
            return self.raw(&format!("Fn({})", function.fn_name()));
        }
        if let Ok(character) = value.as_char() {
            return self.raw(&format!("{character:?}"));
        }
        if let Some(map) = crate::ctx::as_map(value) {
            return self.map(&map, depth);
        }
        // Of the types left none holds others: their own form is short, or the path of a Rust type.
        let text = value.to_string();
        match text.rsplit_once("::") {
            Some((_, name)) if text == value.type_name() => self.raw(&name.to_lowercase()),
            _ => self.raw(&text),
        }
    }

    fn raw(&mut self, piece: &str) -> Result<(), Cut> {
        if self.text.len() + piece.len() > self.bytes_max {
            return Err(Cut::Long);
        }
        self.text.push_str(piece);
        Ok(())
    }

    fn quoted(&mut self, text: &str) -> Result<(), Cut> {
        // Checked first: escaping only makes it longer.
        if self.text.len() + text.len() > self.bytes_max {
            return Err(Cut::Long);
        }
        let _infallible = write!(self.text, "{text:?}");
        if self.text.len() > self.bytes_max { Err(Cut::Long) } else { Ok(()) }
    }

    fn array(&mut self, array: &Array, depth: usize) -> Result<(), Cut> {
        self.check_depth(depth)?;
        self.raw("[")?;
        for (index, item) in array.iter().enumerate() {
            if index > 0 {
                self.raw(", ")?;
            }
            self.value(item, depth + 1)?;
        }
        self.raw("]")
    }

    fn map(&mut self, map: &Map, depth: usize) -> Result<(), Cut> {
        self.check_depth(depth)?;
        self.raw("#{")?;
        for (index, (key, value)) in map.iter().enumerate() {
            if index > 0 {
                self.raw(", ")?;
            }
            self.quoted(key)?;
            self.raw(": ")?;
            self.value(value, depth + 1)?;
        }
        self.raw("}")
    }

    fn check_depth(&self, depth: usize) -> Result<(), Cut> {
        if depth > self.depth_max { Err(Cut::Deep) } else { Ok(()) }
    }
}
