//! Values to JSON text.

use super::{JSON_DEPTH_MAX, ROOM_STEP_BYTES, Room};
use crate::error::RhaiError;
use rhai::{Array, Dynamic, Map};
use std::fmt;
use std::io::Write as _;

/// Room a text is begun with: most answers are short.
const FIRST_BYTES: usize = 128;

/// Why a value has no JSON text.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It holds something JSON has no word for; the text names it and says what to do.
    NoWord(&'static str),
    /// It is nested deeper than [`JSON_DEPTH_MAX`].
    TooDeep,
    /// Its text is longer than the caller takes.
    TooLong {
        /// What the caller takes.
        bytes_max: usize,
    },
    /// The run is over.
    Stopped(RhaiError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWord(what) => f.write_str(what),
            Self::TooDeep => write!(f, "is nested deeper than {JSON_DEPTH_MAX} levels, or holds itself"),
            Self::TooLong { bytes_max } => write!(f, "is longer than {bytes_max} bytes as JSON"),
            Self::Stopped(_) => f.write_str("the run is over"),
        }
    }
}

/// The JSON text of `value`, of at most `bytes_max` bytes.
pub(crate) fn to_vec(value: &Dynamic, bytes_max: usize, room: &dyn Room) -> Result<Vec<u8>, WriteError> {
    write(value, None, bytes_max, room)
}

/// The JSON text of `value`, over several lines, each level by `indent` spaces further in.
pub(crate) fn to_vec_pretty(
    value: &Dynamic,
    indent: usize,
    bytes_max: usize,
    room: &dyn Room,
) -> Result<Vec<u8>, WriteError> {
    write(value, Some(indent), bytes_max, room)
}

/// The same for a map that is in no value.
pub(crate) fn map_to_vec(map: &Map, bytes_max: usize, room: &dyn Room) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer::new(None, bytes_max, room);
    writer.map(map, 0)?;
    writer.check(0)?;
    Ok(writer.out)
}

fn write(value: &Dynamic, indent: Option<usize>, bytes_max: usize, room: &dyn Room) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer::new(indent, bytes_max, room);
    writer.value(value, 0)?;
    writer.check(0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: Vec<u8>,
    indent: Option<usize>,
    bytes_max: usize,
    room: &'a dyn Room,
}

impl<'a> Writer<'a> {
    fn new(indent: Option<usize>, bytes_max: usize, room: &'a dyn Room) -> Self {
        Self { out: Vec::with_capacity(FIRST_BYTES), indent, bytes_max, room }
    }

    /// To be called before `more` bytes are added, where that can be many.
    fn check(&self, more: usize) -> Result<(), WriteError> {
        let len = self.out.len() + more;
        if len > self.bytes_max {
            return Err(WriteError::TooLong { bytes_max: self.bytes_max });
        }
        if len > self.out.capacity() && len > ROOM_STEP_BYTES {
            self.room.ensure_memory(2 * len as u64).map_err(WriteError::Stopped)?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Dynamic, depth: u32) -> Result<(), WriteError> {
        self.check(0)?;
        if let Ok(text) = value.as_immutable_string_ref() {
            self.string(&text)?;
        } else if let Ok(number) = value.as_int() {
            self.plain(format_args!("{number}"));
        } else if let Ok(map) = value.as_map_ref() {
            self.map(&map, depth)?;
        } else if let Ok(array) = value.as_array_ref() {
            self.array(&array, depth)?;
        } else if let Ok(truth) = value.as_bool() {
            self.out.extend_from_slice(if truth { b"true" } else { b"false" });
        } else if value.is_unit() {
            self.out.extend_from_slice(b"null");
        } else if let Ok(number) = value.as_float() {
            if !number.is_finite() {
                return Err(WriteError::NoWord("holds NaN or an infinite number, which JSON has no word for"));
            }
            // `Debug` keeps the fraction of 1.0, so that a float comes back as one.
            self.plain(format_args!("{number:?}"));
        } else if let Ok(character) = value.as_char() {
            self.string(character.encode_utf8(&mut [0; 4]))?;
        } else if let Some(map) = crate::ctx::as_map(value) {
            self.map(&map, depth)?;
        } else {
            return Err(WriteError::NoWord(no_word(value)));
        }
        Ok(())
    }

    fn plain(&mut self, text: fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a Vec takes all that is written");
    }

    fn map(&mut self, map: &Map, depth: u32) -> Result<(), WriteError> {
        if depth >= JSON_DEPTH_MAX {
            return Err(WriteError::TooDeep);
        }
        self.out.push(b'{');
        for (index, (key, value)) in map.iter().enumerate() {
            self.separate(index, depth + 1);
            self.string(key)?;
            self.out.push(b':');
            if self.indent.is_some() {
                self.out.push(b' ');
            }
            self.value(value, depth + 1)?;
        }
        self.close(b'}', map.is_empty(), depth);
        Ok(())
    }

    fn array(&mut self, array: &Array, depth: u32) -> Result<(), WriteError> {
        if depth >= JSON_DEPTH_MAX {
            return Err(WriteError::TooDeep);
        }
        self.out.push(b'[');
        for (index, value) in array.iter().enumerate() {
            self.separate(index, depth + 1);
            self.value(value, depth + 1)?;
        }
        self.close(b']', array.is_empty(), depth);
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: u32) {
        if index > 0 {
            self.out.push(b',');
        }
        self.new_line(depth);
    }

    fn close(&mut self, bracket: u8, empty: bool, depth: u32) {
        if !empty {
            self.new_line(depth);
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self, depth: u32) {
        if let Some(indent) = self.indent {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', indent * depth as usize));
        }
    }

    fn string(&mut self, text: &str) -> Result<(), WriteError> {
        self.check(text.len() + 2)?;
        self.out.push(b'"');
        let bytes = text.as_bytes();
        let mut written = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
                continue;
            }
            self.out.extend_from_slice(&bytes[written..index]);
            written = index + 1;
            match *byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                control => self.plain(format_args!("\\u{control:04x}")),
            }
            // Escapes are longer than what they stand for, up to six times.
            self.check(bytes.len() - written)?;
        }
        self.out.extend_from_slice(&bytes[written..]);
        self.out.push(b'"');
        Ok(())
    }
}

fn no_word(value: &Dynamic) -> &'static str {
    if value.is_blob() {
        "holds a blob, which JSON has no word for: use base64::encode(blob)"
    } else if value.is_fnptr() {
        "holds a function, which JSON has no word for"
    } else if value.is::<std::ops::Range<i64>>() || value.is::<std::ops::RangeInclusive<i64>>() {
        "holds a range, which JSON has no word for: make it an array"
    } else if value.is::<crate::response::Response>() {
        "holds an answer of respond(…), which can only be the whole value"
    } else {
        "holds something JSON has no word for"
    }
}
