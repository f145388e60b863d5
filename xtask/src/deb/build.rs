//! The programs that go into the packages, and what they say about themselves.

use super::PACKAGES;
use super::pages::Pages;
use crate::cross::{self, Arch, done, output};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest C library that a program may need: bookworm's, so that one package runs there and on what came after.
pub(super) const LIBC_MAX: (u32, u32) = (2, 36);
/// Libraries a program may need; `control` names the packages they are in.
const LIBRARIES: &[&str] = &[
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-armhf.so.3",
];

/// Programs, built and stripped, and their pages.
pub(super) struct Programs {
    /// The folder that has them.
    pub(super) folder: PathBuf,
    /// How they were built.
    pub(super) profile: String,
    /// Manual pages and completions of all of them.
    pub(super) pages: Pages,
}

/// Builds them.
pub(super) fn programs(root: &Path, arch: &Arch, profile: &str) -> Result<Programs> {
    let built = cross::build(root, arch, profile, PACKAGES)?;
    let folder = cross::target_dir(root).join("deb/programs").join(arch.debian);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for name in PACKAGES {
        let program = folder.join(name);
        // Under another name first, and never over a file that runs.
        let fresh = folder.join(format!("{name}.new"));
        done(Command::new(arch.tool("strip")).arg("--strip-all").arg("-o").arg(&fresh).arg(built.join(name)))?;
        fs::rename(&fresh, &program).with_context(|| format!("make {}", program.display()))?;
        check_needs(&program)?;
    }
    let here = Arch::of_this_machine()?;
    // Pages say the same whoever prints them: programs for another processor have theirs printed by programs for this one.
    let speaking = if here.debian == arch.debian { folder.clone() } else { cross::build(root, here, "dev", PACKAGES)? };
    let pages = Pages::print(&speaking, &cross::target_dir(root).join("deb/pages"))?;
    Ok(Programs { folder, profile: profile.to_owned(), pages })
}

/// What a program needs of the system must be what `control` says.
fn check_needs(program: &Path) -> Result<()> {
    let said = output(Command::new("readelf").args(["--wide", "--dynamic", "--version-info"]).arg(program))?;
    let newest = newest_libc(&said);
    ensure!(
        newest <= LIBC_MAX,
        "{} needs libc {}.{}, and the packages promise to run with {}.{}: build on Debian bookworm, or with its cross compilers",
        program.display(),
        newest.0,
        newest.1,
        LIBC_MAX.0,
        LIBC_MAX.1
    );
    for library in libraries(&said) {
        ensure!(
            LIBRARIES.contains(&library),
            "{} needs {library}, which no package in `Depends` has",
            program.display()
        );
    }
    Ok(())
}

fn libraries(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| line.split_once('[')?.1.split(']').next())
}

/// The newest `GLIBC_2.x` that is named.
fn newest_libc(said: &str) -> (u32, u32) {
    said.split("GLIBC_")
        .skip(1)
        .filter_map(|rest| {
            let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
            let (major, minor) = version.split_once('.')?;
            Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
        })
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
 0x0000000000000001 (NEEDED)             Shared library: [libgcc_s.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
  000:   0 (*local*)       2 (GLIBC_2.2.5)   3 (GLIBC_2.34)
  0x0020:   Name: GLIBC_2.9  Flags: none  Version: 9
";

    #[test]
    fn what_a_program_needs_is_read_from_its_headers() {
        assert_eq!(newest_libc(SAID), (2, 34));
        assert_eq!(libraries(SAID).collect::<Vec<_>>(), ["libgcc_s.so.1", "libc.so.6"]);
        assert_eq!(newest_libc("static"), (0, 0));
    }
}
