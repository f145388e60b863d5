//! What is in a package: the lines of its `install`, and what is written for it.

use super::build::Programs;
use super::licences;
use super::tree;
use crate::cross::Arch;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Files of `images/deb/PACKAGE/` that go into the control part as they are.
const SCRIPTS: &[&str] = &["preinst", "postinst", "prerm", "postrm"];

/// What all packages of one run have in common.
pub(crate) struct Made<'a> {
    /// The repository.
    pub(crate) root: &'a Path,
    /// For which processor.
    pub(crate) arch: &'a Arch,
    /// The version of the packages.
    pub(crate) version: String,
    /// The time of everything in them.
    pub(crate) epoch_seconds: u64,
}

impl<'a> Made<'a> {
    /// The workspace's version, or another one that was asked for.
    pub(super) fn of(root: &'a Path, arch: &'a Arch, version: Option<&str>) -> Result<Self> {
        Ok(Self { root, arch, version: super::version_of(root, version)?, epoch_seconds: super::epoch(root)? })
    }
}

/// One line of `install`.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `program:NAME FOLDER/`
    Program(&'a str, &'a str),
    /// `settings:NAME FILE`: the settings of a program, all commented.
    Settings(&'a str, &'a str),
    /// `pages:NAME`: manual pages and completions of a program.
    Pages(&'a str),
    /// `PATH PLACE`: a file or folder of the repository; into a folder where the place ends with `/`.
    File(&'a str, &'a str),
}

/// Lays the package out in `folder`, which is made anew; answers how many KiB it takes installed.
pub(super) fn lay_out(made: &Made<'_>, package: &str, programs: &Programs, folder: &Path) -> Result<u64> {
    let _nothing_left_over = fs::remove_dir_all(folder);
    let own = made.root.join("images/deb").join(package);
    let install = read(&own.join("install"))?;
    for line in lines(&install).with_context(|| format!("read images/deb/{package}/install"))? {
        place(made, &line, programs, folder).with_context(|| format!("images/deb/{package}/install: {line:?}"))?;
    }
    documents(made, package, folder)?;
    let overrides = own.join("lintian-overrides");
    if overrides.is_file() {
        tree::copy(&overrides, &folder.join("usr/share/lintian/overrides").join(package), 0o644)?;
    }
    let installed_kib = tree::installed_kib(folder)?;
    let control = control(&read(&own.join("control"))?, made, installed_kib)?;
    tree::write(&folder.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
    for script in SCRIPTS {
        let from = own.join(script);
        if from.is_file() {
            tree::copy(&from, &folder.join("DEBIAN").join(script), 0o755)?;
        }
    }
    tree::seal(folder, made.epoch_seconds)?;
    Ok(installed_kib)
}

fn lines(install: &str) -> Result<Vec<Line<'_>>> {
    let lines = install.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Ok(match *words.as_slice() {
                [what] if what.starts_with("pages:") => Line::Pages(&what["pages:".len()..]),
                [what, place] => match what.split_once(':') {
                    Some(("program", name)) => Line::Program(name, place),
                    Some(("settings", name)) => Line::Settings(name, place),
                    Some(_) => bail!("`{what}` is nothing that can be installed"),
                    None => Line::File(what, place),
                },
                _ => bail!("`{line}` is not `WHAT PLACE`"),
            })
        })
        .collect()
}

fn place(made: &Made<'_>, line: &Line<'_>, programs: &Programs, folder: &Path) -> Result<()> {
    match *line {
        Line::Program(name, place) => tree::copy(&programs.folder.join(name), &folder.join(place).join(name), 0o755),
        Line::Settings(name, place) => tree::write(&folder.join(place), &programs.pages.settings(name)?, 0o644),
        Line::Pages(name) => {
            for (from, place) in programs.pages.of(name)? {
                tree::copy(&from, &folder.join(&place), 0o644)?;
                if place.starts_with("usr/share/man/") {
                    tree::compress(&folder.join(&place))?;
                }
            }
            Ok(())
        }
        Line::File(path, place) => {
            let from = made.root.join(path);
            let name = from.file_name().context("a path has a name")?;
            let to = if place.ends_with('/') { folder.join(place).join(name) } else { folder.join(place) };
            tree::copy(&from, &to, 0o644)
        }
    }
}

