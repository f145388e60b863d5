//! `migrate-store`: everything from one store to another, SQLite to Postgres or back.

use super::serve::runtime;
use super::{Stopped, terminal};
use picloud_store::{MigrateError, StorePlace, migrate_store};

/// Moves what is in `from` to `to`, which is empty, and tells what was moved.
pub(super) fn run(from: &str, to: &str) -> Result<(), Stopped> {
    terminal::start_log("warn", false);
    let (from, to) = (StorePlace::parse(from), StorePlace::parse(to));
    let mut line = terminal::Progress::new("copied");
    let moved = runtime()?.block_on(migrate_store(&from, &to, &mut |progress| {
        line.show(&format_args!("{}: {} of {} rows", progress.table, progress.done, progress.rows));
    }));
    drop(line);
    let moved = moved.map_err(|error| told(&error))?;
    for table in moved.iter().filter(|table| table.rows > 0) {
        terminal::say(&format!("{:<18} {:>9} rows  sha256 {}", table.name, table.rows, table.sha256));
    }
    let rows: u64 = moved.iter().map(|table| table.rows).sum();
    terminal::say(&format!("{from} → {to}: {rows} rows in {} tables, the same on both sides", moved.len()));
    match &to {
        StorePlace::Url(_) => terminal::say("start the appliance with this `database_url`; the source is as it was"),
        StorePlace::Dir(dir) => terminal::say(&format!(
            "start the appliance with `data_dir = \"{}\"` and no `database_url`; the source is as it was",
            dir.display()
        )),
    }
    Ok(())
}

/// The whole chain of causes: the innermost one tells which row it was.
fn told(error: &MigrateError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    format!("{text}\nhint: {}", error.hint())
}
