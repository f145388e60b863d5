//! `cargo xtask deb`: the Debian packages, the same bytes for the same commit.
//!
//! What goes into a package is data, in a folder of `images/deb/` each: `control`, `install` (what goes where), maintainer
//! scripts, overrides of lintian. To add a file: a line in its `install`. To add a package: a folder there and its name
//! in [`PACKAGES`]. `dpkg-deb` packs; it is on every Debian and writes the same archive for the same tree.

mod build;
mod check;
mod contents;
mod licences;
mod pages;
mod tree;

use crate::cross::{Arch, target_dir};
use crate::packages;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages, in the order in which they depend on each other.
pub(crate) const PACKAGES: &[&str] = &["picloud", "picloud-appliance", "picloud-node"];

/// Beside the tools of each processor.
const NEEDED: &[(&str, &str)] = &[
    ("binutils", "reads what a program needs of the system"),
    ("git", "the time of the commit, which stands in the packages"),
    ("lintian", "checks the packages against Debian's rules"),
];

/// Installed, each of the packages: 25 MB.
const INSTALLED_BYTES_MAX: u64 = 25_000_000;

/// What is to be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// For which processors.
    pub(crate) archs: Vec<String>,
    /// How the programs are built.
    pub(crate) profile: String,
    /// Another version than the workspace's.
    pub(crate) version: Option<String>,
}

impl Wanted {
    fn read(args: &[String]) -> Result<Self> {
        let mut wanted = Self { archs: Vec::new(), profile: "dist".to_owned(), version: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().with_context(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--profile" => wanted.profile = value()?,
                "--version" => wanted.version = Some(value()?),
                flag if flag.starts_with('-') => {
                    bail!("`deb` does not know `{flag}`: it takes processors, `--profile NAME` and `--version VERSION`")
                }
                arch => wanted.archs.push(Arch::named(arch)?.debian.to_owned()),
            }
        }
        if wanted.archs.is_empty() {
            wanted.archs = ["amd64", "arm64"].map(str::to_owned).to_vec();
        }
        Ok(wanted)
    }
}

/// The task. Programs are packed twice, to see that the bytes are the same.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let wanted = Wanted::read(args)?;
    packages::install(NEEDED)?;
    for name in &wanted.archs {
        let arch = Arch::named(name)?;
        packages::install(arch.packages)?;
        let programs = build::programs(root, arch, &wanted.profile)?;
        let folder = target_dir(root).join("deb");
        let made = contents::Made::of(root, arch, wanted.version.as_deref())?;
        let files = pack(&made, &programs, &folder)?;
        let again = folder.join("again");
        check::same(&files, &pack(&made, &programs, &again)?)?;
        std::fs::remove_dir_all(&again).with_context(|| format!("delete {}", again.display()))?;
        check::lint(&files)?;
        for file in &files {
            println!("   {}", file.display());
        }
    }
    Ok(())
}

/// Makes the packages of this machine's processor in `folder`, once for each version; answers their files.
pub(crate) fn versions(root: &Path, profile: &str, versions: &[&str], folder: &Path) -> Result<Vec<Vec<PathBuf>>> {
    let arch = Arch::of_this_machine()?;
    packages::install(NEEDED)?;
    packages::install(arch.packages)?;
    let programs = build::programs(root, arch, profile)?;
    versions.iter().map(|version| pack(&contents::Made::of(root, arch, Some(version))?, &programs, folder)).collect()
}

fn pack(made: &contents::Made<'_>, programs: &build::Programs, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for package in PACKAGES {
        let tree = folder.join("tree").join(made.arch.debian).join(package);
        let kib = contents::lay_out(made, package, programs, &tree)?;
        ensure!(
            programs.profile != "dist" || kib * 1024 <= INSTALLED_BYTES_MAX,
            "{package} takes {} bytes installed, and {INSTALLED_BYTES_MAX} is the most: look what grew",
            kib * 1024
        );
        let file = folder.join(format!("{package}_{}_{}.deb", made.version, made.arch.debian));
        let compression = if programs.profile == "dist" { "xz" } else { "none" };
        tree::pack(&tree, made.epoch_seconds, compression, &file)?;
        let bytes = std::fs::metadata(&file).with_context(|| format!("look at {}", file.display()))?.len();
        println!("   {package} {} {}: {bytes} bytes, {kib} KiB installed", made.version, made.arch.debian);
        files.push(file);
    }
    Ok(files)
}

/// The workspace's version, or the one that was asked for.
fn version_of(root: &Path, asked: Option<&str>) -> Result<String> {
    let version = match asked {
        Some(version) => version.to_owned(),
        None => {
            let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("read Cargo.toml")?;
            let found = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
            found
                .and_then(|rest| rest.strip_suffix('"'))
                .context("Cargo.toml has no version of the workspace")?
                .to_owned()
        }
    };
    let is_valid = version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".+~".contains(c));
    ensure!(is_valid, "`{version}` is no version: a digit first, then letters, digits, `.`, `+` and `~`");
    Ok(version)
}

/// The time that stands in the packages: `SOURCE_DATE_EPOCH`, or else that of the commit.
fn epoch(root: &Path) -> Result<u64> {
    let said = match std::env::var_os("SOURCE_DATE_EPOCH") {
        Some(given) => given.to_string_lossy().into_owned(),
        None => crate::cross::output(Command::new("git").current_dir(root).args(["log", "-1", "--format=%ct"]))
            .context("find the time of the commit; outside of a clone, set SOURCE_DATE_EPOCH")?,
    };
    said.trim().parse().with_context(|| format!("`{}` is no number of seconds since 1970", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Wanted> {
        Wanted::read(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_says_what_is_made() {
        let usual = read(&[]).unwrap();
        assert_eq!((usual.archs.join(" "), usual.profile.as_str()), ("amd64 arm64".to_owned(), "dist"));
        let asked = read(&["armhf", "--profile", "dev", "--version", "0.2.0~rc1"]).unwrap();
        assert_eq!(asked.archs, ["armhf"]);
        assert_eq!((asked.profile.as_str(), asked.version.as_deref()), ("dev", Some("0.2.0~rc1")));
        assert_eq!(
            read(&["sparc"]).unwrap_err().to_string(),
            "no packages are made for `sparc`: take one of amd64, arm64, armhf"
        );
        assert_eq!(read(&["--profile"]).unwrap_err().to_string(), "`--profile` needs a value");
        assert!(read(&["--fast"]).unwrap_err().to_string().starts_with("`deb` does not know `--fast`: "));
    }

    #[test]
    fn versions_that_dpkg_would_misread_are_refused() {
        let root = crate::root().unwrap();
        assert_eq!(version_of(&root, None).unwrap(), env!("CARGO_PKG_VERSION"));
        for bad in ["", "v1", "1-2", "1:2", "1 2", "1/2"] {
            assert!(version_of(&root, Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_changelog_begins_with_the_version_of_the_workspace() {
        let changelog = std::fs::read_to_string(crate::root().unwrap().join("images/deb/changelog")).unwrap();
        assert!(
            changelog.starts_with(&format!("picloud ({}) ", env!("CARGO_PKG_VERSION"))),
            "add an entry to images/deb/changelog"
        );
    }
}
