//! `cargo xtask test --images`: whole machines, with the packages and images in them.
//!
//! These take minutes each and change nothing outside of `target/`; `cargo xtask test` does not run them. To add a
//! Debian: a row in [`DEBIANS`]; to add a story of an image: a row in [`image::STORIES`]. A story is a list of
//! [`Place::step`]s, each printed with its time; the first that fails ends it.

mod cards;
mod load;
mod nspawn;
mod package_life;
mod root_fs;

pub(crate) use load::{LOAD, load};

use crate::cross::target_dir;
use crate::{image, packages};
use anyhow::{Context, Result, bail};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One test with a machine.
struct Machine {
    /// What it is chosen by.
    name: &'static str,
    /// What it shows.
    what: &'static str,
    kind: Kind,
}

enum Kind {
    /// A Debian of this name, which the packages live and die on.
    Packages,
    /// A card with this image.
    Card(&'static str),
}

const DEBIANS: &[(&str, &str)] = &[
    ("trixie", "the life of the packages on Debian trixie, from installing to purging"),
    ("bookworm", "the same on Debian bookworm"),
];

/// All of them: the Debians, and the stories that images are started for.
fn machines() -> impl Iterator<Item = Machine> {
    let debians = DEBIANS.iter().map(|&(name, what)| Machine { name, what, kind: Kind::Packages });
    debians.chain(image::STORIES.iter().map(|story| Machine {
        name: story.name,
        what: story.what,
        kind: Kind::Card(story.image),
    }))
}

/// Where a story takes place.
pub(crate) struct Place<'a> {
    /// The repository.
    pub(crate) root: &'a Path,
    /// For what machines are made of, and for what is kept from one run to the next.
    pub(crate) folder: PathBuf,
    /// How the programs are built.
    pub(crate) profile: String,
    /// The images that this run has made.
    cards: RefCell<Vec<&'static str>>,
}

impl Place<'_> {
    /// Does one step of a story, and says how long it took.
    pub(crate) fn step<T>(&self, title: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = step().with_context(|| format!("step `{title}`"))?;
        println!("   {:>6.1} s  {title}", start.elapsed().as_secs_f64());
        Ok(done)
    }
}

/// Runs the named machines, or all.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let (profile, names) = read(args)?;
    packages::install(packages::NEEDED_FOR_MACHINES)?;
    let folder = target_dir(root).join("machines");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let place = Place { root, folder, profile, cards: RefCell::default() };
    let start = Instant::now();
    for machine in machines().filter(|machine| names.is_empty() || names.contains(&machine.name)) {
        println!("\n== {}: {}", machine.name, machine.what);
        let own = Instant::now();
        let done = match machine.kind {
            Kind::Packages => package_life::run(&place, machine.name),
            Kind::Card(image) => cards::boot(&place, machine.name, image),
        };
        done.with_context(|| format!("machine `{}` failed", machine.name))?;
        println!("   ok in {:.0} s", own.elapsed().as_secs_f64());
    }
    println!("\nall of it holds, in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn read(args: &[String]) -> Result<(String, Vec<&str>)> {
    let mut profile = "dist".to_owned();
    let mut names = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--profile" => profile = args.next().cloned().context("`--profile` needs a name, such as `dev`")?,
            name if machines().any(|machine| machine.name == name) => names.push(name),
            other => {
                let known: Vec<&str> = machines().map(|machine| machine.name).collect();
                bail!("there is no machine `{other}`: take one of {}, or none for all of them", known.join(", "));
            }
        }
    }
    Ok((profile, names))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn machines_are_chosen_by_name() {
        let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        assert_eq!(read(&[]).unwrap(), ("dist".to_owned(), vec![]));
        assert_eq!(read(&args(&["--profile", "dev", "trixie"])).unwrap(), ("dev".to_owned(), vec!["trixie"]));
        assert!(
            read(&args(&["sid"])).unwrap_err().to_string().starts_with("there is no machine `sid`: take one of trixie")
        );
        assert!(read(&args(&["--profile"])).is_err());
    }
}
