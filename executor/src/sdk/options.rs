//! Arguments of SDK functions: taken apart here, with an error that names the function and the argument.

use crate::error::{KIND_ARGUMENT, RhaiError, argument, catchable};
use crate::json::{self, WriteError};
use crate::run_state::RunState;
use picloud_model::problem::Code;
use rhai::{Dynamic, ImmutableString, Map};
use std::ops::RangeInclusive;

/// One argument of one function, for errors.
#[derive(Clone, Copy)]
pub(super) struct Arg {
    function: &'static str,
    name: &'static str,
}

/// The argument `name` of `function`.
pub(super) fn arg(function: &'static str, name: &'static str) -> Arg {
    Arg { function, name }
}

impl Arg {
    /// What is wrong with it.
    pub(super) fn fault(self, message: impl std::fmt::Display) -> RhaiError {
        argument(self.function, self.name, message)
    }

    /// It holds data that cannot be read.
    pub(super) fn malformed(self, message: impl std::fmt::Display) -> RhaiError {
        catchable(KIND_ARGUMENT, Code::Malformed, format!("{}: {}: {message}", self.function, self.name))
    }

    /// It is larger than a limit has it.
    pub(super) fn too_large(self, message: impl std::fmt::Display) -> RhaiError {
        catchable(KIND_ARGUMENT, Code::TooLarge, format!("{}: {}: {message}", self.function, self.name))
    }

    /// What it names is in the way.
    pub(super) fn conflict(self, message: impl std::fmt::Display) -> RhaiError {
        catchable(KIND_ARGUMENT, Code::Conflict, format!("{}: {}: {message}", self.function, self.name))
    }

    fn wrong_type(self, wanted: &str, value: &Dynamic) -> RhaiError {
        self.fault(format_args!("must be {wanted}, not {}", type_name(value)))
    }

    /// As a string.
    pub(super) fn text(self, value: &Dynamic) -> Result<ImmutableString, RhaiError> {
        match value.as_immutable_string_ref() {
            Ok(text) => Ok(text.clone()),
            Err(_other_type) => match value.as_char() {
                Ok(character) => Ok(character.encode_utf8(&mut [0; 4]).to_owned().into()),
                Err(_other_type) => Err(self.wrong_type("a string", value)),
            },
        }
    }

    /// As a whole number.
    pub(super) fn int(self, value: &Dynamic) -> Result<i64, RhaiError> {
        value.as_int().map_err(|_other_type| self.wrong_type("a whole number", value))
    }

    /// As a truth value.
    pub(super) fn bool(self, value: &Dynamic) -> Result<bool, RhaiError> {
        value.as_bool().map_err(|_other_type| self.wrong_type("true or false", value))
    }

    /// Does something with the bytes of a string or blob, without copying them.
    pub(super) fn with_bytes<T>(self, value: &Dynamic, act: impl FnOnce(&[u8]) -> T) -> Result<T, RhaiError> {
        if let Ok(text) = value.as_immutable_string_ref() {
            return Ok(act(text.as_bytes()));
        }
        match value.as_blob_ref() {
            Ok(blob) => Ok(act(&blob)),
            Err(_other_type) => Err(self.wrong_type("a string or a blob", value)),
        }
    }

    /// As JSON of at most `bytes_max`, which is the limit called `limit`.
    pub(super) fn json(
        self,
        run: &RunState,
        value: &Dynamic,
        limit: &str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, RhaiError> {
        json::to_vec(value, usize::try_from(bytes_max).unwrap_or(usize::MAX), run).map_err(|error| match error {
            WriteError::Stopped(stopped) => stopped,
            WriteError::TooLong { .. } => self.too_large(format_args!("is larger as JSON than {limit} = {bytes_max}")),
            no_json => self.fault(no_json),
        })
    }

    /// As a copy of the bytes of a string or blob.
    pub(super) fn bytes(self, run: &RunState, value: &Dynamic) -> Result<Vec<u8>, RhaiError> {
        let bytes = self.with_bytes(value, <[u8]>::len)?;
        run.ensure_memory(bytes as u64)?;
        // A file or an answer may be longer than a string.
        self.with_bytes(value, |bytes| crate::alloc::unnoted(|| bytes.to_vec()))
    }

    /// As a map.
    pub(super) fn map(self, value: Dynamic) -> Result<Map, RhaiError> {
        if value.is_map() { Ok(value.flatten().cast::<Map>()) } else { Err(self.wrong_type("a map #{…}", &value)) }
    }
}

/// A map of options: every key must be one of those known, and `()` means the option is not given.
pub(super) struct Options {
    function: &'static str,
    map: Map,
}

impl Options {
    /// The options `value` of `function`.
    pub(super) fn new(function: &'static str, value: Dynamic, known: &[&str]) -> Result<Self, RhaiError> {
        Self::named(arg(function, "options"), "option", value, known)
    }

