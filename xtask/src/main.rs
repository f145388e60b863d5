//! The repository's tasks: `cargo xtask test | fuzz | api | tidy | migrations | picture`.
//!
//! Uses no crate of ours, so that it also works on a tree that does not compile.
//! To add a task: a file, its `mod` line, and an arm in [`run`] with its line in [`USAGE`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a task has to say, it says on the terminal")]

mod api;
mod fuzz;
mod packages;
mod picture;
mod test;
mod tidy;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  test         installs what the tests need, then checks format, lints, docs, tests, tidiness, and fuzzes
  fuzz         runs the fuzz targets of fuzz/ for a bounded number of inputs
  api          tries the admin API against its own OpenAPI document
  tidy         checks the rules of the tree that no compiler knows
  migrations   writes the checksums of new migrations into their CHECKSUMS file
  picture      runs the quickstart of the release build and draws the pictures of the README from what it showed";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<()> {
    let task = args.next();
    if let Some(extra) = args.next() {
        bail!("`{extra}` is one argument too many\n\n{USAGE}");
    }
    let root = root()?;
    match task.as_deref() {
        Some("test") => test::run(&root),
        Some("fuzz") => fuzz::install().and_then(|()| fuzz::run(&root)),
        Some("api") => api::install(&root).and_then(|()| api::run(&root)),
        Some("tidy") => tidy::run(&root),
        Some("migrations") => tidy::migrations::add_new(&root),
        Some("picture") => picture::run(&root),
        Some("help" | "--help" | "-h") | None => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("there is no task `{other}`\n\n{USAGE}"),
    }
}

/// The root of the repository: the folder above this crate's.
fn root() -> Result<PathBuf> {
    let own =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(PathBuf::from).context("find the folder above the xtask crate")
}
