//! Values of both databases in one form, and a hash over rows of them.

use sha2::{Digest as _, Sha256};

/// What a column holds. Both databases have exactly these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    Blob,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// The values of one row, in the order of its table's columns.
pub(crate) type Row = Vec<Value>;

impl Value {
    /// How many bytes it takes in memory, nearly.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) => size_of::<Self>(),
            Self::Text(text) => size_of::<Self>() + text.len(),
            Self::Blob(bytes) => size_of::<Self>() + bytes.len(),
        }
    }
}

/// A value as a person is told of it: `7`, `"kitchen"`, `0a1b…`.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Blob(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// How many rows a table has, and a hash over all of them in the order of their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) sha256: [u8; 32],
}

/// Makes a [`Sum`], a row at a time.
#[derive(Default)]
pub(crate) struct Summing {
    rows: u64,
    hash: Sha256,
}

impl Summing {
    /// The next row in the order of the key. Each value goes in with its kind and its length, so that no two different
    /// rows are the same bytes.
    pub(crate) fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Integer(number) => (1, &number.to_be_bytes()),
                Value::Text(text) => (2, text.as_bytes()),
                Value::Blob(bytes) => (3, bytes),
            };
            self.hash.update([kind]);
            self.hash.update((bytes.len() as u64).to_be_bytes());
            self.hash.update(bytes);
        }
    }

    pub(crate) fn sum(self) -> Sum {
        Sum { rows: self.rows, sha256: self.hash.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[Row]) -> Sum {
        let mut summing = Summing::default();
        rows.iter().for_each(|row| summing.add(row));
        summing.sum()
    }

    #[test]
    fn rows_that_differ_in_anything_have_different_sums() {
        let text = |text: &str| Value::Text(text.to_owned());
        let rows = [
            vec![vec![text("ab"), text("c")]],
            vec![vec![text("a"), text("bc")]],
            vec![vec![text("abc")]],
            vec![vec![Value::Blob(b"abc".to_vec())]],
            vec![vec![Value::Null]],
            vec![vec![text("")]],
            vec![vec![Value::Integer(0)]],
            vec![vec![Value::Integer(1)]],
            vec![vec![text("ab")], vec![text("c")]],
            vec![vec![text("c")], vec![text("ab")]],
            Vec::new(),
        ];
        for (at, one) in rows.iter().enumerate() {
            for other in &rows[..at] {
                assert_ne!(sum(one), sum(other), "{one:?} and {other:?}");
            }
            assert_eq!(sum(one), sum(one));
        }
    }
}
