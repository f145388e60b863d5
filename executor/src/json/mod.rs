//! Rhai values to JSON text and back, without a tree of another kind in between.
//!
//! Whole numbers stay whole (64 bits with sign), everything else numeric is a float. Keys of maps come out
//! sorted, as Rhai keeps them; of two equal keys in a text the last one counts. What JSON has no word for
//! (functions, blobs, NaN) is refused rather than approximated. Nesting is bounded in both directions.

mod parse;
mod write;

pub(crate) use parse::{ParseError, parse};
pub(crate) use write::{WriteError, map_to_vec, to_vec, to_vec_pretty};

use crate::error::RhaiError;
use crate::run_state::RunState;

/// Arrays and maps within one another, in texts and in values.
pub(crate) const JSON_DEPTH_MAX: u32 = 100;

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

/// From this size on, the room for more is asked for before it is taken.
const ROOM_STEP_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes anything.
    struct Unbounded;

    impl Room for Unbounded {
        fn ensure_memory(&self, _: u64) -> Result<(), RhaiError> {
            Ok(())
        }
        fn check_string(&self, _: u64) -> Result<(), RhaiError> {
            Ok(())
        }
        fn check_array(&self, _: u64) -> Result<(), RhaiError> {
            Ok(())
        }
        fn check_map(&self, _: u64) -> Result<(), RhaiError> {
            Ok(())
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>()
                .prop_filter("JSON has no word for the others", |number| number.is_finite())
                .prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_text_read_and_written_again_means_the_same_to_another_reader(value in any_json()) {
            let read = parse(value.to_string().as_bytes(), &Unbounded).unwrap();
            for text in [
                to_vec(&read, usize::MAX, &Unbounded).unwrap(),
                to_vec_pretty(&read, 2, usize::MAX, &Unbounded).unwrap(),
            ] {
                prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(&text).unwrap(), &value);
            }
        }

        #[test]
        fn no_text_is_longer_than_was_asked_for(value in any_json(), bytes_max in 0_usize..200) {
            let read = parse(value.to_string().as_bytes(), &Unbounded).unwrap();
            let whole = to_vec(&read, usize::MAX, &Unbounded).unwrap();
            match to_vec(&read, bytes_max, &Unbounded) {
                Ok(text) => prop_assert!(text == whole && text.len() <= bytes_max),
                Err(WriteError::TooLong { .. }) => prop_assert!(whole.len() > bytes_max),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _either_way = parse(text.as_bytes(), &Unbounded);
        }
    }
}
