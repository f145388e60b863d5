//! What is in a SQLite file, whatever schema it has: each table with its rows and a hash over them; and whether the
//! file is whole.

use super::CopiedTable;
use picloud_model::hash::ContentHash;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

/// Tables that tell nothing of what was stored.
const TABLES: &str =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' ORDER BY name";

/// All tables of `file`. A copy without free pages has the same answer as the file that it was made from.
pub(crate) fn content_of(conn: &Connection, file: &str) -> rusqlite::Result<Vec<CopiedTable>> {
    let mut names = conn.prepare(TABLES)?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    names.into_iter().map(|name| table(conn, file, name)).collect()
}

fn table(conn: &Connection, file: &str, name: String) -> rusqlite::Result<CopiedTable> {
    // In the order of the table itself: a sort of a large one would go through the card.
    let mut select = conn.prepare(&format!("SELECT * FROM \"{name}\" NOT INDEXED"))?;
    let columns = select.column_count();
    let mut found = select.query([])?;
    let (mut rows, mut hash) = (0, Sha256::new());
    while let Some(row) = found.next()? {
        rows += 1;
        for at in 0..columns {
            add(&mut hash, row.get_ref(at)?);
        }
    }
    Ok(CopiedTable { file: file.to_owned(), name, rows, sha256: ContentHash(hash.finalize().into()) })
}

/// Kind and length first: no two rows have the same bytes.
fn add(hash: &mut Sha256, value: ValueRef<'_>) {
    let mut long = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    match value {
        ValueRef::Null => long(0, &[]),
        ValueRef::Integer(number) => long(1, &number.to_le_bytes()),
        ValueRef::Real(number) => long(2, &number.to_le_bytes()),
        ValueRef::Text(text) => long(3, text),
        ValueRef::Blob(bytes) => long(4, bytes),
    }
}

/// Reads the whole file; answers what is wrong with it, if anything.
pub(crate) fn is_whole(conn: &Connection) -> rusqlite::Result<Result<(), String>> {
    let found: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok(if found == "ok" { Ok(()) } else { Err(found) })
}
