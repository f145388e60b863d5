//! Rhai values to JSON text and back, without a tree of another kind in between.
//!
//! Whole numbers stay whole (64 bits with sign), everything else numeric is a float. Keys of maps come out
//! sorted, as Rhai keeps them; of two equal keys in a text the last one counts. What JSON has no word for
//! (functions, blobs, NaN) is refused rather than approximated. Nesting is bounded in both directions.

use crate::error::RhaiError;
use crate::run_state::RunState;
use rhai::{Array, Dynamic, Map};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write as _;

/// Arrays and maps within one another, in texts and in values.
pub(crate) const JSON_DEPTH_MAX: u32 = 100;

/// From this size on, the room for more is asked for before it is taken.
const ROOM_STEP_BYTES: usize = 16 * 1024;

/// Room a text is begun with: most answers are short.
const FIRST_BYTES: usize = 128;

/// Values parsed between two looks at the memory account; a power of two.
const VALUES_PER_LOOK: u32 = 256;

/// What a run may still hold: [`RunState`], and in tests anything.
pub(crate) trait Room {
    /// Fails when so much more memory is not to be had.
    fn ensure_memory(&self, bytes: u64) -> Result<(), RhaiError>;
    /// Fails when a string may not be so long.
    fn check_string(&self, bytes: u64) -> Result<(), RhaiError>;
    /// Fails when an array may not be so long.
    fn check_array(&self, items: u64) -> Result<(), RhaiError>;
    /// Fails when a map may not have so many entries.
    fn check_map(&self, entries: u64) -> Result<(), RhaiError>;
}

impl Room for RunState {
    fn ensure_memory(&self, bytes: u64) -> Result<(), RhaiError> {
        RunState::ensure_memory(self, bytes)
    }
    fn check_string(&self, bytes: u64) -> Result<(), RhaiError> {
        RunState::check_string(self, bytes)
    }
    fn check_array(&self, items: u64) -> Result<(), RhaiError> {
        RunState::check_array(self, items)
    }
    fn check_map(&self, entries: u64) -> Result<(), RhaiError> {
        RunState::check_map(self, entries)
    }
}

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
            Self::TooDeep => write!(f, "is nested deeper than {JSON_DEPTH_MAX}, or holds itself"),
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

fn write(
    value: &Dynamic,
    indent: Option<usize>,
    bytes_max: usize,
    room: &dyn Room,
) -> Result<Vec<u8>, WriteError> {
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
        self.check(32)?;
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
    } else if value.is_timestamp() {
        "holds a timestamp, which JSON has no word for: use time::now()"
    } else {
        "holds something JSON has no word for"
    }
}

/// Why a text is no value.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// It is not JSON.
    Syntax {
        /// What is wrong.
        message: String,
        /// Counting from 1.
        line: usize,
        /// Counting from 1.
        column: usize,
    },
    /// The run is over.
    Stopped(RhaiError),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { message, line, column } => {
                write!(f, "is not JSON: {message} (line {line}, column {column})")
            }
            Self::Stopped(_) => f.write_str("the run is over"),
        }
    }
}

/// The value a JSON text stands for.
pub(crate) fn parse(text: &[u8], room: &dyn Room) -> Result<Dynamic, ParseError> {
    let parser = Parser { room, values: Cell::new(0), stopped: RefCell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed { parser: &parser, depth: 0 };
    let parsed = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    if let Some(stopped) = parser.stopped.take() {
        return Err(ParseError::Stopped(stopped));
    }
    parsed.map_err(|error| {
        let mut message = error.to_string();
        if let Some(at) = message.rfind(" at line ") {
            message.truncate(at);
        }
        ParseError::Syntax { message, line: error.line(), column: error.column() }
    })
}

struct Parser<'a> {
    room: &'a dyn Room,
    values: Cell<u32>,
    stopped: RefCell<Option<RhaiError>>,
}

impl Parser<'_> {
    /// Ends the parsing when the run's room is used up.
    fn check<E: serde::de::Error>(&self, checked: Result<(), RhaiError>) -> Result<(), E> {
        checked.map_err(|stopped| {
            *self.stopped.borrow_mut() = Some(stopped);
            E::custom("the run is over")
        })
    }

    fn count_value<E: serde::de::Error>(&self) -> Result<(), E> {
        let values = self.values.get().wrapping_add(1);
        self.values.set(values);
        if values.is_multiple_of(VALUES_PER_LOOK) { self.check(self.room.ensure_memory(0)) } else { Ok(()) }
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    parser: &'a Parser<'a>,
    depth: u32,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(E::custom(format_args!("it is nested deeper than {JSON_DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Dynamic;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Dynamic, D::Error> {
        self.parser.count_value()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Dynamic;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::UNIT)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Dynamic, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Dynamic, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Dynamic, E> {
        #[expect(clippy::cast_precision_loss, reason = "what does not fit 63 bits is a float, as the contract has it")]
        let large = |_overflow| Dynamic::from_float(value as f64);
        Ok(i64::try_from(value).map_or_else(large, Dynamic::from))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Dynamic, E> {
        Ok(value.into())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Dynamic, E> {
        if value.len() > ROOM_STEP_BYTES {
            self.parser.check(self.parser.room.check_string(value.len() as u64))?;
        }
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Dynamic, A::Error> {
        let inner = self.deeper()?;
        let mut array = Array::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
            if array.len() == array.capacity() {
                self.parser.check(self.parser.room.check_array(array.len() as u64))?;
            }
        }
        self.parser.check(self.parser.room.check_array(array.len() as u64))?;
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Dynamic, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(KeySeed)? {
            let value = entries.next_value_seed(inner)?;
            map.insert(key.as_ref().into(), value);
            if map.len().is_multiple_of(ROOM_STEP_BYTES) {
                self.parser.check(self.parser.room.check_map(map.len() as u64))?;
            }
        }
        self.parser.check(self.parser.room.check_map(map.len() as u64))?;
        Ok(map.into())
    }
}

/// A key: borrowed from the text where it has no escapes, for Rhai's keys keep short texts in place.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
