//! `cargo xtask test --images`: whole machines, with the packages and images in them.
//!
//! These take minutes each and change nothing outside of `target/`; `cargo xtask test` does not run them. To add a
//! machine: a file here with its story, and a row in [`MACHINES`]. A story is a list of [`Place::step`]s, each printed
//! with its time; the first that fails ends it.

mod cards;
mod load;
mod nspawn;
mod package_life;
mod root_fs;

pub(crate) use load::{LOAD, load};

use crate::cross::target_dir;
use crate::packages;
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
    story: fn(&Place<'_>) -> Result<()>,
}

const MACHINES: &[Machine] = &[
    Machine {
        name: "trixie",
        what: "the life of the packages on Debian trixie, from installing to purging",
        story: |place| package_life::run(place, "trixie"),
    },
    Machine {
        name: "bookworm",
        what: "the same on Debian bookworm",
        story: |place| package_life::run(place, "bookworm"),
    },
    Machine {
        name: "appliance",
        what: "the appliance's image on a card with an app beside it, to the first answer of its script",
        story: |place| cards::boot(place, "appliance"),
    },
    Machine { name: "typo", what: "a typing error on that card", story: |place| cards::boot(place, "typo") },
    Machine {
        name: "cut",
        what: "the plug pulled four times while that card starts for the first time",
        story: |place| cards::boot(place, "cut"),
    },
    Machine {
        name: "node",
        what: "the node's image with a join token, to its answer of a script of the appliance",
        story: |place| cards::boot(place, "node"),
    },
    Machine {
        name: "plain",
        what: "the same Debian without PiCloud, to compare with",
        story: |place| cards::boot(place, "plain"),
    },
];

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
    for machine in MACHINES.iter().filter(|machine| names.is_empty() || names.contains(&machine.name)) {
        println!("\n== {}: {}", machine.name, machine.what);
        let own = Instant::now();
        (machine.story)(&place).with_context(|| format!("machine `{}` failed", machine.name))?;
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
            name if MACHINES.iter().any(|machine| machine.name == name) => names.push(name),
            other => {
                let known: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
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
