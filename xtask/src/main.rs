//! The repository's tasks, a line each in [`USAGE`]: `cargo xtask test`, and what it is made of.
//!
//! Uses no crate of ours, so that it also works on a tree that does not compile.
//! To add a task: a file, its `mod` line, and an arm in [`run`] with its line in [`USAGE`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a task has to say, it says on the terminal")]

mod api;
mod cross;
mod deb;
mod docs;
mod fuzz;
mod image;
mod machines;
mod packages;
mod picture;
mod test;
mod tidy;
mod units;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  test         installs what the tests need, then checks format, lints, docs, tests, tidiness, and fuzzes
  test --images [--profile NAME] [MACHINE...]
               boots whole machines with the packages and images in them; it takes long
  deb [amd64|arm64|armhf...] [--profile NAME] [--version VERSION]
               makes the Debian packages, for amd64 and arm64 where none is named, into target/deb/
  fuzz         runs the fuzz targets of fuzz/ for a bounded number of inputs
  api          tries the admin API against its own OpenAPI document
  tidy         checks the rules of the tree that no compiler knows
  units        has systemd read the units, and say how closed the services are
  migrations   writes the checksums of new migrations into their CHECKSUMS file
  docs         writes the pages of docs/ that are made from the code: the SDK's and the API's reference
  image        makes an image for the Raspberry Pi: `cargo xtask image --help`
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
    let rest: Vec<String> = args.collect();
    let root = root()?;
    match (task.as_deref(), rest.as_slice()) {
        (Some("deb"), rest) => deb::run(&root, rest),
        (Some("image"), rest) => image::run(&root, rest),
        (Some("test"), [images, rest @ ..]) if images == "--images" => machines::run(&root, rest),
        (Some(machines::LOAD), rest) => machines::load(rest),
        (Some(_), [extra, ..]) => bail!("`{extra}` is one argument too many\n\n{USAGE}"),
        (Some("test"), []) => test::run(&root),
        (Some("fuzz"), []) => fuzz::install().and_then(|()| fuzz::run(&root)),
        (Some("api"), []) => api::install(&root).and_then(|()| api::run(&root)),
        (Some("tidy"), []) => tidy::run(&root),
        (Some("units"), []) => units::run(&root),
        (Some("migrations"), []) => tidy::migrations::add_new(&root),
        (Some("docs"), []) => docs::run(&root),
        (Some("picture"), []) => picture::run(&root),
        (Some("help" | "--help" | "-h") | None, _) => {
            println!("{USAGE}");
            Ok(())
        }
        (Some(other), []) => bail!("there is no task `{other}`\n\n{USAGE}"),
    }
}

/// The root of the repository: the folder above this crate's.
fn root() -> Result<PathBuf> {
    let own =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(PathBuf::from).context("find the folder above the xtask crate")
}