    /// The fields of the argument `name`, which is a map.
    pub(super) fn fields(
        function: &'static str,
        name: &'static str,
        value: Dynamic,
        known: &[&str],
    ) -> Result<Self, RhaiError> {
        Self::named(arg(function, name), "field", value, known)
    }

    fn named(of: Arg, what: &str, value: Dynamic, known: &[&str]) -> Result<Self, RhaiError> {
        let function = of.function;
        let map = of.map(value)?;
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => {
                let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Err(of.fault(format_args!("there is no {what} `{}`, only {known}", short(unknown))))
            }
            None => Ok(Self { function, map }),
        }
    }

    /// No options.
    pub(super) fn none(function: &'static str) -> Self {
        Self { function, map: Map::new() }
    }

    fn get<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(Arg, &Dynamic) -> Result<T, RhaiError>,
    ) -> Result<Option<T>, RhaiError> {
        match self.map.get(name) {
            Some(value) if !value.is_unit() => read(arg(self.function, name), value).map(Some),
            _ => Ok(None),
        }
    }

    /// The option `name` as a string.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<ImmutableString>, RhaiError> {
        self.get(name, Arg::text)
    }

    /// The option `name` as a whole number.
    pub(super) fn int(&self, name: &'static str) -> Result<Option<i64>, RhaiError> {
        self.get(name, Arg::int)
    }

    /// The option `name` as a truth value; absent is false.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, RhaiError> {
        Ok(self.get(name, Arg::bool)?.unwrap_or(false))
    }

    /// The option `name` as a whole number of `range`.
    pub(super) fn within(&self, name: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, RhaiError> {
        let Some(number) = self.int(name)? else { return Ok(None) };
        within(arg(self.function, name), number, range).map(Some)
    }

    /// That an option must be given.
    pub(super) fn missing(&self, name: &'static str) -> RhaiError {
        arg(self.function, name).fault("is missing")
    }

    /// The option `name`, whatever it is.
    pub(super) fn any(&self, name: &'static str) -> Option<&Dynamic> {
        self.map.get(name).filter(|value| !value.is_unit())
    }
}

/// A whole number of `range`.
pub(super) fn within(from: Arg, number: i64, range: RangeInclusive<u64>) -> Result<u64, RhaiError> {
    let wanted = u64::try_from(number).ok().filter(|number| range.contains(number));
    wanted.ok_or_else(|| from.fault(format_args!("must be {} to {}, not {number}", range.start(), range.end())))
}

/// The type of a value in the words of the documentation.
pub(super) fn type_name(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "i64" => "a whole number",
        "f64" => "a fraction",
        "string" | "&str" | "ImmutableString" => "a string",
        "char" => "a character",
        "bool" => "true or false",
        "array" => "an array",
        "blob" => "a blob",
        "map" => "a map",
        "()" => "()",
        "Fn" => "a function",
        "timestamp" => "a timestamp",
        _ => "something else",
    }
}

/// The beginning of a text, for an error that names it.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(CHARS_MAX).collect();
    if chars.next().is_some() { start + "…" } else { start }
}

/// Bytes from which on hashing and the like takes longer than a short run may.
const LONG_INPUT_BYTES: usize = 64 * 1024;

/// To be called before a native that works through so many bytes.
pub(super) fn long_native(run: &RunState, input_bytes: usize) {
    if input_bytes >= LONG_INPUT_BYTES {
        run.before_wait();
    }
}