/// Changelog and copyright, which every package has.
fn documents(made: &Made<'_>, package: &str, folder: &Path) -> Result<()> {
    let documents = folder.join("usr/share/doc").join(package);
    let changelog = read(&made.root.join("images/deb/changelog"))?;
    let changelog = changelog_of(&changelog, package, &made.version)?;
    tree::write(&documents.join("changelog"), changelog.as_bytes(), 0o644)?;
    tree::compress(&documents.join("changelog"))?;
    let copyright = licences::copyright(made.root, made.arch, package)?;
    tree::write(&documents.join("copyright"), copyright.as_bytes(), 0o644)
}

/// The changelog of one package; a version that was asked for and is not in it gets an entry of its own.
fn changelog_of(changelog: &str, package: &str, version: &str) -> Result<String> {
    let (source, rest) =
        changelog.split_once(" (").context("images/deb/changelog does not begin with `NAME (VERSION)`")?;
    let (newest, _) = rest.split_once(')').context("images/deb/changelog has no version")?;
    let signed =
        changelog.lines().find(|line| line.starts_with(" -- ")).context("images/deb/changelog has no ` -- ` line")?;
    let own = changelog.replace(&format!("\n{source} ("), &format!("\n{package} (")).replacen(source, package, 1);
    if newest == version {
        return Ok(own);
    }
    Ok(format!(
        "{package} ({version}) unstable; urgency=medium\n\n  * Built with this version by request.\n\n{signed}\n\n{own}"
    ))
}

/// `control` with what only this run knows, in the place of the words in capitals.
fn control(template: &str, made: &Made<'_>, installed_kib: u64) -> Result<String> {
    let mut control = String::new();
    for line in template.lines().filter(|line| !line.starts_with('#')) {
        control.push_str(&line.replace("@VERSION@", &made.version));
        control.push('\n');
        if line.starts_with("Package: ") {
            control.push_str(&format!(
                "Source: picloud\nVersion: {}\nArchitecture: {}\nInstalled-Size: {installed_kib}\n",
                made.version, made.arch.debian
            ));
        }
    }
    if !control.contains("\nVersion: ") {
        bail!("`control` has no `Package:` line");
    }
    Ok(control
        .replace("Source: picloud\n", if control.starts_with("Package: picloud\n") { "" } else { "Source: picloud\n" }))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_install_is_one_of_four_kinds() {
        let text = "# why\nprogram:picloud usr/bin/\n\npages:picloud\nsettings:picloud-node etc/picloud/node.toml\nLICENSE a/b\n";
        let expected = [
            Line::Program("picloud", "usr/bin/"),
            Line::Pages("picloud"),
            Line::Settings("picloud-node", "etc/picloud/node.toml"),
            Line::File("LICENSE", "a/b"),
        ];
        assert_eq!(lines(text).unwrap(), expected);
        assert_eq!(lines("alone").unwrap_err().to_string(), "`alone` is not `WHAT PLACE`");
        assert_eq!(lines("disk:a b").unwrap_err().to_string(), "`disk:a` is nothing that can be installed");
    }

    #[test]
    fn what_the_packages_install_is_in_the_tree() {
        let root = crate::root().unwrap();
        for package in super::super::PACKAGES {
            let install = read(&root.join("images/deb").join(package).join("install")).unwrap();
            for line in lines(&install).unwrap() {
                match line {
                    Line::File(path, _) => assert!(root.join(path).exists(), "{package}: {path}"),
                    Line::Program(name, _) | Line::Settings(name, _) | Line::Pages(name) => {
                        assert!(super::super::PACKAGES.contains(&name), "{package}: {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_asked_for_version_has_an_entry_of_its_own() {
        let changelog = "picloud (0.2.0) unstable; urgency=medium\n\n  * New.\n\n -- A <a@b.example>  Mon, 02 Nov 2026 00:00:00 +0000\n\npicloud (0.1.0) unstable; urgency=medium\n";
        let own = changelog_of(changelog, "picloud-node", "0.2.0").unwrap();
        assert!(own.starts_with("picloud-node (0.2.0) ") && own.contains("\npicloud-node (0.1.0) "), "{own}");
        let asked = changelog_of(changelog, "picloud", "0.2.0+x").unwrap();
        assert!(asked.starts_with("picloud (0.2.0+x) ") && asked.contains("\npicloud (0.2.0) "), "{asked}");
        assert_eq!(asked.matches(" -- A ").count(), 2);
    }
}
