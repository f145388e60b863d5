//! JSON text to values.

use super::{JSON_DEPTH_MAX, ROOM_STEP_BYTES, Room};
use crate::error::RhaiError;
use rhai::{Array, Dynamic, Map};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

/// Values parsed between two looks at the memory account; a power of two.
const VALUES_PER_LOOK: u32 = 256;

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
    // Editors of some systems begin a text with a mark of its byte order.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
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
            return Err(E::custom(format_args!("it is nested deeper than {JSON_DEPTH_MAX} levels")));
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
